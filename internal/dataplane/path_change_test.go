// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// small is two services at one address, for TCP and UDP, with servers 1 and 2 (2 takes the first
// connection), and an interface for each side.
func small(forwarding model.Forwarding) model.DataplaneWant {
	want := model.DataplaneWant{Interfaces: world().Interfaces}
	for _, p := range []model.Protocol{model.TCP, model.UDP} {
		want.Services = append(want.Services, service(4, 10, 80, p,
			toServer(4, 1, 80, forwarding), toServer(4, 2, 80, forwarding)))
	}
	return want
}

// changed returns want with every service changed.
func changed(want model.DataplaneWant, change func(*model.ServiceWant)) model.DataplaneWant {
	want.Services = slices.Clone(want.Services)
	for i := range want.Services {
		want.Services[i].Servers = slices.Clone(want.Services[i].Servers)
		change(&want.Services[i])
	}
	return want
}

// second changes the server that takes the first connection.
func second(change func(*model.ServerWant)) func(*model.ServiceWant) {
	return func(s *model.ServiceWant) { change(&s.Servers[1]) }
}

func withoutSecond(s *model.ServiceWant) { s.Servers = s.Servers[:1] }

// life is a testbed with a TCP and a UDP connection to server 2.
type life struct {
	*testbed
	tcp, udp talk
	want     model.DataplaneWant
	method   verdict
}

// methodOf is how packets end that are forwarded by a method.
func methodOf(f model.Forwarding) verdict {
	return map[model.Forwarding]verdict{model.DR: dr, model.TUN: tun, model.NAT: natIn}[f]
}

func newLife(t *testing.T, forwarding model.Forwarding) life {
	v := methodOf(forwarding)
	l := life{
		testbed: newTestbed(t, 64),
		tcp:     talkTo(4, 10, 80, model.TCP, 20000),
		udp:     talkTo(4, 10, 80, model.UDP, 20000),
		want:    small(forwarding),
		method:  v,
	}
	l.apply(t, l.want)
	for _, c := range []talk{l.tcp, l.udp} {
		expect(t, l.testbed, front, c.open(), v)
		l.goesTo(t, c, 2)
	}
	return l
}

// goesTo says to which server a packet of a connection goes.
func (l life) goesTo(t *testing.T, c talk, host byte) {
	t.Helper()
	got := l.frame(t, front, packet.Build(c.more()...))
	if got.verdict != l.method || packet.MAC(got.out) != macOf(host) {
		t.Errorf("%s to %x, want %s to server %d", got.verdict, got.out[:6], l.method, host)
	}
}

var everyForwarding = []model.Forwarding{model.DR, model.TUN, model.NAT}

// eachMethod runs a test once for each way to a server.
func eachMethod(t *testing.T, test func(*testing.T, life)) {
	for _, f := range everyForwarding {
		t.Run(f.String(), func(t *testing.T) {
			l := newLife(t, f)
			test(t, l)
			l.compareCounters(t)
			l.compareConnections(t)
		})
	}
}

func TestDrainKeepsConnections(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Weight = 0 })))
		l.goesTo(t, l.tcp, 2)
		l.goesTo(t, l.udp, 2)
		for port := range uint16(3) {
			c := talkTo(4, 10, 80, model.TCP, 21000+port)
			expect(t, l.testbed, front, c.open(), l.method)
			l.goesTo(t, c, 1)
		}
	})
}

// TestForgottenServerLosesItsConnections: a server that left is forgotten when it has none, but one may
// have begun meanwhile. What becomes of it until then: path_leave_test.go.
func TestForgottenServerLosesItsConnections(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, withoutSecond))
		expect(t, l.testbed, front, l.tcp.more(), serverGone)
		l.goesTo(t, l.udp, 1) // a datagram may begin a connection
		expect(t, l.testbed, front, l.tcp.open(), l.method)
		l.goesTo(t, l.tcp, 1)
	})
}

func TestForgottenServerThatCameBackIsAnotherOne(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, withoutSecond))
		l.apply(t, l.want)
		expect(t, l.testbed, front, l.tcp.more(), serverGone)
	})
}

// TestFreePlaceIsNoServer: not even the first place, whose number stands for nobody.
func TestFreePlaceIsNoServer(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, func(s *model.ServiceWant) { s.Servers = nil }))
		for _, p := range []model.Protocol{model.TCP, model.UDP} {
			expect(t, l.testbed, front, talkTo(4, 10, 80, p, 21000).open(), noServer)
		}
	})
}

func TestServiceThatCameBackIsAnotherOne(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, model.DataplaneWant{Interfaces: world().Interfaces})
		expect(t, l.testbed, front, l.tcp.more(), serverGone)
		expect(t, l.testbed, front, l.udp.more(), noService)
		expect(t, l.testbed, front, l.tcp.open(), noService)
		l.apply(t, l.want)
		expect(t, l.testbed, front, l.tcp.more(), strange(l.method)) // its SYN ended it
	})
}

func TestBackupPassesEverything(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, func(s *model.ServiceWant) { s.Serving = false }))
		for _, c := range []talk{l.tcp, l.udp, talkTo(4, 10, 80, model.TCP, 21000)} {
			expect(t, l.testbed, front, c.open(), notServing)
		}
		expect(t, l.testbed, front, l.tcp.more(), notServing)
		l.apply(t, l.want)
		l.goesTo(t, l.tcp, 2)
	})
}

func TestConnectionFollowsItsServersNeighbour(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.MAC = macOf(9) })))
		l.goesTo(t, l.tcp, 9)
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.MAC = model.MAC{} })))
		expect(t, l.testbed, front, l.tcp.more(), noNeighbour)
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Link, w.MAC = 0, model.MAC{} })))
		expect(t, l.testbed, front, l.tcp.more(), noRoute)
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Local = true })))
		expect(t, l.testbed, front, l.tcp.more(), local)
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { *w = oneArmed(*w) })))
		l.goesTo(t, l.tcp, 2)
	})
}

// TestConnectionBegunHereGoesOnElsewhere: a server's address was this host's, and moved away.
func TestConnectionBegunHereGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		c := talkTo(4, 10, 80, model.TCP, 21000)
		l.apply(t, changed(l.want, func(s *model.ServiceWant) { s.Servers[0].Local = true }))
		expect(t, l.testbed, front, c.open(), local)
		expect(t, l.testbed, front, c.more(), local)
		l.apply(t, l.want)
		l.goesTo(t, c, 1)
		if l.method == natIn {
			expect(t, l.testbed, back, c.answer(netip.AddrPortFrom(serverAddr(4, 1), 80), packet.ACK), natOut)
		}
	})
}

// TestConnectionKeepsItsMethod: the server gets another method for new connections, as with ipvsadm -e.
func TestConnectionKeepsItsMethod(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		for _, other := range everyForwarding {
			l.apply(t, small(other))
			l.goesTo(t, l.tcp, 2)
			l.goesTo(t, l.udp, 2)
		}
	})
}

func TestAnswersOutliveAForgottenServer(t *testing.T) {
	t.Parallel()
	l := newLife(t, model.NAT)
	answer := l.tcp.answer(netip.AddrPortFrom(serverAddr(4, 2), 80), packet.ACK)
	expect(t, l.testbed, back, answer, natOut)
	l.apply(t, changed(small(model.NAT), func(s *model.ServiceWant) { s.Serving = false }))
	expect(t, l.testbed, back, answer, natOut)
	l.apply(t, changed(small(model.NAT), withoutSecond))
	expect(t, l.testbed, back, answer, natOut)
	expect(t, l.testbed, front, l.tcp.open(), natIn) // the connection begins anew, with server 1
	expect(t, l.testbed, back, answer, noService)
	expect(t, l.testbed, back, l.tcp.answer(netip.AddrPortFrom(serverAddr(4, 1), 80), packet.ACK), natOut)
}

// TestFragmentsGoWithTheirConnection: what comes later than its connection lives is an orphan.
func TestFragmentsGoWithTheirConnection(t *testing.T) {
	t.Parallel()
	l := newLife(t, model.NAT)
	three := func(server byte, id uint32) []packet.Layers {
		answer := l.tcp.answer(netip.AddrPortFrom(serverAddr(4, server), 80), packet.ACK)
		return cut(append(answer, hundred), id, 32, 64)
	}
	old, held := three(2, 7), three(2, 8)
	expect(t, l.testbed, back, old[0], natOut)
	expect(t, l.testbed, back, held[1], fragmentHeld)
	l.apply(t, changed(small(model.NAT), withoutSecond))
	expect(t, l.testbed, back, old[1], natOut)
	expect(t, l.testbed, front, l.tcp.open(), natIn) // it begins anew, with server 1
	expect(t, l.testbed, back, old[2], fragmentOrphan)
	expect(t, l.testbed, back, held[0], noService)
	expect(t, l.testbed, back, held[2], noService) // its server is nobody's any more
	for i, part := range three(1, 7) {
		expect(t, l.testbed, back, part, natOut)
		if i == 1 {
			expect(t, l.testbed, back, part, fragmentOverlap)
		}
	}
}

// TestFragmentsOfAForgottenServer: the first fragment of a datagram may begin anew, a later one may not.
func TestFragmentsOfAForgottenServer(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		parts := cut(append(l.udp.open(), hundred), 7, 32, 64)
		expect(t, l.testbed, front, parts[0], l.method)
		l.apply(t, changed(l.want, withoutSecond))
		expect(t, l.testbed, front, parts[1], serverGone)
		expect(t, l.testbed, front, cut(append(l.udp.open(), hundred), 8, 32)[0], l.method)
		expect(t, l.testbed, front, parts[2], l.method)
		l.apply(t, changed(l.want, func(s *model.ServiceWant) { s.Serving = false }))
		expect(t, l.testbed, front, cut(append(l.udp.open(), hundred), 8, 32)[1], notServing)
	})
}

// TestErrorsFollowTheServer: errors of ICMP go where packets go, and begin nothing.
func TestErrorsFollowTheServer(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		for _, c := range []talk{l.tcp, l.udp} {
			failure := unreachable(router(4), c.service.Addr(), packetOf(c.turned()))
			l.apply(t, l.want)
			expect(t, l.testbed, front, failure, icmpIn)
			l.apply(t, changed(l.want, func(s *model.ServiceWant) { s.Serving = false }))
			expect(t, l.testbed, front, failure, notServing)
			l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.MAC = model.MAC{} })))
			expect(t, l.testbed, front, failure, noNeighbour)
			l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Link, w.MAC = 0, model.MAC{} })))
			expect(t, l.testbed, front, failure, noRoute)
			l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Local = true })))
			expect(t, l.testbed, front, failure, local)
			l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.MTU = 60 })))
			expect(t, l.testbed, front, uncut(failure), tooBig)
		}
		l.apply(t, changed(l.want, withoutSecond))
		for _, c := range []talk{l.tcp, l.udp} {
			expect(t, l.testbed, front, unreachable(router(4), c.service.Addr(), packetOf(c.turned())), serverGone)
		}
	})
}

// TestErrorsToClientsOutliveAForgottenServer, as answers do.
func TestErrorsToClientsOutliveAForgottenServer(t *testing.T) {
	t.Parallel()
	l := newLife(t, model.NAT)
	sent := l.tcp
	sent.service = netip.AddrPortFrom(serverAddr(4, 2), 80)
	failure := toMAC(unreachable(router(4), sent.client.Addr(), packetOf(sent.more())), backMAC)
	expect(t, l.testbed, back, failure, icmpOut)
	l.apply(t, changed(small(model.NAT), func(s *model.ServiceWant) { s.Serving = false }))
	expect(t, l.testbed, back, failure, icmpOut)
	l.apply(t, changed(small(model.NAT), withoutSecond))
	expect(t, l.testbed, back, failure, icmpOut)
	expect(t, l.testbed, front, l.tcp.open(), natIn) // it begins anew, with server 1
	expect(t, l.testbed, back, failure, icmp)
	l.compareCounters(t)
	l.compareConnections(t)
}

// TestTunnelFollowsItsServer: connections go by the tunnel that the server has now.
func TestTunnelFollowsItsServer(t *testing.T) {
	t.Parallel()
	l := newLife(t, model.TUN)
	for _, m := range methods {
		if m.forwarding != model.TUN || m.outer != 4 {
			continue
		}
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Tunnel = m.tunnel })))
		l.goesTo(t, l.tcp, 2)
		l.goesTo(t, l.udp, 2)
	}
	l.apply(t, changed(l.want, second(func(w *model.ServerWant) { *w = onVLAN(*w) })))
	l.goesTo(t, l.tcp, 2)
}

func TestApplyOfTheSameLeavesSchedulersAlone(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	for i := range uint16(12) {
		b.apply(t, world())
		expect(t, b, front, talkTo(4, oddHost, oddWRR, model.TCP, 20000+i).open(), dr)
	}
}

// TestSchedulersFollowWeights walks through tables that change while connections come.
func TestSchedulersFollowWeights(t *testing.T) {
	t.Parallel()
	for _, s := range foreseeable() {
		t.Run(s.String(), func(t *testing.T) {
			b := newTestbed(t, 1024)
			port := uint16(20000)
			for _, weights := range [][2]uint16{{1, 1}, {3, 1}, {4, 2}, {0, 1}, {0, 0}, {65535, 1}, {10, 65535}, {2, 0}} {
				b.apply(t, changed(small(model.DR), func(w *model.ServiceWant) {
					w.Scheduler = s
					w.Servers[0].Weight, w.Servers[1].Weight = weights[0], weights[1]
				}))
				for range 9 {
					port++
					b.frame(t, front, packet.Build(talkTo(4, 10, 80, model.TCP, port).open()...))
				}
			}
		})
	}
}
