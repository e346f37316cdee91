// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// TestServiceDecidesWhenAPortBeginsAnew: the client closes, and perhaps the server does, and then the client
// opens another connection from the same port. By rr another server has the next connection.
func TestServiceDecidesWhenAPortBeginsAnew(t *testing.T) {
	t.Parallel()
	const fin = packet.FIN | packet.ACK
	for _, test := range []struct {
		reuse        model.Reuse
		half, closed byte // the server that has it then
	}{
		{0, 2, 1}, {model.ReuseClosed, 2, 1}, {model.ReuseClosing, 1, 1}, {model.ReuseKept, 2, 2},
	} {
		t.Run(test.reuse.String(), func(t *testing.T) {
			for _, bothClose := range []bool{false, true} {
				b := newTestbed(t, 64)
				b.apply(t, changed(small(model.NAT), func(s *model.ServiceWant) { s.Reuse = test.reuse }))
				c := talkTo(4, 10, 80, model.TCP, 20000)
				server := netip.AddrPortFrom(serverAddr(4, 2), 80)
				expect(t, b, front, c.open(), natIn)
				expect(t, b, back, c.answer(server, packet.SYN|packet.ACK), natOut)
				expect(t, b, front, c.more(), natIn)
				expect(t, b, front, c.ask(fin), natIn)
				want := test.half
				if bothClose {
					expect(t, b, back, c.answer(server, fin), natOut)
					want = test.closed
				}
				got := b.frame(t, front, packet.Build(c.open()...))
				if packet.MAC(got.out) != macOf(want) {
					t.Errorf("both have closed: %v: %s to %x, want server %d", bothClose, got.verdict, got.out[:6], want)
				}
				b.compareConnections(t)
			}
		})
	}
}
