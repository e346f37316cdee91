// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// asks sends a client's segment without data.
func (l life) asks(t *testing.T, flags packet.TCPFlags, want verdict) {
	t.Helper()
	expect(t, l.testbed, front, l.tcp.ask(flags), want)
}

// TestBlindSegmentsEndNothing: whoever knows the four numbers of a connection sends what ends one. The
// server believes none of it, and the next data goes where data went before.
func TestBlindSegmentsEndNothing(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		for _, blind := range [][]packet.TCPFlags{
			{packet.RST}, {packet.FIN | packet.ACK}, {packet.SYN},
			{packet.FIN | packet.ACK, packet.SYN}, {packet.RST, packet.SYN},
			{packet.RST, packet.FIN | packet.ACK, packet.SYN, packet.FIN | packet.ACK, packet.RST},
		} {
			for _, flags := range blind {
				l.asks(t, flags, l.method)
			}
			l.goesTo(t, l.tcp, 2)
			l.compareConnections(t)
			if got := l.stateOf(t, l.tcp); got != "ESTABLISHED" {
				t.Errorf("after %v and data: %s", blind, got)
			}
		}
	})
}

// stateOf is the state of a connection, as it is listed.
func (b *testbed) stateOf(t *testing.T, c talk) string {
	t.Helper()
	for _, known := range b.listed(t) {
		if known.Client == c.client && known.Virtual == c.service && known.Protocol == c.protocol {
			return known.State
		}
	}
	return "none"
}

// TestPortUsedAgainWhereOneSideClosed: that may have been a stranger, so the same server has it.
func TestPortUsedAgainWhereOneSideClosed(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		for _, end := range []packet.TCPFlags{packet.FIN | packet.ACK, packet.RST} {
			l.asks(t, end, l.method)
			l.asks(t, packet.SYN, l.method)
			l.goesTo(t, l.tcp, 2)
		}
		l.compareConnections(t)
	})
}

// TestPortUsedAgainLeavesAQuiescedServer: a connection that is over keeps nobody on it.
func TestPortUsedAgainLeavesAQuiescedServer(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Weight = 0 })))
		l.asks(t, packet.SYN, l.method) // it is not over
		l.goesTo(t, l.tcp, 2)
		l.asks(t, packet.FIN|packet.ACK, l.method)
		l.asks(t, packet.SYN, l.method)
		l.goesTo(t, l.tcp, 1)
		l.compareConnections(t)
		l.compareCounters(t)
	})
}

// TestPortUsedAgainInTimeWait: both sides have closed, so any server may have the next connection. Whoever
// answers a FIN that was repeated by an RST changes nothing.
func TestPortUsedAgainInTimeWait(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"TIME_WAIT", "CLOSE"} {
		t.Run(state, func(t *testing.T) {
			l := newLife(t, model.NAT)
			old := netip.AddrPortFrom(serverAddr(4, 2), 80)
			l.asks(t, packet.FIN|packet.ACK, natIn)
			expect(t, l.testbed, back, l.tcp.answer(old, packet.FIN|packet.ACK), natOut)
			if state == "CLOSE" {
				expect(t, l.testbed, back, l.tcp.answer(old, packet.RST), natOut)
			}
			if got := l.stateOf(t, l.tcp); got != state {
				t.Fatalf("both have closed: %s", got)
			}
			l.asks(t, packet.SYN, natIn)
			l.goesTo(t, l.tcp, 1)
			expect(t, l.testbed, back, l.tcp.answer(old, packet.ACK), noService) // what is still under way from the old one
			l.compareConnections(t)
			l.compareCounters(t)
		})
	}
}
