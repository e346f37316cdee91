// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

var (
	webKey  = model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP}
	first   = model.ServerKey{Address: netip.MustParseAddr("198.51.100.11"), Port: 80}
	second  = model.ServerKey{Address: netip.MustParseAddr("198.51.100.12"), Port: 80}
	gateway = netip.MustParseAddr("198.51.100.1")
	mac     = model.MAC{2, 0, 0, 0, 0, 1}
	now     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// healthy is a director of one service with two servers, all of it applied.
func healthy() report.Input {
	return report.Input{
		Now: now,
		Spec: model.Spec{Connections: model.Connections{Size: 100}, Services: []model.Service{{
			Name: "web", Key: webKey, Scheduler: model.WRR,
			Servers: []model.Server{
				{Key: first, Forwarding: model.DR, Weight: 2},
				{Key: second, Forwarding: model.NAT, Weight: 1},
			},
		}}},
		Seen: model.Seen{
			Network:     model.Network{Links: []model.Link{{Name: "lo", Index: 1, Up: true, Loopback: true}, {Name: "eth0", Index: 2, Up: true}}},
			Attachments: []model.Attachment{{Interface: "eth0", Mode: model.XDPNative, Attached: true}},
			Applied:     model.Applied{Revision: 7},
		},
		Desired: model.Desired{Dataplane: model.DataplaneWant{
			Revision:   7,
			Interfaces: []model.InterfaceWant{{Name: "eth0", Index: 2}},
			Services: []model.ServiceWant{{
				Key: webKey, Scheduler: model.WRR, Serving: true,
				Servers: []model.ServerWant{
					{Key: first, Forwarding: model.DR, Weight: 2, Link: 2, Next: first.Address, MAC: mac},
					{Key: second, Forwarding: model.NAT, Weight: 1, Link: 2, Next: second.Address, MAC: mac},
				},
			}},
		}},
		Readings: report.Readings{
			Conns: 3, ConnSize: 100, ConnMemory: 70000,
			Services: map[model.ServiceKey]report.Counts{webKey: {Connections: 9, PacketsIn: 90, PacketsOut: 30}},
			Servers: map[model.ServiceServer]report.ServerReading{
				{Service: webKey, Server: first}:  {Active: 2, Inactive: 1, Counts: report.Counts{Connections: 6}},
				{Service: webKey, Server: second}: {Active: 1, HalfOpen: 1, Inactive: 4, Counts: report.Counts{Connections: 3}},
			},
			Verdicts: []report.VerdictCount{{Name: "dr", Help: "forwarded", Count: 60}},
		},
	}
}

func TestHealthyDirectorHasNoProblems(t *testing.T) {
	in := healthy()
	want := report.Snapshot{
		Taken: now, Revision: 7, Applied: 7, Role: report.Single,
		Interfaces:  []report.Interface{{Name: "eth0", XDP: "native"}},
		Connections: report.Usage{Used: 3, Size: 100, MemoryBytes: 70000},
		Services: []report.Service{{
			Name: "web", Key: webKey, Scheduler: model.WRR, Servers: 2, Up: 2, Active: 3, Inactive: 5,
			Counts: report.Counts{Connections: 9, PacketsIn: 90, PacketsOut: 30}, Answers: true,
		}},
		Servers: []report.Server{
			{
				Service: "web", ServiceKey: webKey, Key: first, Forwarding: model.DR, Weight: 2, State: report.Up,
				Reading: report.ServerReading{Active: 2, Inactive: 1, Counts: report.Counts{Connections: 6}},
			},
			{
				Service: "web", ServiceKey: webKey, Key: second, Forwarding: model.NAT, Weight: 1, State: report.Up,
				Reading: report.ServerReading{Active: 1, HalfOpen: 1, Inactive: 4, Counts: report.Counts{Connections: 3}},
			},
		},
		Verdicts: in.Readings.Verdicts,
	}
	got := report.Make(in)
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, model.Tunnel{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// firstServer edits what is wanted of, and what is wanted in the maps for, the first server.
func firstServer(in *report.Input) (*model.Server, *model.ServerWant) {
	return &in.Spec.Services[0].Servers[0], &in.Desired.Dataplane.Services[0].Servers[0]
}

func TestServerSaysWhyItIsNotUp(t *testing.T) {
	for _, test := range []struct {
		name   string
		edit   func(in *report.Input, s *model.Server, want *model.ServerWant)
		state  report.State
		reason string
	}{
		{"up", func(*report.Input, *model.Server, *model.ServerWant) {}, report.Up, ""},
		{
			"weight 0",
			func(_ *report.Input, s *model.Server, _ *model.ServerWant) { s.Weight = 0 },
			report.Quiesced, "weight 0",
		},
		{
			"no route",
			func(_ *report.Input, _ *model.Server, want *model.ServerWant) { want.Link = 0 },
			report.Unreachable, "no route to 198.51.100.11",
		},
		{
			"weight 0 and no route",
			func(_ *report.Input, s *model.Server, want *model.ServerWant) { s.Weight, want.Link = 0, 0 },
			report.Unreachable, "no route to 198.51.100.11",
		},
		{
			"not planned",
			func(in *report.Input, _ *model.Server, _ *model.ServerWant) { in.Desired.Dataplane.Services = nil },
			report.Unreachable, "no route to 198.51.100.11",
		},
		{
			"interface gone",
			func(_ *report.Input, _ *model.Server, want *model.ServerWant) { want.Link = 9 },
			report.Unreachable, "no route to 198.51.100.11",
		},
		{
			"interface down",
			func(in *report.Input, _ *model.Server, _ *model.ServerWant) { in.Seen.Network.Links[1].Up = false },
			report.Unreachable, "no route to 198.51.100.11: eth0 is down",
		},
		{
			"no MAC",
			func(_ *report.Input, _ *model.Server, want *model.ServerWant) { want.MAC = model.MAC{} },
			report.Unreachable, "no answer to ARP for 198.51.100.11 on eth0",
		},
		{
			"no MAC of the gateway",
			func(_ *report.Input, _ *model.Server, want *model.ServerWant) {
				want.MAC, want.Next = model.MAC{}, gateway
			},
			report.Unreachable, "no answer to ARP for 198.51.100.1 on eth0, the gateway to 198.51.100.11",
		},
		{
			"no MAC of an IPv6 neighbour",
			func(_ *report.Input, _ *model.Server, want *model.ServerWant) {
				want.MAC, want.Next = model.MAC{}, netip.MustParseAddr("2001:db8::1")
			},
			report.Unreachable,
			"no answer to neighbour solicitation for 2001:db8::1 on eth0, the gateway to 198.51.100.11",
		},
		{
			"local",
			func(_ *report.Input, _ *model.Server, want *model.ServerWant) { want.Local, want.Link = true, 0 },
			report.Up, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := healthy()
			server, want := firstServer(&in)
			test.edit(&in, server, want)
			got := report.Make(in).Servers[0]
			if got.State != test.state || got.Reason != test.reason {
				t.Errorf("got %s (%s), want %s (%s)", got.State, got.Reason, test.state, test.reason)
			}
		})
	}
}

// TestConfiguredWordsPassThrough: what the report does not judge, it hands on.
func TestConfiguredWordsPassThrough(t *testing.T) {
	in := healthy()
	want := model.Tunnel{Type: model.GUE, Port: 6080, Checksum: true, Source: netip.MustParsePrefix("10.200.0.0/16")}
	server, _ := firstServer(&in)
	server.Forwarding, server.Tunnel = model.TUN, want
	in.Spec.Services[0].MSS = 1400
	got := report.Make(in)
	if got.Services[0].MSS != 1400 || got.Servers[0].Tunnel != want || got.Servers[1].Tunnel != (model.Tunnel{}) {
		t.Errorf("mss %d, tunnels %+v, %+v", got.Services[0].MSS, got.Servers[0].Tunnel, got.Servers[1].Tunnel)
	}
}
