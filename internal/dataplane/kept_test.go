// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// newSettledBed has one connection that is settled.
func newSettledBed(t *testing.T, forwarding model.Forwarding) sweepBed {
	t.Helper()
	b := newSweepBed(t, forwarding)
	b.settle()
	return b
}

// entries is how many the only connection has in the table.
func entries(forwarding model.Forwarding) uint32 {
	if forwarding == model.NAT {
		return 2
	}
	return 1
}

// overdue lets the time of a state pass, and sweeps until the connection is gone, or kept.
func (b sweepBed) overdue(timeout time.Duration, n uint32) {
	b.t.Helper()
	b.age(timeout + time.Second)
	b.sweep(dataplane.Swept{Seen: n, Marked: 1})
	b.rounds(1)
}

// rounds are sweeps of which nobody says what they do.
func (b sweepBed) rounds(n int) {
	b.t.Helper()
	for range n {
		if _, err := b.path.Sweep(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// state is that of the only connection; "": there is none.
func (b sweepBed) state() (state string) {
	b.t.Helper()
	err := b.path.Connections(func(c dataplane.Connection) bool {
		state = c.State
		return true
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return state
}

// doubts are ends of a settled connection behind which may be a stranger.
var doubts = []struct {
	name    string
	ends    []packet.TCPFlags
	timeout time.Duration
}{
	{"RST", []packet.TCPFlags{packet.RST}, 10 * time.Second},
	{"FIN", []packet.TCPFlags{packet.FIN | packet.ACK}, 2 * time.Minute},
	{"RST and SYN", []packet.TCPFlags{packet.RST, packet.SYN}, time.Minute},
	{"FIN and SYN", []packet.TCPFlags{packet.FIN | packet.ACK, packet.SYN}, time.Minute},
	{"FIN and RST", []packet.TCPFlags{packet.FIN | packet.ACK, packet.RST}, 10 * time.Second},
}

// eachDoubt runs a test with a connection that is kept after each of them, by DR and NAT in turn.
func eachDoubt(t *testing.T, test func(b sweepBed, n uint32)) {
	for i, doubt := range doubts {
		forwarding := []model.Forwarding{model.DR, model.NAT}[i%2]
		t.Run(forwarding.String()+", "+doubt.name, func(t *testing.T) {
			b, n := newSettledBed(t, forwarding), entries(forwarding)
			for _, flags := range doubt.ends {
				b.client(flags)
			}
			b.overdue(doubt.timeout, n)
			b.sweep(dataplane.Swept{Seen: n, Kept: n})
			test(b, n)
		})
	}
}

// TestSilenceAfterABlindSegmentEndsNothing: it counts no more, as in IPVS, but the next packet finds it.
func TestSilenceAfterABlindSegmentEndsNothing(t *testing.T) {
	t.Parallel()
	eachDoubt(t, func(b sweepBed, n uint32) {
		if got := b.state(); got != model.Kept {
			b.t.Errorf("it is in state %q", got)
		}
		b.load([3]uint64{})
		b.compareHalfOpen(b.t)
		if used, _ := b.path.Usage(); used != 0 {
			b.t.Errorf("%d entries are said to be in use", used)
		}
		b.age(700 * time.Second)
		b.sweep(dataplane.Swept{Seen: n, Kept: n})
		b.client(packet.ACK)
		b.load([3]uint64{1})
		b.sweep(dataplane.Swept{Seen: n})
		b.sound(b.t)
		b.expires(15 * time.Minute)
	})
}

// TestKeptIsForgottenWithTheEstablished, and nothing of it is left.
func TestKeptIsForgottenWithTheEstablished(t *testing.T) {
	t.Parallel()
	eachDoubt(t, func(b sweepBed, n uint32) {
		b.age(700 * time.Second)
		b.sweep(dataplane.Swept{Seen: n, Kept: n})
		b.age(200 * time.Second)
		b.rounds(2)
		b.sweep(dataplane.Swept{})
		b.load([3]uint64{})
		b.sound(b.t)
	})
}

// TestKeptIsDoubtedAgain: who closes it once more changes nothing.
func TestKeptIsDoubtedAgain(t *testing.T) {
	t.Parallel()
	eachDoubt(t, func(b sweepBed, n uint32) {
		b.client(packet.RST)
		b.load([3]uint64{0, 1})
		b.overdue(10*time.Second, n)
		b.sweep(dataplane.Swept{Seen: n, Kept: n})
		b.client(packet.ACK)
		b.load([3]uint64{1})
		b.sound(b.t)
	})
}

// TestPacketThatWakesNobodySettlesNobody: what stays KEPT goes on to give way to whoever comes.
func TestPacketThatWakesNobodySettlesNobody(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []model.Forwarding{model.DR, model.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			b, n := newSettledBed(t, forwarding), entries(forwarding)
			parts := cut(append(talkTo(4, 30, 80, model.TCP, 40000).ask(packet.ACK), hundred), 1, 32, 64)
			b.frame(t, front, packet.Build(parts[0]...))
			b.client(packet.RST)
			b.overdue(10*time.Second, n)
			for what, sent := range map[string]func(){
				"a client's SYN and ACK": func() { b.client(packet.SYN | packet.ACK) },
				"a later fragment":       func() { b.frame(t, front, packet.Build(parts[1]...)) },
				"a server's SYN and ACK": func() { b.answer(packet.SYN | packet.ACK) }, // NAT sees it
			} {
				sent()
				if got := b.state(); got != model.Kept {
					t.Errorf("%s leaves it in state %q", what, got)
				}
				b.settles(what, 0)
			}
			b.answer(packet.ACK)
			b.settles("a server's ACK", 0)
			b.client(packet.ACK)
			b.settles("a client's ACK", int(n))
			b.load([3]uint64{1})
			b.sound(t)
		})
	}
}

// settles complains unless so many places are of connections that are settled.
func (b sweepBed) settles(what string, want int) {
	b.t.Helper()
	buckets, err := b.path.Table()
	if err != nil {
		b.t.Fatal(err)
	}
	n := 0
	for _, bucket := range buckets {
		for _, s := range bucket.Slots {
			if s.Settled {
				n++
			}
		}
	}
	if n != want {
		b.t.Errorf("%s: %d places are settled, want %d", what, n, want)
	}
}

// TestPortOfAKeptConnectionIsAnybodys: in IPVS, too, its SYN is scheduled, since nothing is known of it.
func TestPortOfAKeptConnectionIsAnybodys(t *testing.T) {
	t.Parallel()
	eachDoubt(t, func(b sweepBed, n uint32) {
		e := b.explain(b.t, talkTo(4, 30, 80, model.TCP, 40000))
		if e.Connection == nil || e.Connection.State != model.Kept || e.New == nil {
			b.t.Errorf("it is explained as %+v", e)
		}
		b.client(packet.SYN)
		b.load([3]uint64{0, 1, 1})
		if got := b.state(); got != "SYN_RECV" {
			b.t.Errorf("a new connection is in state %q", got)
		}
		b.overdue(time.Minute, n)
		b.sweep(dataplane.Swept{})
		b.sound(b.t)
	})
}

// TestOnlyDoubtIsKept: what both sides have closed, and what never was settled, ends with its state.
func TestOnlyDoubtIsKept(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		forwarding model.Forwarding
		settled    bool
		ends       []packet.TCPFlags
		answers    []packet.TCPFlags
		timeout    time.Duration
	}{
		"both closed":          {model.NAT, true, []packet.TCPFlags{packet.FIN | packet.ACK}, []packet.TCPFlags{packet.FIN | packet.ACK}, 2 * time.Minute},
		"both closed, and RST": {model.NAT, true, []packet.TCPFlags{packet.FIN | packet.ACK}, []packet.TCPFlags{packet.FIN | packet.ACK, packet.RST}, 10 * time.Second},
		"idle":                 {model.DR, true, nil, nil, 15 * time.Minute},
		"not settled":          {model.DR, false, []packet.TCPFlags{packet.RST}, nil, 10 * time.Second},
		"not settled, by NAT":  {model.NAT, false, []packet.TCPFlags{packet.ACK, packet.FIN | packet.ACK}, nil, 2 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newSweepBed(t, test.forwarding)
			if test.settled {
				b.settle()
			}
			for _, flags := range test.ends {
				b.client(flags)
			}
			for _, flags := range test.answers {
				b.answer(flags)
			}
			b.overdue(test.timeout, entries(test.forwarding))
			b.sweep(dataplane.Swept{})
			b.load([3]uint64{})
		})
	}
}

// What the table of TestKeptGivesWay has room for, and how many of its first connections live.
const keptSize, keptLive = 512, 100

// TestKeptGivesWay: however many are kept, as many newcomers find room as in an empty table, and those
// that live keep theirs. Of a table that is filled to its size 2 keys in 1,000 refuse one all the same, whether
// some were kept or not: both its buckets are full of who lives. So the twin says who finds room.
func TestKeptGivesWay(t *testing.T) {
	t.Parallel()
	t.Run("by a key that chance has made", func(t *testing.T) {
		newKeptBed(t).givesWay()
	})
	t.Run("by a key that refuses two", func(t *testing.T) {
		b := newKeptBed(t)
		b.rekey(t, 6273, keptSize)
		if got, want := b.givesWay(), []uint16{898, 922}; !slices.Equal(got, want) {
			t.Errorf("refused are %d, want %d", got, want)
		}
	})
}

func newKeptBed(t *testing.T) sweepBed {
	t.Helper()
	service := sweepService(model.DR)
	return sweepBed{newTestbed(t, keptSize), t, model.ServiceServer{Service: service.Key, Server: service.Servers[0].Key}}
}

// givesWay fills the table, has most of it kept or ended, and fills it again.
func (b sweepBed) givesWay() (refused []uint16) {
	b.t.Helper()
	b.serve(sweepService(model.DR))
	b.settled(0, keptSize)
	kept := b.reset(keptLive, keptSize)
	most := 3 * uint32(model.Connections{Size: keptSize}.Buckets())
	if kept == 0 || kept > most {
		b.t.Fatalf("%d of %d are kept, want at most %d", kept, keptSize-keptLive, most)
	}
	refused = b.settled(keptSize, 2*keptSize-keptLive)
	b.load([3]uint64{keptSize - uint64(len(refused))})
	b.compareConnections(b.t)
	b.compareCounters(b.t)
	b.sound(b.t)
	return refused
}

func nth(i uint16) talk { return talkTo(4, 30, 80, model.TCP, 20000+i) }

// say is a packet of the nth client.
func (b sweepBed) say(i uint16, flags packet.TCPFlags) outcome {
	b.t.Helper()
	return b.frame(b.t, front, packet.Build(nth(i).ask(flags)...))
}

// settled begins connections from first on, up to last, and has them settle. Who finds no room is refused.
func (b sweepBed) settled(first, last uint16) (refused []uint16) {
	b.t.Helper()
	for i := first; i < last; i++ {
		if b.say(i, packet.SYN).verdict == hashedFull {
			refused = append(refused, i)
		}
		for range twinSettles {
			b.say(i, packet.ACK)
		}
	}
	return refused
}

// reset has a stranger reset connections from first on, up to last, and sweeps until they are gone, or kept.
func (b sweepBed) reset(first, last uint16) (kept uint32) {
	b.t.Helper()
	for i := first; i < last; i++ {
		b.say(i, packet.RST)
	}
	b.elapse(b.t, twinStep)
	b.testbed.sweep(b.t) // marks them
	b.testbed.sweep(b.t) // and ends them
	return b.testbed.sweep(b.t).Kept
}

// TestKeptIsNoMoreThanNothingToTemplates: a client whose connections IPVS would have forgotten is scheduled anew.
func TestKeptIsNoMoreThanNothingToTemplates(t *testing.T) {
	t.Parallel()
	b, _ := newPersistentBed(t, model.Persistence{Timeout: time.Minute})
	b.settle()
	b.client(packet.RST)
	b.overdue(10*time.Second, 2)
	b.turns() // in one of these a connection that lives would keep its template
	b.age(50 * time.Second)
	b.turns()
	if got := b.state(); got != model.Kept {
		t.Errorf("what is left is in state %q", got)
	}
	b.sweep(dataplane.Swept{Seen: 1, Kept: 1})
}

// TestKeptOfAServerThatIsGoneGoes: its client would hear nothing, where one that is not known is reset.
func TestKeptOfAServerThatIsGoneGoes(t *testing.T) {
	t.Parallel()
	eachDoubt(t, func(b sweepBed, _ uint32) {
		service := sweepService(model.DR)
		service.Servers[0] = toServer(4, 12, 80, model.DR)
		b.serve(service)
		b.rounds(2)
		b.sweep(dataplane.Swept{})
		b.sound(b.t)
	})
}

// TestKeptStaysBehindWhenTheTableShrinks: those that live are counted, and find their places.
func TestKeptStaysBehindWhenTheTableShrinks(t *testing.T) {
	t.Parallel()
	const size, live, least = 2048, 900, 1024
	service := sweepService(model.DR)
	b := sweepBed{newTestbed(t, size), t, model.ServiceServer{Service: service.Key, Server: service.Servers[0].Key}}
	b.serve(service)
	b.settled(0, 1200)
	if kept := b.reset(live, 1200); kept < 100 {
		t.Fatalf("%d are kept", kept)
	}
	b.restart(t, least)
	if _, got := b.path.Usage(); got != least {
		t.Fatalf("the table has room for %d", got)
	}
	b.sweep(dataplane.Swept{Seen: live})
	b.load([3]uint64{live})
	b.sound(t)
}
