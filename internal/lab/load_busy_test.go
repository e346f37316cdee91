// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"net/netip"
	"testing"
)

// TestWhoIsNotHeldIsMissed, however many others servers hold.
func TestWhoIsNotHeldIsMissed(t *testing.T) {
	one, other, gone := netip.MustParseAddrPort("198.51.100.1:1"), netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("198.51.100.1:2")
	alive := []Resident{{Client: one}, {Client: other}}
	if n := unheld(alive, map[netip.AddrPort]bool{one: true, other: true, gone: true}); n != 0 {
		t.Errorf("all are held, and %d are missed", n)
	}
	if n := unheld(alive, map[netip.AddrPort]bool{one: true, gone: true}); n != 1 {
		t.Errorf("one is not held, another one is who has gone, and %d are missed", n)
	}
}
