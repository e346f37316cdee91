// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// bounded is a life whose TCP service may have so many half-open connections.
type bounded struct {
	life
	t    *testing.T
	most int
}

func newBounded(t *testing.T, forwarding model.Forwarding, most int) bounded {
	t.Helper()
	l := newLife(t, forwarding)
	l.want = changed(l.want, func(s *model.ServiceWant) { s.HalfOpen = most })
	l.apply(t, l.want)
	return bounded{l, t, most}
}

// eachBounded runs a test once for each way to a server.
func eachBounded(t *testing.T, most int, test func(bounded)) {
	for _, forwarding := range everyForwarding {
		t.Run(forwarding.String(), func(t *testing.T) {
			b := newBounded(t, forwarding, most)
			test(b)
			b.compareCounters(t)
			b.compareConnections(t)
			b.compareHalfOpen(t)
		})
	}
}

// excess is how the SYN ends that is one too many.
func (b bounded) excess() verdict {
	if b.method == natIn {
		return halfOpen
	}
	return hashedHalfOpen
}

func (b bounded) client(n uint16) talk { return talkTo(4, 10, 80, model.TCP, 21000+n) }

// opens begins connections of clients from first on, and wants each to have room.
func (b bounded) opens(first, n uint16) {
	b.t.Helper()
	for i := range n {
		expect(b.t, b.testbed, front, b.client(first+i).open(), b.method)
	}
}

// isFull: there is no room, and nothing comes of it.
func (b bounded) isFull() {
	b.t.Helper()
	for range 3 {
		expect(b.t, b.testbed, front, b.client(900).open(), b.excess())
	}
	expect(b.t, b.testbed, front, b.client(900).more(), strange(b.method))
	b.holds(b.most)
}

// holds: so many are half open, as the path counts them.
func (b bounded) holds(want int) {
	b.t.Helper()
	if got := b.halfOpen(b.t, b.want.Services[0].Key); got != int64(want) {
		b.t.Errorf("%d connections are half open, want %d", got, want)
	}
}

func (b *testbed) halfOpen(t testing.TB, key model.ServiceKey) int64 {
	t.Helper()
	n, err := b.path.HalfOpen(key)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestHalfOpenConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	eachBounded(t, 3, func(b bounded) {
		b.opens(0, 3)
		b.isFull()
		b.goesTo(b.t, b.tcp, 2)                                     // who has a connection goes on
		expect(b.t, b.testbed, front, b.client(0).open(), b.method) // and repeats a SYN
		expect(b.t, b.testbed, front, wrongTransport(b.client(901).open()), badChecksum)
		expect(b.t, b.testbed, front, talkTo(4, 10, 80, model.UDP, 22000).open(), b.method) // UDP is never half open
		expect(b.t, b.testbed, front, cut(append(b.client(902).open(), hundred), 7, 32)[0], halfOpen)
	})
}

// TestHalfOpenConnectionMakesRoom as soon as it is no more, whatever has become of it.
func TestHalfOpenConnectionMakesRoom(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(bounded){
		"established": func(b bounded) { expect(b.t, b.testbed, front, b.client(1).more(), b.method) },
		"reset":       func(b bounded) { expect(b.t, b.testbed, front, b.client(1).ask(packet.RST), b.method) },
		"closed":      func(b bounded) { expect(b.t, b.testbed, front, b.client(1).ask(packet.FIN|packet.ACK), b.method) },
		"killed": func(b bounded) {
			b.kill(b.t, only(b.client(1)), 1)
			b.twin.forget(b.client(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachBounded(t, 2, func(b bounded) {
				b.opens(0, 2)
				b.isFull()
				end(b)
				b.holds(1)
				b.opens(10, 1)
				b.isFull()
			})
		})
	}
}

// TestExpiredHalfOpenConnectionsMakeRoom, though what has taken their place was not counted.
func TestExpiredHalfOpenConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	eachBounded(t, 2, func(b bounded) {
		b.opens(0, 2)
		b.isFull()
		if err := b.path.Age(62 * time.Second); err != nil {
			b.t.Fatal(err)
		}
		b.goesTo(b.t, b.tcp, 2)
		b.goesTo(b.t, b.udp, 2)
		for range 2 {
			if _, err := b.path.Sweep(); err != nil {
				b.t.Fatal(err)
			}
		}
		b.twin.forget(b.client(0))
		b.twin.forget(b.client(1))
		b.holds(0)
		b.opens(0, 2)
		b.isFull()
	})
}

// TestRemovedServerCountsNoMore: its half-open connections count neither for its service, nor for who has
// its place next.
func TestRemovedServerCountsNoMore(t *testing.T) {
	t.Parallel()
	eachBounded(t, 4, func(b bounded) {
		b.opens(0, 4) // two of them to server 2
		b.isFull()
		b.apply(b.t, changed(b.want, withoutSecond))
		b.holds(2)
		b.opens(10, 2)
		b.isFull()
		b.apply(b.t, b.want)
		b.holds(4)
		if err := b.path.Age(time.Hour); err != nil { // the ends of what the removed one had change nothing
			b.t.Fatal(err)
		}
		for range 2 {
			if _, err := b.path.Sweep(); err != nil {
				b.t.Fatal(err)
			}
		}
		clear(b.twin.conns)
		b.twin.table = newTwinTable(b.path.Hash())
		b.holds(0)
		b.opens(20, 4)
		b.isFull()
	})
}

// TestServiceThatCameBackHasNoHalfOpenConnections, nor has who gets its place.
func TestServiceThatCameBackHasNoHalfOpenConnections(t *testing.T) {
	t.Parallel()
	eachBounded(t, 3, func(b bounded) {
		b.opens(0, 3)
		b.isFull()
		b.apply(b.t, model.DataplaneWant{Interfaces: world().Interfaces})
		b.apply(b.t, b.want)
		b.holds(0)
		b.opens(10, 3)
		b.isFull()
	})
}

// TestLeavingServerStillCounts: its connections are its service's as long as they live.
func TestLeavingServerStillCounts(t *testing.T) {
	t.Parallel()
	eachBounded(t, 4, func(b bounded) {
		b.opens(0, 4)
		b.apply(b.t, changed(b.want, second(func(w *model.ServerWant) { w.Weight, w.Leaving = 0, model.Drain })))
		b.isFull()
		expect(b.t, b.testbed, front, b.client(0).more(), b.method)
		expect(b.t, b.testbed, front, b.client(1).more(), b.method)
		b.holds(2)
	})
}

// TestHalfOpenCountsOutliveTheDaemon, and the table.
func TestHalfOpenCountsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	eachBounded(t, 3, func(b bounded) {
		b.liveLong()
		b.opens(0, 3)
		for _, size := range []uint32{64, 256} {
			b.restart(b.t, size)
			b.apply(b.t, b.want)
			b.liveLong()
			b.isFull()
		}
	})
}

// liveLong is until the next Apply: in a slow guest two restarts take longer than connections are half open.
func (b bounded) liveLong() {
	b.t.Helper()
	if err := b.path.LiveLong(); err != nil {
		b.t.Fatal(err)
	}
}

// TestLateCountsAreTakenBack: a CPU had found the server just before it went, or the daemon died before it
// took its counts back. The next Apply does.
func TestLateCountsAreTakenBack(t *testing.T) {
	t.Parallel()
	eachBounded(t, 3, func(b bounded) {
		gone := changed(b.want, withoutSecond)
		b.apply(b.t, gone)
		if err := b.path.CountLate(b.want.Services[0].Key, 2); err != nil {
			b.t.Fatal(err)
		}
		b.holds(2)
		b.restart(b.t, 64)
		b.apply(b.t, gone)
		b.holds(0)
		b.opens(0, 3)
		b.isFull()
	})
}

// TestHalfOpenLimitMayChange while connections are there.
func TestHalfOpenLimitMayChange(t *testing.T) {
	t.Parallel()
	eachBounded(t, 2, func(b bounded) {
		b.opens(0, 2)
		b.isFull()
		limit := func(n int) {
			b.apply(b.t, changed(b.want, func(s *model.ServiceWant) { s.HalfOpen = n }))
		}
		limit(3)
		b.opens(10, 1)
		limit(1)
		expect(b.t, b.testbed, front, b.client(20).open(), b.excess())
		limit(0)
		b.opens(30, 10)
	})
}

// TestHalfOpenLimitWithoutAHash: where nothing goes by hash it is refused.
func TestHalfOpenLimitWithoutAHash(t *testing.T) {
	t.Parallel()
	eachBounded(t, 2, func(b bounded) {
		b.apply(b.t, changed(b.want, func(s *model.ServiceWant) { s.Unknown = model.PassUnknown }))
		b.opens(0, 2)
		expect(b.t, b.testbed, front, b.client(10).open(), halfOpen)
		expect(b.t, b.testbed, front, b.client(10).more(), unknownConnection)
	})
}

// TestHalfOpenLimitHoldsOnTwoCPUs: each may begin one more than the other one has counted.
func TestHalfOpenLimitHoldsOnTwoCPUs(t *testing.T) {
	const most = 20
	for _, forwarding := range everyForwarding {
		t.Run(forwarding.String(), func(t *testing.T) {
			b := bounded{life{testbed: newTestbed(t, 4096), want: small(forwarding), method: methodOf(forwarding)}, t, most}
			b.apply(t, changed(b.want, func(s *model.ServiceWant) { s.HalfOpen = most }))
			var highest [2]int64
			b.onTwoCPUs(t, func(cpu int) (err error) {
				highest[cpu], err = b.beginMany(cpu)
				return err
			})
			if got := max(highest[0], highest[1]); got < most || got > most+1 {
				t.Errorf("%d connections were half open at once, want %d, and one more at most", got, most)
			}
			if !slices.Contains(strings.Split(b.counted(t), " and "), string(b.excess())) {
				t.Errorf("no SYN ended as %s", b.excess())
			}
			b.sound(t)
		})
	}
}

// beginMany sends SYNs of 400 clients of this CPU again and again, and of each fifth the second packet. It
// returns how many connections of the service it has seen half open at once.
func (b bounded) beginMany(cpu int) (highest int64, err error) {
	for turn := range 10_000 {
		c := talkTo(4, 10, 80, model.TCP, uint16(10000+1000*cpu+turn%400))
		layers := c.open()
		if turn%5 == 4 {
			layers = c.more()
		}
		if _, _, err := b.path.Send(packet.Build(layers...), front); err != nil {
			return 0, err
		}
		n, err := b.path.HalfOpen(b.want.Services[0].Key)
		if err != nil {
			return 0, err
		}
		highest = max(highest, n)
	}
	return highest, nil
}
