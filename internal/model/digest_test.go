// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func lastingRecord() model.Record {
	return model.Record{
		Protocol:   model.TCP,
		Client:     netip.MustParseAddrPort("203.0.113.7:40000"),
		Virtual:    netip.MustParseAddrPort("192.0.2.10:80"),
		Server:     netip.MustParseAddrPort("198.51.100.11:8080"),
		Forwarding: model.NAT,
		State:      "ESTABLISHED",
		Settled:    true,
	}
}

func TestDigestTellsWhatMatters(t *testing.T) {
	base := lastingRecord()
	for name, change := range map[string]func(*model.Record){
		"protocol":   func(r *model.Record) { r.Protocol = model.SCTP },
		"client":     func(r *model.Record) { r.Client = netip.MustParseAddrPort("203.0.113.8:40000") },
		"its port":   func(r *model.Record) { r.Client = netip.MustParseAddrPort("203.0.113.7:40001") },
		"virtual":    func(r *model.Record) { r.Virtual = netip.MustParseAddrPort("192.0.2.11:80") },
		"server":     func(r *model.Record) { r.Server = netip.MustParseAddrPort("198.51.100.12:8080") },
		"its port 2": func(r *model.Record) { r.Server = netip.MustParseAddrPort("198.51.100.11:8081") },
		"method":     func(r *model.Record) { r.Forwarding = model.TUN },
		"template":   func(r *model.Record) { r.State = model.Template },
		"turned":     func(r *model.Record) { r.Client, r.Virtual = r.Virtual, r.Client },
	} {
		r := base
		change(&r)
		if r.Digest() == base.Digest() {
			t.Errorf("%s: another one has the same digest", name)
		}
	}
	for name, change := range map[string]func(*model.Record){
		"persistent": func(r *model.Record) { r.Persistent = true },
		"left":       func(r *model.Record) { r.Left = 7 },
		"mapped": func(r *model.Record) {
			r.Client = netip.AddrPortFrom(netip.AddrFrom16(r.Client.Addr().As16()), r.Client.Port())
		},
	} {
		r := base
		change(&r)
		if r.Digest() != base.Digest() {
			t.Errorf("%s: the same one has another digest", name)
		}
	}
}

func TestOnlyWhatLastsHasADigest(t *testing.T) {
	for _, state := range append(model.States(), model.Template, model.Kept) {
		r := lastingRecord()
		r.State = state
		lasts := state == "ESTABLISHED" || state == "UDP" || state == model.Template
		if r.IsLasting() != lasts || (r.Digest() != 0) != lasts {
			t.Errorf("%s: it lasts: %t, its digest is %x", state, r.IsLasting(), r.Digest())
		}
		r.Settled = false
		if r.IsLasting() || r.Digest() != 0 {
			t.Errorf("%s that has not proved itself has digest %x", state, r.Digest())
		}
	}
}

// TestSlicesAreEven: clients that differ in few bits only fill all slices alike.
func TestSlicesAreEven(t *testing.T) {
	const each = 100
	var slices [model.Slices]int
	r := lastingRecord()
	for i := range each * model.Slices {
		client := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		r.Client = netip.AddrPortFrom(client, 40000)
		slices[r.Identity().Slice()]++
	}
	for i, n := range slices {
		if n < each/2 || n > each*2 {
			t.Errorf("slice %d has %d of %d", i, n, each*model.Slices)
		}
	}
}
