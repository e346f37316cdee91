// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"bytes"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// recorded is all that is sent to a node from now on.
func (w *world) record(to *node) *[][]byte {
	var all [][]byte
	w.heard = func(n *node, datagram []byte) {
		if n == to {
			all = append(all, bytes.Clone(datagram))
		}
	}
	return &all
}

// throw lets a link hear datagrams that its peer has not sent now, and returns why they were refused.
func throw(t *testing.T, h *hook, datagrams [][]byte) map[Reason]int {
	t.Helper()
	sender, receiver, peer := h.sender.latest, h.receiver.applied, h.peer
	out := map[Reason]int{}
	for _, d := range datagrams {
		deeds, why := h.hear(h.of.w.now, d)
		out[why]++
		for _, each := range deeds {
			if each.kind == insertAll || each.kind == endAll {
				t.Fatalf("%s: the table is changed: %+v", why, each)
			}
		}
	}
	if h.sender.latest != sender || h.receiver.applied != receiver || h.peer != peer {
		t.Error("something is another thing now")
	}
	return out
}

func only(t *testing.T, got map[Reason]int, want ...Reason) {
	t.Helper()
	rest := maps.Clone(got)
	for _, why := range want {
		if rest[why] == 0 {
			t.Errorf("nothing was refused for %s: %v", why, got)
		}
		delete(rest, why)
	}
	if len(rest) > 0 {
		t.Errorf("refused for other reasons: %v", rest)
	}
}

// TestRecordingsChangeNothing, of this start of either side or an older one.
func TestRecordingsChangeNothing(t *testing.T) {
	w, master, backup := pair(t, 20)
	all := w.record(backup)
	w.fill(master, 3000)
	w.run(3 * time.Second)
	for id := range master.table {
		master.end(id)
	}
	w.until(2*time.Second, "all have ended", func() bool { return len(backup.table) == 0 })
	session := *all
	t.Logf("%d datagrams", len(session))

	t.Run("again", func(t *testing.T) {
		only(t, throw(t, backup.hookTo(master), session), ReasonReplay)
	})
	t.Run("to another start of the backup", func(t *testing.T) {
		backup.start(true)
		only(t, throw(t, backup.hookTo(master), session), ReasonEpoch, ReasonUnproved)
		w.run(time.Second)
		if !backup.inSync() {
			t.Error("it is not in sync")
		}
		only(t, throw(t, backup.hookTo(master), session), ReasonReplay)
	})
	t.Run("when the master has started again", func(t *testing.T) {
		master.start(false)
		master.serve(RoleAll)
		w.run(time.Second)
		if !backup.inSync() {
			t.Error("it is not in sync")
		}
		only(t, throw(t, backup.hookTo(master), session), ReasonEpoch, ReasonUnproved)
	})
	t.Run("to the master itself", func(t *testing.T) {
		only(t, throw(t, master.hookTo(backup), *all), ReasonEpoch, ReasonUnproved, ReasonOwn)
	})
}

// TestForgedChangesNothing: who has not the key, whatever it sends and wherever it has that from.
func TestForgedChangesNothing(t *testing.T) {
	w, master, backup := pair(t, 21)
	all := w.record(backup)
	w.fill(master, 300)
	w.run(time.Second)
	h, r := backup.hookTo(master), rand.New(rand.NewPCG(5, 6))
	real := (*all)[len(*all)-1]
	at := uint64(1 << 20)

	t.Run("another key", func(t *testing.T) {
		var forged [][]byte
		for range 1000 {
			at++
			forged = append(forged, mustKeys(t, otherKey).seal(header{version: 1, kind: kindAck, epoch: h.peer, sequence: at}, ack{1}.body()))
		}
		only(t, throw(t, h, forged), ReasonKey)
	})
	t.Run("another key under the id of the right one", func(t *testing.T) {
		other := mustKeys(t, otherKey)
		other[0].secret.id = backup.keys[0].secret.id
		var forged [][]byte
		for range 1000 {
			at++
			c := changes{at, []item{{record: w.connection(r.IntN(1<<20), "ESTABLISHED")}}}
			forged = append(forged, other.seal(header{version: 1, kind: kindChanges, epoch: h.peer, sequence: at}, c.body()),
				other.seal(header{version: 1, kind: kindHello, epoch: epoch{1}, sequence: at}, hello{newest: 1, oldest: 1, role: RoleAll, kept: 1}.body()))
		}
		only(t, throw(t, h, forged), ReasonSeal)
	})
	t.Run("real ones with another sequence, epoch or kind", func(t *testing.T) {
		var forged [][]byte
		for i := range 1000 {
			later, other, kind := bytes.Clone(real), bytes.Clone(real), bytes.Clone(real)
			later[24] = byte(1 + i%255)
			other[8+i%16]++
			other[3] = byte(kindChanges)
			kind[3], kind[24] = byte(kindChanges), 1
			forged = append(forged, later, other, kind)
		}
		got := throw(t, h, forged)
		only(t, got, ReasonSeal, ReasonEpoch)
	})
	t.Run("noise", func(t *testing.T) {
		for range 20_000 {
			noise := make([]byte, r.IntN(1600))
			for i := range noise {
				noise[i] = byte(r.Uint32())
			}
			if n := r.IntN(headerSize + 1); len(noise) > headerSize {
				copy(noise, real[:n])
			}
			if got := throw(t, h, [][]byte{noise}); got[Taken] > 0 {
				t.Fatalf("%x is taken", noise)
			}
		}
	})
	if !backup.inSync() || !backup.hookTo(master).sender.open {
		t.Error("it does not talk to its master any more")
	}
	w.until(time.Second, "equal", func() bool { return differ(master, backup) == 0 })
}

// TestGreetingsCannotMakeItShout: each greeting of an unknown start is a question to answer, but not ever so often.
func TestGreetingsCannotMakeItShout(t *testing.T) {
	w, master, backup := pair(t, 22)
	all := w.record(backup)
	w.run(time.Second)
	old := slicesOfKind(*all, kindHello)
	master.start(true)
	w.run(time.Second)
	sent := 0
	for range 1000 {
		deeds, why := backup.hookTo(master).hear(w.now, old[0])
		if why != ReasonUnproved {
			t.Fatal(why)
		}
		sent += len(deeds)
	}
	if sent > 1 {
		t.Errorf("%d answers at once", sent)
	}
}

func slicesOfKind(datagrams [][]byte, k kind) (out [][]byte) {
	for _, d := range datagrams {
		if kind(d[3]) == k {
			out = append(out, d)
		}
	}
	return out
}

// TestWhatIsForAnotherPeerIsNotTaken: three directors have one key. What is for the second, sent to the third, is none
// of its business, although it is from a peer of it.
func TestWhatIsForAnotherPeerIsNotTaken(t *testing.T) {
	w := newWorld(t, 23, "a", "b", "c")
	a, b, c := w.nodes[0], w.nodes[1], w.nodes[2]
	a.serve(RoleAll)
	all := w.record(b)
	w.fill(a, 500)
	w.run(time.Second)
	var ofA [][]byte
	for _, d := range *all {
		if epoch(d[8:24]) == a.hookTo(b).with.own {
			ofA = append(ofA, d)
		}
	}
	only(t, throw(t, c.hookTo(a), ofA), ReasonEpoch, ReasonUnproved)
}

// TestMalformedByWhoHasTheKeyChangesNothing: another version of weir, or a bug of it.
func TestMalformedByWhoHasTheKeyChangesNothing(t *testing.T) {
	w, master, backup := pair(t, 24)
	w.fill(master, 300)
	w.run(time.Second)
	h, l, r := backup.hookTo(master), master.hookTo(backup), rand.New(rand.NewPCG(7, 8))
	for n := range 50_000 {
		row := bodies[n%len(bodies)]
		body := words(row.wire)
		for range 1 + r.IntN(3) {
			body[r.IntN(len(body))] ^= 1 << r.IntN(8)
		}
		if r.IntN(4) == 0 {
			body = body[:r.IntN(len(body)+1)]
		}
		if _, why := parseBody(row.kind, body); why == Taken {
			continue
		}
		got := throw(t, h, [][]byte{l.seal(message{row.kind, body})})
		if got[Taken] > 0 {
			t.Fatalf("%s: %x is taken", row.name, body)
		}
	}
	w.until(time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
}

// TestFarAheadIsNotKept: memory is bounded, whatever the peer says.
func TestFarAheadIsNotKept(t *testing.T) {
	w, master, backup := pair(t, 25)
	w.run(time.Second)
	h, l := backup.hookTo(master), master.hookTo(backup)
	for n := range uint64(3 * mostWaiting) {
		c := changes{h.receiver.applied + 2 + n, []item{{record: w.connection(int(n), "ESTABLISHED")}}}
		h.hear(w.now, l.seal(message{kindChanges, c.body()}))
	}
	if n := len(h.receiver.waiting); n > mostWaiting {
		t.Errorf("%d datagrams wait", n)
	}
	if len(h.receiver.holes()) > mostHoles {
		t.Error("it asks for too much at once")
	}
}

// TestKeysRotate without a word being lost: the new key second on each, then first on each, then alone.
func TestKeysRotate(t *testing.T) {
	w, master, backup := pair(t, 26)
	for _, texts := range [][2]string{
		{testKey + "\n" + otherKey, testKey}, {testKey + "\n" + otherKey, testKey + "\n" + otherKey},
		{otherKey + "\n" + testKey, testKey + "\n" + otherKey}, {otherKey + "\n" + testKey, otherKey + "\n" + testKey},
		{otherKey, otherKey + "\n" + testKey}, {otherKey, otherKey},
	} {
		master.hookTo(backup).with.keys, backup.hookTo(master).with.keys = mustKeys(t, texts[0]), mustKeys(t, texts[1])
		w.live(master, time.Second, 900)
	}
	w.until(time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
	for _, h := range []*hook{master.hookTo(backup), backup.hookTo(master)} {
		if n := h.tally.heard[ReasonKey].Load() + h.tally.lost.Load() + h.tally.resent.Load(); n > 0 {
			t.Errorf("%d datagrams were not understood", n)
		}
	}
}

// TestVersionIsTheNewestThatBothSpeak.
func TestVersionIsTheNewestThatBothSpeak(t *testing.T) {
	for _, row := range []struct{ newest, oldest, want uint8 }{{1, 1, 1}, {2, 1, 1}, {9, 1, 1}, {2, 2, 0}, {0, 0, 0}} {
		if got := common(row.newest, row.oldest); got != row.want {
			t.Errorf("%d to %d: %d, want %d", row.oldest, row.newest, got, row.want)
		}
	}
	w, master, backup := pair(t, 27)
	w.run(time.Second)
	h, l := backup.hookTo(master), master.hookTo(backup)
	greet := func(newest, oldest uint8) {
		g := hello{newest: newest, oldest: oldest, role: RoleAll, challenge: l.challenge, accepts: h.with.own, latest: l.sender.latest, kept: l.sender.first()}
		if _, why := h.hear(w.now, l.seal(message{kindHello, g.body()})); why != Taken {
			t.Fatal(why)
		}
	}
	greet(2, 1)
	if !h.sender.open || !backup.inSync() {
		t.Error("a newer one, which speaks this version too, is not talked to")
	}
	greet(2, 2)
	if h.sender.open || backup.inSync() {
		t.Error("one that does not speak this version is talked to")
	}
	if at := h.deadline(); at.Before(w.now) {
		t.Error("it spins")
	}
	foreign := h.state(w.now)
	if foreign.Heard || foreign.Newest != 2 || foreign.Version != 0 || !foreign.turned(State{Role: RoleAll}) {
		t.Errorf("of one that speaks other versions it is told %+v", foreign)
	}
	h.tick(w.now.Add(silentAfter))
	if s := h.state(w.now.Add(silentAfter)); s.Newest != 0 || !s.turned(foreign) {
		t.Errorf("it speaks no more, and yet %+v", s)
	}
}

// FuzzHear: a peer with the key says anything. Nothing breaks, and what is not taken changes nothing.
func FuzzHear(f *testing.F) {
	for _, row := range bodies {
		f.Add(byte(row.kind), words(row.wire), true)
		f.Add(byte(row.kind), words(row.wire), false)
	}
	f.Fuzz(func(t *testing.T, k byte, body []byte, sealed bool) {
		w, master, backup := pair(t, 28)
		w.run(50 * time.Millisecond)
		h, l := backup.hookTo(master), master.hookTo(backup)
		datagram := body
		if sealed {
			datagram = l.seal(message{kind(k), body})
		}
		deeds, why := h.hear(w.now, datagram)
		for _, d := range deeds {
			if why != Taken && d.kind != send {
				t.Errorf("%s, and yet %+v", why, d)
			}
		}
		for range 3 {
			h.do(h.tick(w.now))
			w.now = w.now.Add(time.Second)
		}
	})
}

// TestQueueKeepsTheNewest of an identity, at the place of the oldest.
func TestQueueKeepsTheNewest(t *testing.T) {
	w, q := newWorld(t, 29), newQueue()
	r := rand.New(rand.NewPCG(9, 10))
	var order []model.Identity
	newest := map[model.Identity]item{}
	for n := range 20_000 {
		i := item{record: w.connection(r.IntN(500), []string{"ESTABLISHED", "FIN_WAIT"}[r.IntN(2)])}
		if r.IntN(3) == 0 {
			i = endedItem(i.record.Identity())
		}
		id := i.record.Identity()
		if _, ok := newest[id]; !ok {
			order = append(order, id)
		}
		newest[id] = i
		if !q.put(begun.Add(time.Duration(n)), i) {
			t.Fatal("full")
		}
		if n%97 != 0 {
			continue
		}
		out := q.pack()
		size := changesSize
		for at, got := range out {
			if got != newest[order[at]] {
				t.Fatalf("got %+v, want %+v", got, newest[order[at]])
			}
			size += got.size()
			delete(newest, order[at])
		}
		order = order[len(out):]
		if size > mostBody || len(out) == 0 || q.len() != len(order) {
			t.Fatalf("%d items of %d bytes, %d left of %d", len(out), size, q.len(), len(order))
		}
		bytes := 0
		for _, each := range q.items {
			bytes += each.size()
		}
		if bytes != q.bytes {
			t.Fatalf("%d bytes, it says %d", bytes, q.bytes)
		}
	}
}

// TestQueueIsBounded: what does not fit is not lost without a word.
func TestQueueIsBounded(t *testing.T) {
	w, master, backup := pair(t, 30)
	w.until(time.Second, "in sync", func() bool { return backup.inSync() && master.hookTo(backup).sender.open })
	h := master.hookTo(backup)
	for i := range mostQueued + 5000 {
		r := w.connection(i, "ESTABLISHED")
		master.table[r.Identity()] = r
		h.change(w.now, item{record: r})
	}
	if h.sender.queue.len() != mostQueued || h.sender.room() != 0 || h.tally.dropped.Load() != 5000 {
		t.Errorf("%d wait, %d were dropped", h.sender.queue.len(), h.tally.dropped.Load())
	}
	w.until(2*time.Second, "the backup knows that something is missing", func() bool { return !backup.inSync() })
	w.until(5*time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
}

// TestSlowPeerIsWaitedFor if it is alone: nothing that was sent is given up, and the rest stays in the table. Of several
// peers nobody waits for one.
func TestSlowPeerIsWaitedFor(t *testing.T) {
	for _, sole := range []bool{true, false} {
		w, now := newWorld(t, 31), begun
		s := newSender(sole, &tally{}, maphash.MakeSeed())
		s.become(now, RoleAll)
		s.turn(now, true)
		told := 0
		tell := func() {
			for range 130 {
				for ; s.room() > 0 && s.queue.len() < 2000; told++ {
					s.change(now, item{record: w.connection(5*told+1, "ESTABLISHED")})
				}
				s.tick(now)
				if now = now.Add(10 * time.Millisecond); s.waits() && isDue(s.deadline(true), now) {
					t.Fatal("it spins")
				}
			}
		}
		tell()
		first := s.first()
		switch {
		case sole && (first != 1 || len(s.kept) != mostKept || s.queue.len() == 0):
			t.Errorf("alone: the first of %d that are kept is %d, %d changes wait", len(s.kept), first, s.queue.len())
		case !sole && first == 1:
			t.Error("not alone, and waited for")
		}
		s.acknowledge(s.latest)
		tell()
		if s.first() == first {
			t.Error("it does not go on")
		}
	}
}

// TestLossIsSeenAfterSilence: what changes while nothing is said makes no later loss look as if it was told already.
func TestLossIsSeenAfterSilence(t *testing.T) {
	w, now := newWorld(t, 31), begun
	s := newSender(false, &tally{}, maphash.MakeSeed())
	s.change(now, item{record: w.connection(1, "ESTABLISHED")})
	s.turn(now, true)
	for n := 2; s.tally.dropped.Load() == 0; n++ {
		s.change(now, item{record: w.connection(n, "ESTABLISHED")})
	}
	if s.latest != 1 {
		t.Errorf("behind the loss the latest position is %d, want the empty one, 1", s.latest)
	}
}
