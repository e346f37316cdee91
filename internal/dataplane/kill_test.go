// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

func every(dataplane.Connection) bool { return true }

// only means one connection.
func only(c talk) func(dataplane.Connection) bool {
	return func(known dataplane.Connection) bool {
		return known.Client == c.client && known.Virtual == c.service && known.Protocol == c.protocol
	}
}

// inState means all that are in it.
func inState(state string) func(dataplane.Connection) bool {
	return func(c dataplane.Connection) bool { return c.State == state }
}

// kill kills in the path alone.
func (b *testbed) kill(t *testing.T, wanted func(dataplane.Connection) bool, want uint64) {
	t.Helper()
	got, err := b.path.Kill(t.Context(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("killed %d, want %d", got, want)
	}
}

// forget makes the twin forget one, too.
func (t *twin) forget(c talk) {
	t.end(t.conns[flow{c.client, c.service, c.protocol}])
}

// TestKilledConnectionIsUnknown, and the one beside it goes on. What is left of the killed one is nothing:
// a slot that was not given back would make the path and its twin differ.
func TestKilledConnectionIsUnknown(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.kill(t, only(l.tcp), 1)
		l.twin.forget(l.tcp)
		expect(t, l.testbed, front, l.tcp.more(), strange(l.method))
		l.goesTo(t, l.udp, 2)
		l.compareConnections(t)
		l.kill(t, only(l.tcp), 0)
		expect(t, l.testbed, front, l.tcp.open(), l.method)
		l.goesTo(t, l.tcp, 1)
	})
}

func TestKilledFlowOfDatagramsBeginsAnew(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.kill(t, only(l.udp), 1)
		l.twin.forget(l.udp)
		l.goesTo(t, l.udp, 1)
		l.goesTo(t, l.tcp, 2)
	})
}

// TestConnectionsOfARemovedServerAreKilled by its address: until then their packets go nowhere.
func TestConnectionsOfARemovedServerAreKilled(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		l.apply(t, changed(l.want, withoutSecond))
		expect(t, l.testbed, front, l.tcp.more(), serverGone)
		gone := netip.AddrPortFrom(serverAddr(4, 2), 80)
		l.kill(t, func(c dataplane.Connection) bool { return c.Server == gone }, 2)
		l.twin.forget(l.tcp)
		l.twin.forget(l.udp)
		expect(t, l.testbed, front, l.tcp.more(), strange(l.method))
		l.goesTo(t, l.udp, 1)
	})
}

// TestBothWaysOfAPairAreKilled: an answer that is still under way is no connection's.
func TestBothWaysOfAPairAreKilled(t *testing.T) {
	t.Parallel()
	l := newLife(t, model.NAT)
	answer := l.tcp.answer(netip.AddrPortFrom(serverAddr(4, 2), 80), packet.ACK)
	expect(t, l.testbed, back, answer, natOut)
	l.kill(t, every, 2)
	l.twin.forget(l.tcp)
	l.twin.forget(l.udp)
	expect(t, l.testbed, back, answer, noService)
	l.compareConnections(t)
	l.wantEmpty(t)
}

func TestConnectionIsKilledInEveryState(t *testing.T) {
	t.Parallel()
	for state, segments := range map[string][]packet.TCPFlags{
		"SYN_RECV":    {packet.SYN},
		"ESTABLISHED": {packet.SYN, packet.ACK, packet.ACK, packet.ACK, packet.ACK},
		"FIN_WAIT":    {packet.SYN, packet.ACK, packet.FIN | packet.ACK},
		"CLOSE":       {packet.SYN, packet.RST},
	} {
		t.Run(state, func(t *testing.T) {
			b := newSweepBed(t, model.NAT)
			for _, flags := range segments[1:] {
				b.client(flags)
			}
			b.kill(t, inState("TIME_WAIT"), 0)
			b.kill(t, inState(state), 1)
			b.load([3]uint64{})
			b.sweep(dataplane.Swept{})
		})
	}
}

// TestFullTableIsEmptyAfterAKill, of more connections than one run ends; and as many find room again.
func TestFullTableIsEmptyAfterAKill(t *testing.T) {
	for _, f := range everyForwarding {
		t.Run(f.String(), func(t *testing.T) {
			b := newTestbed(t, 4096)
			b.apply(t, small(f))
			for range 2 {
				for port := range uint16(1500) {
					c := talkTo(4, 10, 80, model.TCP, 20000+port)
					for _, layers := range []packet.Layers{c.open(), c.more(), c.more(), c.more()} {
						b.send(t, packet.Build(layers...))
					}
				}
				b.compareLoads(t)
				b.kill(t, every, 1500)
				b.compareLoads(t)
				b.wantEmpty(t)
			}
		})
	}
}

// meanwhile does something between the moment when connections are chosen and that when they end.
func meanwhile(wanted func(dataplane.Connection) bool, do ...func()) func(dataplane.Connection) bool {
	looks := 0
	return func(c dataplane.Connection) bool {
		yes := wanted(c)
		if looks++; looks >= 2 && len(do) > 0 {
			do[0]()
			do = do[1:]
		}
		return yes
	}
}

// TestConnectionThatMovesOnIsKilled, once it has been looked at again.
func TestConnectionThatMovesOnIsKilled(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.NAT)
	established, closes := func() { b.client(packet.ACK) }, func() { b.client(packet.FIN | packet.ACK) }
	b.kill(t, meanwhile(every, established, closes), 1)
	b.load([3]uint64{})
	b.sweep(dataplane.Swept{})
}

// TestConnectionThatIsMeantNoMoreLives: it was half open when it was chosen.
func TestConnectionThatIsMeantNoMoreLives(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.NAT)
	b.kill(t, meanwhile(inState("SYN_RECV"), func() { b.client(packet.ACK) }), 0)
	b.load([3]uint64{1, 0, 0})
}

// TestWhatBeginsAfterTheChoiceLives, even in the place of what was chosen.
func TestWhatBeginsAfterTheChoiceLives(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.DR)
	again := func() {
		b.kill(t, every, 1)
		b.twin.forget(talkTo(4, 30, 80, model.TCP, 40000))
		b.client(packet.SYN)
	}
	b.kill(t, meanwhile(every, again), 0)
	b.load([3]uint64{0, 1, 1})
}

func TestKillEndsWithItsAsker(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.DR)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if killed, err := b.path.Kill(gone, every); !errors.Is(err, context.Canceled) || killed != 0 {
		t.Errorf("killed %d, %v", killed, err)
	}
	b.load([3]uint64{0, 1, 1})
}

// TestCountsSurviveKillsUnderTraffic: connections begin and move on while two askers kill all of them.
// Whoever wins, each connection is killed once, and nothing is left of it. The table is so large that
// nobody must make room.
func TestCountsSurviveKillsUnderTraffic(t *testing.T) {
	for _, f := range []model.Forwarding{model.DR, model.NAT} {
		t.Run(f.String(), func(t *testing.T) {
			b := newTestbed(t, 8192)
			b.apply(t, small(f))
			done, stop := context.WithCancel(t.Context())
			var killers sync.WaitGroup
			var killed [2]uint64
			for i := range killed {
				killers.Go(func() { killed[i] = b.killUntil(t, done) })
			}
			begun := b.traffic(t, 10000)
			stop()
			killers.Wait()
			b.compareLoads(t)
			last, err := b.path.Kill(t.Context(), every)
			if err != nil {
				t.Fatal(err)
			}
			b.compareLoads(t)
			if all := killed[0] + killed[1] + last; all != begun {
				t.Errorf("%d were killed of %d that began", all, begun)
			}
			t.Logf("%d began, %v were killed, and %d at the end", begun, killed, last)
			b.wantEmpty(t)
		})
	}
}

// killUntil kills all, again and again.
func (b *testbed) killUntil(t *testing.T, done context.Context) (killed uint64) {
	for done.Err() == nil {
		n, err := b.path.Kill(t.Context(), every)
		if err != nil {
			t.Error(err)
		}
		killed += n
	}
	return killed
}

// traffic sends packets of 64 clients by TCP and UDP, and returns how many connections they have begun.
func (b *testbed) traffic(t *testing.T, packets int) (begun uint64) {
	t.Helper()
	for i := range packets {
		p := []model.Protocol{model.TCP, model.UDP}[i%2]
		c := talkTo(4, 10, 80, p, 20000+uint16(i%64))
		layers := c.open()
		if i%3 > 0 {
			layers = c.more()
		}
		b.send(t, packet.Build(layers...))
		if i%1000 == 0 {
			if _, err := b.path.Sweep(); err != nil {
				t.Fatal(err)
			}
		}
	}
	counters, err := b.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters.Services {
		begun += c.Connections
	}
	return begun
}

// wantEmpty: nothing is left in the table. A way back whose connection was killed before the two had been
// joined is swept as an orphan.
func (b *testbed) wantEmpty(t *testing.T) {
	t.Helper()
	if err := b.path.ForgetClients(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := b.path.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	if traces, err := b.path.Traces(); err != nil || traces != 0 {
		t.Errorf("%d traces, %v", traces, err)
	}
}
