// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// wide is a service of many keys (servers 1 and 2), one of a single port within the reach of its others
// (server 3), and one of any destination (server 4).
func wide(forwarding model.Forwarding) model.DataplaneWant {
	many := service(4, 10, 80, model.TCP, toServer(4, 1, model.AnyPort, forwarding), toServer(4, 2, model.AnyPort, forwarding))
	many.Also = []model.ServiceKey{
		{Address: vip(4, 10), Port: 443, Protocol: model.TCP},
		{Address: vip(4, 10), Port: 443, Protocol: model.UDP},
		{Address: vip(4, 11), Port: 3001, Last: 3998, Protocol: model.TCP},
		{Address: vip(4, 12), Port: model.AnyPort, Protocol: model.TCP},
	}
	single := service(4, 12, 25, model.TCP, toServer(4, 3, 25, forwarding))
	anywhere := service(4, 0, 80, model.TCP, toServer(4, 4, model.AnyPort, forwarding))
	anywhere.Key.Address = netip.IPv4Unspecified()
	anywhere.Also = []model.ServiceKey{{Address: netip.IPv4Unspecified(), Port: 8000, Last: 8100, Protocol: model.TCP}}
	return model.DataplaneWant{
		Interfaces: world().Interfaces, Services: []model.ServiceWant{many, single, anywhere},
		Own: []model.Addr{director4, vip(4, 10), vip(4, 11), vip(4, 12)},
	}
}

var origin = netip.MustParseAddr("203.0.113.200") // somewhere behind the director

func TestMostSpecialKeyHasThePacket(t *testing.T) {
	t.Parallel()
	for _, f := range everyForwarding {
		t.Run(f.String(), func(t *testing.T) {
			b := newTestbed(t, 1024)
			b.apply(t, wide(f))
			for _, test := range []struct {
				name     string
				to       netip.Addr
				port     uint16
				protocol model.Protocol
				servers  []byte // empty: nobody's
			}{
				{"first key", vip(4, 10), 80, model.TCP, []byte{1, 2}},
				{"second key", vip(4, 10), 443, model.TCP, []byte{1, 2}},
				{"another protocol", vip(4, 10), 443, model.UDP, []byte{1, 2}},
				{"a protocol that it has not", vip(4, 10), 80, model.UDP, nil},
				{"before a range", vip(4, 11), 3000, model.TCP, nil},
				{"first of a range", vip(4, 11), 3001, model.TCP, []byte{1, 2}},
				{"within a range", vip(4, 11), 3500, model.TCP, []byte{1, 2}},
				{"last of a range", vip(4, 11), 3998, model.TCP, []byte{1, 2}},
				{"behind a range", vip(4, 11), 3999, model.TCP, nil},
				{"any port", vip(4, 12), 26, model.TCP, []byte{1, 2}},
				{"the very port before any", vip(4, 12), 25, model.TCP, []byte{3}},
				{"any destination", origin, 80, model.TCP, []byte{4}},
				{"any destination, a range", origin, 8050, model.TCP, []byte{4}},
				{"any destination, another port", origin, 81, model.TCP, nil},
				{"the host's own address", director4, 80, model.TCP, nil},
				{"a VIP without this port", vip(4, 11), 80, model.TCP, nil},
			} {
				c := talk{netip.AddrPortFrom(clientAddr(4), 20000), netip.AddrPortFrom(test.to, test.port), test.protocol}
				reached := b.servers(t, c, 2)
				if len(reached) != len(test.servers) {
					t.Errorf("%s: reached %v, want %v", test.name, reached, test.servers)
				}
				for _, host := range test.servers {
					if !reached[macOf(host)] {
						t.Errorf("%s: reached %v, not server %d", test.name, reached, host)
					}
				}
			}
			b.compareCounters(t)
			b.compareConnections(t)
		})
	}
}

// servers are those that so many connections of a client reach.
func (b *testbed) servers(t *testing.T, c talk, connections uint16) map[model.MAC]bool {
	t.Helper()
	out := map[model.MAC]bool{}
	for n := range connections {
		c.client = netip.AddrPortFrom(c.client.Addr(), c.client.Port()+n)
		got := b.frame(t, front, packet.Build(c.open()...))
		if got.egress != 0 {
			out[model.MAC(packet.MAC(got.out))] = true
		}
	}
	return out
}

// TestServersAreNoClientsOfAnyDestination: a cache fetches what it has not, through the same director.
func TestServersAreNoClientsOfAnyDestination(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, wide(model.DR))
	fetch := talk{netip.AddrPortFrom(serverAddr(4, 4), 20000), netip.AddrPortFrom(origin, 80), model.TCP}
	expect(t, b, front, fetch.open(), noService)
	answer := talk{netip.AddrPortFrom(origin, 80), netip.AddrPortFrom(serverAddr(4, 4), 8050), model.TCP}
	expect(t, b, front, answer.ask(packet.SYN|packet.ACK), noService)
	land := talk{netip.AddrPortFrom(origin, 20000), netip.AddrPortFrom(origin, 80), model.TCP}
	expect(t, b, front, land.open(), martian)
	want := wide(model.DR)
	want.Services, want.Own = want.Services[:2], nil
	b.apply(t, want)
	other := talk{netip.AddrPortFrom(clientAddr(4), 20000), netip.AddrPortFrom(origin, 80), model.TCP}
	expect(t, b, front, other.open(), noService)
}

// TestKeysComeAndGo: what stays keeps its connections, counters and place; a key may go from one service to
// another.
func TestKeysComeAndGo(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1024)
	want := wide(model.DR)
	b.apply(t, want)
	kept := talk{netip.AddrPortFrom(clientAddr(4), 20000), netip.AddrPortFrom(vip(4, 11), 3500), model.TCP}
	expect(t, b, front, kept.open(), dr)

	want = wide(model.DR)
	want.Services[0].Also = want.Services[0].Also[:2]
	want.Services[1].Also = []model.ServiceKey{{Address: vip(4, 11), Port: 3400, Last: 3600, Protocol: model.TCP}}
	b.apply(t, want)
	b.restart(t, 1024)
	b.apply(t, want)
	expect(t, b, front, kept.more(), dr)
	for port, servers := range map[uint16]int{3399: 0, 3400: 1, 3500: 1, 3600: 1, 3601: 0} {
		c := talk{netip.AddrPortFrom(clientAddr(4), 30000), netip.AddrPortFrom(vip(4, 11), port), model.TCP}
		reached := b.servers(t, c, 2)
		if len(reached) != servers || servers == 1 && !reached[macOf(3)] {
			t.Errorf("port %d reaches %v", port, reached)
		}
	}
	b.compareCounters(t)
	b.compareConnections(t)
}

// TestErrorsAboutAnyDestination reach the server of the connection, though nobody has the address that they
// are sent to.
func TestErrorsAboutAnyDestination(t *testing.T) {
	t.Parallel()
	for _, f := range everyForwarding {
		t.Run(f.String(), func(t *testing.T) {
			b := newTestbed(t, 64)
			b.apply(t, wide(f))
			c := talk{netip.AddrPortFrom(clientAddr(4), 20000), netip.AddrPortFrom(origin, 80), model.TCP}
			expect(t, b, front, c.open(), methodOf(f))
			stranger := talk{netip.AddrPortFrom(clientAddr(4), 20001), c.service, model.TCP}
			expect(t, b, front, tooBigAbout(c), icmpIn)
			expect(t, b, front, tooBigAbout(stranger), icmp)
			b.compareCounters(t)
		})
	}
}

// tooBigAbout is what a router on the way to a client says of an answer.
func tooBigAbout(c talk) packet.Layers {
	return narrow(router(4), c.service.Addr(), 1400, packetOf(c.turned()))
}
