// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"maps"
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestAnAddressOfTwoVirtualRoutersHasNoLease, nor of three; all others have that of their own.
func TestAnAddressOfTwoVirtualRoutersHasNoLease(t *testing.T) {
	router := func(name string, addresses ...string) model.VirtualRouter {
		r := model.VirtualRouter{Name: name, Interface: name}
		for _, a := range addresses {
			r.Addresses = append(r.Addresses, netip.MustParsePrefix(a))
		}
		return r
	}
	spec := model.Spec{VirtualRouters: []model.VirtualRouter{
		router("eth0", "fe80::53/64", "2001:db8::10/64"),
		router("eth1", "fe80::53/128", "2001:db8:1::10/64"),
		router("eth2", "fe80::53/128"),
		router("eth3", "fe80::54/128"),
	}}
	want := map[model.Addr]string{
		netip.MustParseAddr("2001:db8::10"):   "eth0",
		netip.MustParseAddr("2001:db8:1::10"): "eth1",
		netip.MustParseAddr("fe80::54"):       "eth3",
	}
	if got := spec.Leased(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestVirtualMACs are those of RFC 9568 section 7.3.
func TestVirtualMACs(t *testing.T) {
	r4 := model.VirtualRouter{ID: 51, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}, VirtualMAC: true}
	r6, own := r4, r4
	r6.ID, r6.Addresses, own.VirtualMAC = 255, []netip.Prefix{netip.MustParsePrefix("fe80::10/64")}, false
	for _, c := range []struct {
		router model.VirtualRouter
		want   model.MAC
	}{
		{r4, model.MAC{0, 0, 0x5e, 0, 1, 51}},
		{r6, model.MAC{0, 0, 0x5e, 0, 2, 255}},
		{own, model.MAC{}},
	} {
		if got := c.router.MAC(); got != c.want {
			t.Errorf("%v: %x, want %x", c.router, got, c.want)
		}
	}
}
