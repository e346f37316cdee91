// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"testing"

	"github.com/weir-lb/weir/internal/netlab"
)

// TestIDsThatTheKernelHasNotTakenAreTriedAgain with the next wants, though these are the same.
func TestIDsThatTheKernelHasNotTakenAreTriedAgain(t *testing.T) {
	netlab.NeedRoot(t)
	const loopback = 1
	of := segment{"lo", true}
	s, err := openStrangers(of, loopback, []uint8{51})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	r := &Runner{strangers: map[segment]*strangers{of: s}}
	fd := s.fd
	s.fd = -1
	for range 2 {
		if err := r.attendTo(of, loopback, []uint8{51, 52}); err == nil {
			t.Error("it believes that the kernel has the ids")
		}
	}
	s.fd = fd
	if err := r.attendTo(of, loopback, []uint8{51, 52}); err != nil {
		t.Error(err)
	}
}
