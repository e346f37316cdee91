// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

const tries = "remove the cause; weir tries again by itself"

func TestProblemNamesCauseAndWayOut(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(in *report.Input)
		want []model.Problem
	}{
		{"none", func(*report.Input) {}, nil},
		{
			"one unreachable server of two",
			func(in *report.Input) { _, want := firstServer(in); want.Link = 0 },
			[]model.Problem{{
				What: "service web goes on without server 198.51.100.11:80",
				Why:  "no route to 198.51.100.11",
				Fix:  "look at the server and the way to it (ip route get, ip neigh); weir takes it in again by itself",
			}},
		},
		{
			"generic XDP is a reason only",
			func(in *report.Input) {
				in.Seen.Attachments[0].Mode, in.Seen.Attachments[0].Reason = model.XDPGeneric, "no native XDP"
			},
			nil,
		},
		{
			"server that nobody hears of",
			func(in *report.Input) {
				in.Seen.Signs = map[model.ServiceServer]model.Sign{{Service: webKey, Server: first}: {Begun: 24}}
			},
			[]model.Problem{{
				What: "service web: server 198.51.100.11:80 seems not to serve",
				Why:  "of 24 connections begun in 10s 0 were answered",
				Fix:  "look at the server, and whether answers find their way to the clients; a flood of SYNs looks the same",
			}},
		},
		{
			"maps refuse",
			func(in *report.Input) {
				in.Seen.Applied = model.Applied{Revision: 6, Dataplane: "put service web: no space left"}
			},
			[]model.Problem{{
				What: "revision 7 is not in the maps, packets follow revision 6",
				Why:  "put service web: no space left", Fix: tries,
			}},
		},
		{
			"maps at work",
			func(in *report.Input) {
				in.Seen.Applied.Revision, in.Seen.Attachments = 6, nil
			},
			nil,
		},
		{
			"addresses refuse",
			func(in *report.Input) { in.Seen.Applied.Address = "add 192.0.2.10 to eth0: permission denied" },
			[]model.Problem{{
				What: "addresses or neighbours of this host are not as they should be",
				Why:  "add 192.0.2.10 to eth0: permission denied", Fix: tries,
			}},
		},
		{
			"interface without program",
			func(in *report.Input) {
				in.Seen.Attachments[0] = model.Attachment{Interface: "eth0", Reason: "program 12 of somebody else is on it"}
			},
			[]model.Problem{{
				What: "no packet is balanced on eth0", Why: "program 12 of somebody else is on it",
				Fix: "remove the cause; weir attaches its program by itself",
			}},
		},
		{
			"interface that nobody attached to",
			func(in *report.Input) { in.Seen.Attachments = nil },
			[]model.Problem{{
				What: "no packet is balanced on eth0", Why: "not attached yet",
				Fix: "remove the cause; weir attaches its program by itself",
			}},
		},
		{
			"interface missing",
			func(in *report.Input) { in.Spec.Interfaces = []model.Interface{{Name: "eth9"}} },
			[]model.Problem{{
				What: "no packet is balanced on eth9", Why: "there is no such interface",
				Fix: "bring it back, or name another one under interfaces: and run `weir reload`",
			}},
		},
		{
			"network not seen yet",
			func(in *report.Input) {
				in.Seen = model.Seen{}
				in.Spec.Interfaces = []model.Interface{{Name: "eth0"}}
				in.Spec.Services, in.Desired.Dataplane.Services = nil, nil
			},
			nil,
		},
		{
			"no server",
			func(in *report.Input) { in.Spec.Services[0].Servers = nil },
			[]model.Problem{{
				What: "service web takes no connections", Why: "it has no server",
				Fix: "add one under servers: and run `weir reload`",
			}},
		},
		{
			"all quiesced",
			func(in *report.Input) {
				in.Spec.Services[0].Servers[0].Weight, in.Spec.Services[0].Servers[1].Weight = 0, 0
			},
			[]model.Problem{{
				What: "service web takes no connections", Why: "the weight of every server is 0",
				Fix: "give a server a weight and run `weir reload`",
			}},
		},
		{
			"quiesced and unreachable",
			func(in *report.Input) {
				in.Spec.Services[0].Servers[1].Weight = 0
				_, want := firstServer(in)
				want.MAC = model.MAC{}
			},
			[]model.Problem{{
				What: "service web takes no connections",
				Why:  "198.51.100.11:80: no answer to ARP for 198.51.100.11 on eth0; 198.51.100.12:80: weight 0",
				Fix:  "look at the way from this host to the servers: ip route get, ip neigh",
			}},
		},
		{
			"room in the table",
			func(in *report.Input) { in.Readings.Conns = 79 },
			nil,
		},
		{
			"table nearly full",
			func(in *report.Input) {
				in.Spec.Connections.Size, in.Readings.ConnSize, in.Readings.Conns = 1048576, 1048576, 838861
			},
			[]model.Problem{{
				What: "connection table: 80 % full", Why: "838,861 of 1,048,576",
				Fix: "raise connections.size (now 1048576), or look for a flood: `weir connections --count`, `weir counters`",
			}},
		},
		{
			"table full, and a larger one not made yet",
			func(in *report.Input) { in.Spec.Connections.Size, in.Readings.Conns = 2000000, 100 },
			[]model.Problem{
				{
					What: "connection table: 100 % full", Why: "100 of 100",
					Fix: "raise connections.size (now 100), or look for a flood: `weir connections --count`, `weir counters`",
				},
				{
					What: "connections.size: 2,000,000 is not in use yet", Why: "the table was made for 100",
					Fix: "restart weir: connections move to the new table",
				},
			},
		},
		{
			"a table that could not be made",
			func(in *report.Input) {
				in.Spec.Connections.Size = 50
				in.Readings.ConnKept = report.Kept{Size: 50, Why: "60 entries are in use, and they must fit"}
			},
			[]model.Problem{{
				What: "connections.size: 50 is not in use, connections stay in the table for 100",
				Why:  "60 entries are in use, and they must fit",
				Fix:  "remove the cause, or set what fits; then restart weir",
			}},
		},
		{
			"another size since",
			func(in *report.Input) {
				in.Spec.Connections.Size = 70
				in.Readings.ConnKept = report.Kept{Size: 50, Why: "60 entries are in use, and they must fit"}
			},
			[]model.Problem{{
				What: "connections.size: 70 is not in use yet", Why: "the table was made for 100",
				Fix: "restart weir: connections move to the new table",
			}},
		},
		{
			"backup serves nobody",
			func(in *report.Input) {
				in.Desired.Dataplane.Services[0].Serving = false
				in.Spec.Services[0].Servers = nil
			},
			nil,
		},
		{
			"the plan's own, once",
			func(in *report.Input) {
				p := model.Problem{What: "a", Why: "b", Fix: "c"}
				in.Desired.Problems = []model.Problem{p, p}
			},
			[]model.Problem{{What: "a", Why: "b", Fix: "c"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := healthy()
			test.edit(&in)
			if diff := cmp.Diff(test.want, report.Make(in).Problems); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblemOfManyServersIsShort(t *testing.T) {
	in := healthy()
	server := in.Spec.Services[0].Servers[0]
	in.Desired.Dataplane.Services = nil
	in.Spec.Services[0].Servers = []model.Server{server, server, server, server, server}
	got := report.Make(in).Problems[0].Why
	const line = "198.51.100.11:80: no route to 198.51.100.11; "
	if want := line + line + line + "and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVanishedInterfaceHasNoProgram(t *testing.T) {
	in := healthy()
	in.Seen.Network.Links = in.Seen.Network.Links[:1]
	want := []report.Interface{{Name: "eth0", XDP: "none", Reason: "there is no such interface"}}
	if diff := cmp.Diff(want, report.Make(in).Interfaces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
