// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// departures are services of each family and protocol, by each way to a server: each has a server 2, which
// gets its connections, and a server 1, which takes over when that one leaves.
func departures() (want model.DataplaneWant) {
	want.Interfaces = world().Interfaces
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, forwarding := range everyForwarding {
				host := 10 * byte(forwarding)
				one, two := toServer(f, host+1, webPort(p), forwarding), toServer(f, host+2, webPort(p), forwarding)
				one.Weight = 0
				want.Services = append(want.Services, service(f, host, webPort(p), p, one, two))
			}
		}
	}
	return want
}

// departure is one of the services, and a connection to its server 2.
type departure struct {
	*testbed
	talk
	t          *testing.T
	f          family
	forwarding model.Forwarding
	method     verdict
}

func departureOf(t *testing.T, b *testbed, f family, p model.Protocol, forwarding model.Forwarding) departure {
	t.Helper()
	d := departure{testbed: b, t: t, f: f, forwarding: forwarding, talk: talkTo(f, 10*byte(forwarding), webPort(p), p, 20000)}
	d.method = methodOf(forwarding)
	d.begin(d.talk)
	return d
}

func newDeparture(t *testing.T, f family, p model.Protocol, forwarding model.Forwarding) departure {
	t.Helper()
	b := newTestbed(t, 1024)
	b.apply(t, departures())
	return departureOf(t, b, f, p, forwarding)
}

// begin makes a connection to server 2.
func (d departure) begin(c talk) {
	d.t.Helper()
	d.goesTo(2, c.open())
	for range twinSettles {
		d.goesTo(2, c.more())
	}
}

// edit changes the servers of the service.
func (d departure) edit(change func(one, two *model.ServerWant)) {
	d.t.Helper()
	d.apply(d.t, changed(departures(), func(s *model.ServiceWant) {
		if s.Key.Address == d.service.Addr() && s.Key.Protocol == d.protocol {
			change(&s.Servers[0], &s.Servers[1])
		}
	}))
}

// leave takes server 2 out of the service.
func (d departure) leave(policy model.Leaving) {
	d.t.Helper()
	d.edit(func(one, two *model.ServerWant) { one.Weight, two.Weight, two.Leaving = 1, 0, policy })
}

// comeBack puts it in again.
func (d departure) comeBack() { d.edit(func(_, _ *model.ServerWant) {}) }

// server is the address of one of the two.
func (d departure) server(n byte) netip.AddrPort {
	return netip.AddrPortFrom(serverAddr(d.f, 10*byte(d.forwarding)+n), webPort(d.protocol))
}

func (d departure) goesTo(host byte, layers packet.Layers) {
	d.t.Helper()
	got := d.frame(d.t, front, packet.Build(layers...))
	if got.verdict != d.method || packet.MAC(got.out) != macOf(10*byte(d.forwarding)+host) {
		d.t.Errorf("%s to %x, want %s to server %d: %s", got.verdict, got.out[:6], d.method, host, layers)
	}
}

func (d departure) ends(layers packet.Layers, want verdict) {
	d.t.Helper()
	expect(d.t, d.testbed, front, layers, want)
}

// compare holds what is remembered, loads too, against the twin.
func (d departure) compare() {
	d.t.Helper()
	d.compareCounters(d.t)
	d.compareConnections(d.t)
}

// another is a conversation of another client port.
func (d departure) another(port uint16) talk {
	c := d.talk
	c.client = netip.AddrPortFrom(c.client.Addr(), port)
	return c
}

// eachDeparture runs a test once for each family, protocol and way to a server.
func eachDeparture(t *testing.T, test func(*testing.T, departure)) {
	b := newTestbed(t, 4096)
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, forwarding := range everyForwarding {
				t.Run(fmt.Sprintf("ipv%d %s %s", f, p, forwarding), func(t *testing.T) {
					b.forgetFragments(t)
					b.apply(t, departures())
					d := departureOf(t, b, f, p, forwarding)
					test(t, d)
					d.compare()
				})
			}
		}
	}
}

// TestServerThatLeavesGetsNoNewConnections, whatever becomes of those that it has.
func TestServerThatLeavesGetsNoNewConnections(t *testing.T) {
	t.Parallel()
	for _, policy := range model.Leavings() {
		eachDeparture(t, func(t *testing.T, d departure) {
			d.leave(policy)
			for port := range uint16(3) {
				c := d.another(21000 + port)
				d.goesTo(1, c.open())
				d.goesTo(1, c.more())
			}
		})
	}
}

func TestDrainedConnectionsLiveOn(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		half := d.another(21000)
		d.goesTo(2, half.open())
		d.leave(model.Drain)
		d.goesTo(2, d.more())
		d.goesTo(2, d.talk.open()) // a SYN that is late, or a lie
		d.goesTo(2, half.open())   // the handshake is under way
		d.goesTo(2, half.more())
		d.ends(tagged(d.more()), d.method)
		d.comeBack()
		d.goesTo(2, d.more())
	})
}

// TestPortOfAnEndedConnectionLeavesTheDrainedServer: the next SYN is nothing that the server has to do with.
func TestPortOfAnEndedConnectionLeavesTheDrainedServer(t *testing.T) {
	t.Parallel()
	for _, policy := range []model.Leaving{model.Drain, model.Drop} {
		eachDeparture(t, func(t *testing.T, d departure) {
			if d.protocol == model.UDP {
				return // it has no end
			}
			d.goesTo(2, d.ask(packet.FIN|packet.ACK))
			d.leave(policy)
			d.goesTo(1, d.talk.open())
			d.goesTo(1, d.more())
		})
	}
}

func TestDroppedConnectionsWaitForTheirServer(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		half := d.another(21000)
		d.goesTo(2, half.open())
		d.leave(model.Drop)
		for _, c := range []talk{d.talk, half} {
			d.ends(c.more(), serverLeft)
			d.ends(c.open(), serverLeft)
			d.ends(tagged(c.more()), serverLeft)
			d.ends(c.ask(packet.RST), serverLeft)
		}
		d.comeBack()
		d.goesTo(2, d.more())
		d.goesTo(2, half.more())
	})
}

// TestResetReachesTheClient: what it is, byte for byte, the twin says.
func TestResetReachesTheClient(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		rows := d.packets()
		for i := range rows {
			d.begin(d.another(uint16(21000 + i)))
		}
		d.leave(model.Reset)
		for i, row := range rows {
			c := d
			c.talk = d.another(uint16(21000 + i))
			d.ends(c.packets()[i].layers, serverReset)
			if t.Failed() {
				t.Fatal(row.name)
			}
			c.afterReset()
		}
	})
}

// sent is something that a client may send next.
type sent struct {
	name   string
	layers packet.Layers
}

// packets are of every shape that a reset can be the answer to.
func (d departure) packets() []sent {
	out := []sent{
		{"data", d.more()},
		{"much data", append(d.more(), large[:1200])},
		{"padding", append(d.more(), packet.Trailer("padding"))},
		{"end", d.ask(packet.FIN | packet.ACK)},
		{"tagged", tagged(d.more())},
		{"tagged, padding", append(tagged(d.more()), packet.Trailer("padding"))},
		{"priority tag", taggedAs(d.more(), 0)},
		{"another router", fromMAC(d.more(), macOf(77))},
		{"last hop", ttl(d.more(), 1)},
		{"options", with(d.more(), func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0} })},
		{"first fragment", cut(append(d.more(), hundred), uint32(d.client.Port()), 32)[0]},
	}
	if d.f == 6 {
		options := packet.Extension{Kind: packet.ProtocolDstOptions}
		out = append(out, sent{"extension header", behind(d.more(), options)},
			sent{"tagged chain", tagged(behind(d.more(), packet.Extension{Kind: packet.ProtocolHopByHop}, options))})
	}
	switch d.protocol {
	case model.TCP:
		return append(out, d.segments()...)
	case model.UDP:
		return append(out, sent{"no checksum", with(d.more(), func(u *packet.UDP) { u.NoChecksum = true })},
			sent{"nothing in it", d.talk.open()})
	}
	return append(out, sent{"verification tag", with(d.more(), func(s *packet.SCTP) { s.Tag = 0xdeadbeef })},
		sent{"wrong checksum", with(d.more(), func(s *packet.SCTP) { s.Checksum = 5 })})
}

// segments are what RFC 9293 section 3.10.7.1 tells apart.
func (d departure) segments() (out []sent) {
	const syn, ack, fin, psh = packet.SYN, packet.ACK, packet.FIN, packet.PSH
	for _, flags := range []packet.TCPFlags{0, fin, psh, syn | fin, ack, syn | ack, fin | ack} {
		numbered := with(d.ask(flags), func(t *packet.TCP) { t.Seq, t.Ack = 0xfffffffe, 0x80000001 })
		options := with(numbered, func(t *packet.TCP) { t.Options = mssOptions["as Linux has it"] })
		out = append(out, sent{flags.String(), numbered}, sent{flags.String() + ", options", options},
			sent{flags.String() + ", data", append(numbered, packet.Payload("odd"))},
			sent{flags.String() + ", options and data", append(options, packet.Payload("odd"))})
	}
	return out
}

// afterReset: nothing is left of the connection.
func (d departure) afterReset() {
	d.t.Helper()
	if d.protocol == model.UDP {
		d.goesTo(1, d.more())
		return
	}
	d.ends(d.more(), strange(d.method))
	d.goesTo(1, d.talk.open())
	d.goesTo(1, d.more())
}

// TestBeginningIsNotReset: a SYN says that the client knows of no connection.
func TestBeginningIsNotReset(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		if d.protocol == model.UDP {
			return // a datagram does not say that
		}
		d.leave(model.Reset)
		d.goesTo(1, d.talk.open())
		d.goesTo(1, d.more())
	})
}

// TestResetIsNotAnswered: the connection goes, in silence.
func TestResetIsNotAnswered(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		if d.protocol == model.UDP {
			return
		}
		d.leave(model.Reset)
		d.ends(d.ask(packet.RST), serverLeft)
		d.ends(d.more(), strange(d.method))
	})
}

// TestBrokenPacketResetsNothing: the client's host would not have sent it so.
func TestBrokenPacketResetsNothing(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		d.leave(model.Reset)
		if d.protocol == model.TCP {
			d.ends(with(d.more(), func(t *packet.TCP) { t.Checksum = 5 }), serverLeft)
		}
		if d.client.Addr().Is4() {
			d.ends(with(d.more(), func(ip *packet.IPv4) { ip.Checksum = 5 }), serverLeft)
		}
		d.comeBack()
		d.goesTo(2, d.more())
	})
}

// TestResetsAreLimited, as other answers are; who is not told keeps the connection, and is told later.
func TestResetsAreLimited(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			d := newDeparture(t, 4, p, model.DR)
			kept := d.untold()
			if err := d.path.ForgetTold(); err != nil {
				t.Fatal(err)
			}
			d.ends(kept.more(), serverReset)
		})
	}
}

// untold is a connection to a server that left of which nobody is told any more in this second. Each try has
// one of its own, as who is told has none left: a second is short for a test whose thread has to wait.
func (d departure) untold() talk {
	d.t.Helper()
	for port := range uint16(10) {
		c := d.another(30000 + port)
		d.comeBack()
		d.begin(c)
		d.leave(model.Reset)
		if err := d.path.ExhaustTold(); err != nil {
			d.t.Fatal(err)
		}
		if d.verdictOf(d.t, c.more()) == serverLeft {
			return c
		}
	}
	d.t.Fatal("no end of resets")
	return talk{}
}

// TestAnswersOfAServerThatLeft: only what drains is still answered.
func TestAnswersOfAServerThatLeft(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		if d.forwarding != model.NAT {
			return // they do not pass here
		}
		answer := d.answer(d.server(2), packet.ACK)
		there := d.talk
		there.service = d.server(2)
		failure := toMAC(unreachable(router(d.f), d.client.Addr(), packetOf(there.more())), backMAC)
		for policy, want := range map[model.Leaving]verdict{model.Drain: natOut, model.Reset: serverLeft, model.Drop: serverLeft} {
			d.forgetFragments(t)
			parts := cut(append(answer, hundred), 9, 32)
			expect(t, d.testbed, back, parts[0], natOut)
			d.leave(policy)
			expect(t, d.testbed, back, answer, want)
			expect(t, d.testbed, back, onBackVLAN(answer), want)
			expect(t, d.testbed, back, parts[1], want)
			expect(t, d.testbed, back, cut(append(answer, hundred), 10, 32)[0], want)
			expect(t, d.testbed, back, failure, map[verdict]verdict{natOut: icmpOut, serverLeft: serverLeft}[want])
			d.comeBack()
			expect(t, d.testbed, back, answer, natOut)
		}
	})
}

// TestFragmentsToAServerThatLeft: later ones go with their connection, and reset nothing.
func TestFragmentsToAServerThatLeft(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		parts := cut(append(d.more(), hundred), 7, 32, 64, 96)
		d.ends(parts[0], d.method)
		d.leave(model.Drop)
		d.ends(parts[1], serverLeft)
		d.leave(model.Reset)
		d.ends(parts[2], serverLeft)
		d.leave(model.Drain)
		d.ends(parts[3], d.method)
		d.goesTo(2, d.more())
		d.leave(model.Drop)
		d.ends(cut(append(d.more(), hundred), 8, 32)[0], serverLeft)
		d.ends(cut(append(d.more(), hundred), 8, 32)[1], fragmentHeld) // nobody knows of it
	})
}

// TestErrorsAboutAServerThatLeft: errors of ICMP go where packets go, and reset nothing.
func TestErrorsAboutAServerThatLeft(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		failure := unreachable(router(d.f), d.service.Addr(), packetOf(d.turned()))
		for policy, want := range map[model.Leaving]verdict{model.Drain: icmpIn, model.Reset: serverLeft, model.Drop: serverLeft} {
			d.leave(policy)
			d.ends(failure, want)
		}
		d.comeBack()
		d.goesTo(2, d.more())
	})
}

// TestBackupPassesWhatLeft: another director has to do with it.
func TestBackupPassesWhatLeft(t *testing.T) {
	t.Parallel()
	d := newDeparture(t, 4, model.TCP, model.DR)
	for _, policy := range model.Leavings() {
		d.apply(t, changed(departures(), func(s *model.ServiceWant) { s.Serving, s.Servers[1].Leaving = false, policy }))
		d.ends(d.more(), notServing)
	}
}

// TestLocalServerLeaves: its connections are reset as those of others.
func TestLocalServerLeaves(t *testing.T) {
	t.Parallel()
	for policy, want := range map[model.Leaving]verdict{model.Drain: local, model.Reset: serverReset, model.Drop: serverLeft} {
		d := newDeparture(t, 4, model.TCP, model.DR)
		d.edit(func(_, two *model.ServerWant) { two.Weight, two.Leaving, two.Local = 0, policy, true })
		d.ends(d.more(), want)
	}
}

// TestDroppedPacketsProlongNothing: a connection that waits in vain has an end.
func TestDroppedPacketsProlongNothing(t *testing.T) {
	t.Parallel()
	d := newDeparture(t, 4, model.TCP, model.NAT)
	d.leave(model.Drop)
	bed := sweepBed{d.testbed, t, model.ServiceServer{
		Service: model.ServiceKey{Address: vip(4, 30), Port: 80, Protocol: model.TCP},
		Server:  model.ServerKey{Address: d.server(2).Addr(), Port: 80},
	}}
	bed.load([3]uint64{1, 0, 0})
	bed.age(899 * time.Second)
	d.ends(d.more(), serverLeft)
	expect(t, d.testbed, back, d.answer(d.server(2), packet.ACK), serverLeft)
	bed.age(2 * time.Second)
	bed.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	d.ends(d.more(), serverLeft)
	bed.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	bed.load([3]uint64{})
}

// TestEveryFieldOfAResetPacketMayBeWrong: as of packets that are sent on. The server keeps its weight, since
// another table of slots costs the kernel more time than all else.
func TestEveryFieldOfAResetPacketMayBeWrong(t *testing.T) {
	t.Parallel()
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			t.Run(fmt.Sprintf("ipv%d %s", f, p), func(t *testing.T) {
				d := newDeparture(t, f, p, model.NAT)
				for _, layers := range []packet.Layers{d.more(), tagged(d.more())} {
					d.eachWrongField(packet.Build(layers...))
				}
			})
		}
	}
}

func (d departure) eachWrongField(whole []byte) {
	for _, field := range fieldsOf(whole) {
		for _, value := range field.values(whole) {
			d.forgetFragments(d.t)
			d.comeBack()
			d.frame(d.t, front, packet.Build(d.talk.open()...))
			d.edit(func(_, two *model.ServerWant) { two.Leaving = model.Reset })
			frame := slices.Clone(whole)
			field.put(frame, value)
			if mended := frame[networkAt(whole):]; mended[0]>>4 == 4 {
				mendIPv4(mended)
			}
			d.frame(d.t, front, frame)
			if d.t.Failed() {
				d.t.Fatalf("%d bits at %d are %#x", field.bits, field.at*8+field.shift, value)
			}
		}
	}
}
