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
