// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// What a walk does beside sending frames: time passes, the table is swept, connections are killed; and clients and
// servers go on with what they began, since of frames at random few settle a connection and close it again.

// walkTimeouts have all to do with how long connections of a walk live; none ends within five seconds after a whole
// number of steps. Nor do the defaults.
var walkTimeouts = []model.Timeouts{
	{},
	oddTimeouts,
	{SynRecv: 80 * time.Second, Established: 6 * time.Minute, FinWait: time.Minute, TimeWait: 10 * time.Second, Close: 160 * time.Second, UDP: 15 * time.Second},
}

// walkPersists are timeouts of templates: those that connections keep at a minute are in whole steps a few seconds younger.
var walkPersists = []time.Duration{30 * time.Second, 65 * time.Second, 310 * time.Second}

// timed is a world of which the twin knows when its connections expire.
func timed(random *rand.Rand, want model.DataplaneWant) model.DataplaneWant {
	return changed(want, func(s *model.ServiceWant) {
		s.Timeouts = walkTimeouts[random.IntN(len(walkTimeouts))]
		if random.IntN(4) == 0 { // who expires, or is kept, makes room
			limit(s.Servers, random)
		}
		if s.Persistence.Timeout > 0 {
			s.Persistence.Timeout = walkPersists[random.IntN(len(walkPersists))]
		}
	})
}

// elapse lets time pass in both, and takes back what really passed.
func (b *testbed) elapse(t testing.TB, by time.Duration) {
	t.Helper()
	if err := b.path.Elapse(twinStep, by); err != nil {
		t.Fatal(err)
	}
	b.twin.elapse(by)
	b.rounded = time.Now()
}

// sweep is a round in both, and compares what it did.
func (b *testbed) sweep(t testing.TB) dataplane.Swept {
	t.Helper()
	if time.Since(b.rounded) > time.Second {
		b.elapse(t, 0)
	}
	want := b.twin.sweep(b.path.Round())
	got, err := b.path.Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("swept (-want +got):\n%s", diff)
	}
	b.elapse(t, 0)
	return got
}

// killBoth kills in both.
func (b *testbed) killBoth(t *testing.T, wanted func(dataplane.Connection) bool) {
	t.Helper()
	b.kill(t, wanted, b.twin.kill(wanted))
}

// walkAges are how many steps pass at once: about as long as the timeouts are.
var walkAges = []int{0, 1, 1, 2, 3, 5, 9, 26}

// timePasses, and the table is swept, while a few go on; then perhaps a crowd comes, and some are killed.
func (w *walk) timePasses(t *testing.T) {
	t.Helper()
	w.forgetFragments(t)
	steps := walkAges[w.random.IntN(len(walkAges))]
	w.elapse(t, time.Duration(steps)*twinStep)
	w.did(fmt.Sprintf("%d steps of %s passed", steps, twinStep))
	for range 1 + w.random.IntN(3) {
		w.did(fmt.Sprintf("swept %+v", w.sweep(t)))
		w.agree(t)
		for range w.random.IntN(8) {
			w.converse(t)
		}
	}
	if w.random.IntN(2) == 0 {
		w.crowd(t)
		w.agree(t)
	}
	if w.random.IntN(3) == 0 {
		wanted, of := w.random.Uint32N(16), uint16(w.random.Uint32N(8))
		w.did(fmt.Sprintf("killed those in state %d and of port %d", wanted, of))
		w.killBoth(t, func(c dataplane.Connection) bool {
			return c.Client.Port()%8 == of || wanted < uint32(len(killable)) && c.State == killable[wanted]
		})
		w.agree(t)
	}
}

// crowd is of clients that come all at once, and say no more.
func (w *walk) crowd(t *testing.T) {
	t.Helper()
	m := methods[w.random.IntN(len(methods))]
	for range w.random.IntN(60) {
		w.crowds++
		w.frameOnce(t, front, packet.Build(talkTo(4, m.host, webPort(model.TCP), model.TCP, 40000+w.crowds).open()...))
	}
}

// killable are states of which all may be killed at once.
var killable = model.ListedStates()

// agree: path and twin have the same connections, and have counted the same.
func (w *walk) agree(t *testing.T) {
	t.Helper()
	w.compareConnections(t)
	w.compareCounters(t)
	w.failed(t)
}

// walkTalks is how many talks go on in a walk.
const walkTalks = 60

// newTalks are by each method, in both families and all protocols.
func newTalks(random *rand.Rand) (out []talk) {
	for i := range uint16(walkTalks) {
		f, p := []family{4, 6}[random.IntN(2)], protocols[random.IntN(len(protocols))]
		m := methods[random.IntN(len(methods))]
		if random.IntN(2) == 0 {
			m = methods[3] // by NAT a director sees both sides
		}
		out = append(out, talkTo(f, m.host, webPort(p), p, 60000+i))
	}
	return out
}

// talkFlags are what is said in a talk, mostly that it goes on.
var talkFlags = []packet.TCPFlags{
	packet.SYN, packet.ACK, packet.ACK, packet.ACK, packet.ACK, packet.ACK, packet.SYN | packet.ACK, packet.FIN | packet.ACK, packet.RST,
}

// converse is a part of a talk; by NAT its server answers.
func (w *walk) converse(t *testing.T) {
	t.Helper()
	c := w.talks[w.random.IntN(len(w.talks))]
	for range 1 + w.random.IntN(6) {
		flags := talkFlags[w.random.IntN(len(talkFlags))]
		if server, ok := w.server(c); ok && w.random.IntN(3) == 0 {
			w.frameOnce(t, back, packet.Build(c.answer(server, flags)...))
		} else {
			w.frameOnce(t, front, packet.Build(c.ask(flags)...))
		}
	}
}
