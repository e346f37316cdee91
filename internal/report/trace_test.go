// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/report"
)

func TestTraceTellsTheStages(t *testing.T) {
	web := model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP}
	gone := model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 81, Protocol: model.TCP}
	dns := model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 53, Protocol: model.UDP}
	spec := model.Spec{Services: []model.Service{{Name: "web", Key: web}, {Name: "dns", Key: dns, OnePacket: true}}}
	network := model.Network{Links: []model.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}}}
	flow := model.Flow{
		Protocol: model.TCP, Client: netip.MustParseAddrPort("203.0.113.7:40000"), Virtual: netip.MustParseAddrPort("192.0.2.10:80"),
	}
	server := &model.ServerKey{Address: netip.MustParseAddr("198.51.100.11"), Port: 8080}
	portless := &model.ServerKey{Address: netip.MustParseAddr("198.51.100.11")}
	frame := packet.Build(
		packet.Ethernet{}, packet.IPv4{Source: flow.Client.Addr(), Destination: flow.Virtual.Addr(), TTL: 64},
		packet.TCP{Source: 40000, Destination: 80, Flags: packet.SYN})
	in := model.Frame{Bytes: frame, Length: len(frame)}
	text := "00:00:00:00:00:00 > 00:00:00:00:00:00"
	for _, row := range []struct {
		name   string
		traced model.Traced
		want   []report.Stage
	}{
		{"begins a connection", model.Traced{
			Part: model.TracedWhole, Connection: "SYN_RECV", Fresh: true, Service: &web, Scheduler: model.WLC, Server: server,
			Forwarding: model.NAT, Sent: &in, Egress: 3,
		}, []report.Stage{
			{"connection", "none"}, {"service", "web (tcp 192.0.2.10:80), wlc"}, {"server", "198.51.100.11:8080, picked by wlc"},
			{"connection", "begun, SYN_RECV"}, {"forward", "nat, out by eth1"},
		}},
		{"follows its template", model.Traced{
			Part: model.TracedWhole, Connection: "SYN_RECV", Fresh: true, Service: &web, Scheduler: model.WLC, Server: portless,
			Forwarding: model.DR, Template: model.TemplateFollowed, Sent: &in, Egress: 9,
		}, []report.Stage{
			{"connection", "none"}, {"service", "web (tcp 192.0.2.10:80), wlc"}, {"template", "followed"},
			{"server", "198.51.100.11:80, as the template has it"}, {"connection", "begun, SYN_RECV"}, {"forward", "dr, out by interface 9"},
		}},
		{"of a connection", model.Traced{
			Part: model.TracedWhole, Connection: "ESTABLISHED", Server: server, Forwarding: model.TUN, Sent: &in, Egress: 3,
		}, []report.Stage{
			{"connection", "ESTABLISHED, 203.0.113.7:40000 to 192.0.2.10:80"}, {"server", "198.51.100.11:8080, as its connection has it"},
			{"forward", "tun, out by eth1"},
		}},
		{"an answer", model.Traced{
			Part: model.TracedWhole, Connection: "ESTABLISHED", Back: true, Sent: &in, Egress: 2,
		}, []report.Stage{
			{"connection", "ESTABLISHED, 203.0.113.7:40000 to 192.0.2.10:80, from its server"}, {"forward", "nat, back to the client, out by eth0"},
		}},
		{"by hash, to a service that was just removed", model.Traced{
			Part: model.TracedFirst, Service: &gone, Scheduler: model.RR, Server: server, Hashed: true, Forwarding: model.DR, Sent: &in, Egress: 3,
		}, []report.Stage{
			{"parse", "the first fragment"}, {"connection", "none"}, {"service", "tcp 192.0.2.10:81, rr"},
			{"server", "198.51.100.11:8080, by the hash of its flow"}, {"forward", "dr, out by eth1"},
		}},
		{"by hash, and its server had sent it", model.Traced{
			Part: model.TracedWhole, Service: &web, Scheduler: model.RR, Server: server, Hashed: true, Forwarding: model.DR,
		}, []report.Stage{
			{"connection", "none"}, {"service", "web (tcp 192.0.2.10:80), rr"}, {"server", "198.51.100.11:8080, by the hash of its flow"},
		}},
		{"a datagram that is scheduled for itself", model.Traced{
			Part: model.TracedWhole, Service: &dns, Scheduler: model.RR, Server: server, Forwarding: model.NAT, Sent: &in, Egress: 3,
		}, []report.Stage{
			{"connection", "none"}, {"service", "dns (udp 192.0.2.10:53), rr"}, {"server", "198.51.100.11:8080, picked by rr"},
			{"forward", "nat, out by eth1"},
		}},
		{"its client is told", model.Traced{
			Part: model.TracedWhole, Service: &web, Scheduler: model.RR, Server: server, Sent: &in, Egress: 2, Told: true,
		}, []report.Stage{
			{"connection", "none"}, {"service", "web (tcp 192.0.2.10:80), rr"}, {"server", "198.51.100.11:8080, picked by rr"},
			{"forward", "its sender is told, out by eth0"},
		}},
		{"its server is told", model.Traced{
			Part: model.TracedWhole, Connection: "ESTABLISHED", Back: true, Sent: &in, Egress: 3, Told: true,
		}, []report.Stage{
			{"connection", "ESTABLISHED, 203.0.113.7:40000 to 192.0.2.10:80, from its server"}, {"forward", "its sender is told, out by eth1"},
		}},
		{"its connection is reset", model.Traced{
			Part: model.TracedWhole, Ended: true, Server: server, Forwarding: model.NAT, Sent: &in, Egress: 2, Told: true,
		}, []report.Stage{
			{"connection", "over, 203.0.113.7:40000 to 192.0.2.10:80"}, {"server", "198.51.100.11:8080, as its connection has it"},
			{"forward", "its sender is told, out by eth0"},
		}},
		{"begins another one in its place", model.Traced{
			Part: model.TracedWhole, Ended: true, Connection: "SYN_RECV", Fresh: true, Service: &web, Scheduler: model.RR, Server: server,
			Template: model.TemplateBegun, Forwarding: model.NAT, Sent: &in, Egress: 3,
		}, []report.Stage{
			{"connection", "over, 203.0.113.7:40000 to 192.0.2.10:80"}, {"service", "web (tcp 192.0.2.10:80), rr"}, {"template", "begun"},
			{"server", "198.51.100.11:8080, picked by rr"}, {"connection", "begun, SYN_RECV"}, {"forward", "nat, out by eth1"},
		}},
		{"for nobody", model.Traced{Part: model.TracedWhole}, nil},
	} {
		row.traced.Flow, row.traced.Link, row.traced.In = flow, 2, in
		got := report.MakeTrace(spec, network, row.traced)
		if diff := cmp.Diff(row.want, got.Stages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
		if got.Interface != "eth0" || len(got.Packet) < len(text) || (got.Sent == got.Packet) != (row.traced.Sent != nil) {
			t.Errorf("%s: on %s: %s; sent %s", row.name, got.Interface, got.Packet, got.Sent)
		}
	}
	cut := report.MakeTrace(spec, network, model.Traced{In: model.Frame{Bytes: frame[:20], Length: 20}})
	if cut.Packet == "" || cut.Packet[len(cut.Packet)-1] != ')' {
		t.Errorf("a frame that ends early is told as %q, without why", cut.Packet)
	}
}
