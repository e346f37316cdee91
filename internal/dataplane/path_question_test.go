// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// askers is a one-packet service of two servers.
func askers(f family, forwarding model.Forwarding) model.DataplaneWant {
	s := service(f, 10, 53, model.UDP, toServer(f, 1, 5353, forwarding), toServer(f, 2, 5353, forwarding))
	s.OnePacket = true
	return model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{s}}
}

// TestEachDatagramIsScheduled, though all are of one flow, and none leaves a connection.
func TestEachDatagramIsScheduled(t *testing.T) {
	t.Parallel()
	for _, f := range everyForwarding {
		t.Run(f.String(), func(t *testing.T) {
			b := newTestbed(t, 64)
			b.apply(t, askers(4, f))
			c := talkTo(4, 10, 53, model.UDP, 20000)
			for turn := range byte(6) {
				got := b.frame(t, front, packet.Build(c.more()...))
				if want := macOf(2 - turn%2); got.verdict != methodOf(f) || packet.MAC(got.out) != want {
					t.Errorf("datagram %d: %s to %x, want %s to %x", turn, got.verdict, got.out[:6], methodOf(f), want)
				}
			}
			b.compareCounters(t)
			b.compareConnections(t)
			if n := len(b.listed(t)); n != 0 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestAnswersToQuestionsAreTranslated, of each server that was asked, in any order. What nobody asked for
// is not.
func TestAnswersToQuestionsAreTranslated(t *testing.T) {
	t.Parallel()
	for _, f := range []family{4, 6} {
		b := newTestbed(t, 64)
		b.apply(t, askers(f, model.NAT))
		c := talkTo(f, 10, 53, model.UDP, 20000)
		answer := func(host byte) packet.Layers {
			return c.answer(netip.AddrPortFrom(serverAddr(f, host), 5353), 0)
		}
		expect(t, b, back, answer(2), noService)
		expect(t, b, front, c.more(), natIn)
		expect(t, b, front, c.more(), natIn)
		expect(t, b, back, answer(1), natOut)
		expect(t, b, back, answer(2), natOut)
		expect(t, b, back, answer(3), noService)
		expect(t, b, back, ttl(answer(1), 1), ttlTold)
		expect(t, b, back, append(uncut(answer(1)), packet.Payload(make([]byte, 1600))), tooBigTold)
		stranger := talkTo(f, 10, 53, model.UDP, 20001)
		expect(t, b, back, stranger.answer(netip.AddrPortFrom(serverAddr(f, 1), 5353), 0), noService)
		b.compareCounters(t)
	}
}

// TestDatagramInPiecesIsAConnection: its later pieces do not say whose they are.
func TestDatagramInPiecesIsAConnection(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, askers(4, model.DR))
	c := talkTo(4, 10, 53, model.UDP, 20000)
	first := with(append(c.open(), packet.Payload("8 bytes.")), func(ip *packet.IPv4) { ip.Flags |= packet.MoreFragments })
	expect(t, b, front, first, dr)
	if n := len(b.listed(t)); n != 1 {
		t.Errorf("%d connections", n)
	}
	b.compareConnections(t)
}

// TestAnswersOfConnectionsAreNotAsked: a server whose answers to this client's port are a connection's is not
// asked from there.
func TestAnswersOfConnectionsAreNotAsked(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := askers(4, model.NAT)
	want.Services = append(want.Services, service(4, 10, 54, model.UDP, toServer(4, 1, 5353, model.NAT)))
	b.apply(t, want)
	expect(t, b, front, talkTo(4, 10, 54, model.UDP, 20000).more(), natIn)
	c := talkTo(4, 10, 53, model.UDP, 20000)
	for range 3 {
		got := b.frame(t, front, packet.Build(c.more()...))
		if got.verdict != natIn || packet.MAC(got.out) != macOf(2) {
			t.Errorf("%s to %x", got.verdict, got.out[:6])
		}
	}
	b.compareCounters(t)
	b.compareConnections(t)
}

// TestQuestionsOfOneServerWait: a client that asks two addresses of one server from one port would not know whose
// the answer is. When the first has its answer, the second may be asked.
func TestQuestionsOfOneServerWait(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := askers(4, model.NAT)
	want.Services[0].Servers = want.Services[0].Servers[:1]
	want.Services[0].Also = []model.ServiceKey{{Address: vip(4, 11), Port: 53, Protocol: model.UDP}}
	b.apply(t, want)
	first, second := talkTo(4, 10, 53, model.UDP, 20000), talkTo(4, 11, 53, model.UDP, 20000)
	expect(t, b, front, first.more(), natIn)
	expect(t, b, front, second.more(), natClash)
	expect(t, b, front, first.more(), natIn) // it asks again
	expect(t, b, back, first.answer(netip.AddrPortFrom(serverAddr(4, 1), 5353), 0), natOut)
	expect(t, b, front, second.more(), natIn)
	expect(t, b, front, first.more(), natClash)
	b.compareCounters(t)
}
