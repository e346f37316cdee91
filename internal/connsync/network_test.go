// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// pair is a master and a backup that know each other.
func pair(t *testing.T, seed uint64) (w *world, master, backup *node) {
	w = newWorld(t, seed, "master", "backup")
	master, backup = w.nodes[0], w.nodes[1]
	master.serve(RoleAll)
	return w, master, backup
}

func TestOldConnectionsAreWithTheBackupSoon(t *testing.T) {
	w, master, backup := pair(t, 1)
	w.until(time.Second, "in sync", backup.inSync)
	w.fill(master, 10_000)
	took := w.until(time.Second, "equal", func() bool { return differ(master, backup) == 0 })
	t.Logf("10,000 connections are with the backup after %s", took)
	if took > 200*time.Millisecond {
		t.Errorf("after %s", took)
	}
}

func TestWhoJoinsGetsEverything(t *testing.T) {
	w, master, backup := pair(t, 2)
	backup.dead = true
	w.fill(master, 100_000)
	w.run(time.Second)
	backup.start(true)
	w.run(20 * time.Millisecond)
	if backup.inSync() {
		t.Error("in sync although it has nothing")
	}
	took := w.until(5*time.Second, "in sync", backup.inSync)
	t.Logf("100,000 connections after %s", took)
	if n := differ(master, backup); n != 0 {
		t.Errorf("it says that it is in sync, and %d connections differ", n)
	}
}

// TestTablesBecomeEqual: whatever the network does, and whoever restarts, they are equal soon after it stops.
func TestTablesBecomeEqual(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w, master, backup := pair(t, 100+seed)
			w.fill(master, 2000)
			for range 6 {
				w.loss, w.double = w.rand.Float64()*0.6, w.rand.Float64()*0.3
				w.delay = time.Duration(1+w.rand.IntN(80)) * time.Millisecond
				w.cut = w.rand.IntN(4) == 0
				w.live(master, time.Duration(w.rand.IntN(5000))*time.Millisecond, 900)
				switch w.rand.IntN(4) {
				case 0:
					backup.start(w.rand.IntN(2) == 0)
				case 1:
					master.start(false)
					master.serve(RoleAll)
				}
			}
			w.loss, w.double, w.cut, w.delay = 0, 0, false, 2*time.Millisecond
			took := w.until(2*time.Second, "equal digests", func() bool { return master.digests() == backup.digests() })
			w.until(2*time.Second, "in sync", backup.inSync)
			t.Logf("after %s; resent %d, lost %d, pruned %d", took, master.hookTo(backup).tally.resent.Load(), backup.hookTo(master).tally.lost.Load(), backup.hookTo(master).tally.pruned.Load())
		})
	}
}

// TestLossCostsNoConnection: with 30 % lost, and datagrams that overtake each other and come twice, the backup has all
// that is older than a second, at any moment.
func TestLossCostsNoConnection(t *testing.T) {
	w, master, backup := pair(t, 3)
	w.until(time.Second, "in sync", backup.inSync)
	w.loss, w.double, w.delay = 0.3, 0.1, 10*time.Millisecond
	for i := range 200 {
		for j := range 50 {
			master.put(w.connection(50*i+j, "ESTABLISHED"))
		}
		w.run(20 * time.Millisecond)
		for j := range max(0, i-50) * 50 {
			r := w.connection(j, "ESTABLISHED")
			if backup.table[r.Identity()] != r {
				t.Fatalf("after %s connection %d of %d is missing", w.now.Sub(begun), j, 50*i)
			}
		}
	}
}

func TestCutIsMendedSoon(t *testing.T) {
	w, master, backup := pair(t, 4)
	w.fill(master, 10_000)
	w.until(2*time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
	w.cut = true
	w.live(master, 60*time.Second, 900)
	if backup.inSync() {
		t.Error("in sync although it hears nothing")
	}
	if backup.hookTo(master).deadline().Sub(w.now) < 0 {
		t.Error("it spins")
	}
	w.cut = false
	took := w.until(2*time.Second, "equal", func() bool { return master.digests() == backup.digests() })
	w.until(2*time.Second, "in sync", backup.inSync)
	t.Logf("equal %s after a cut of a minute, %d connections were ended", took, backup.hookTo(master).tally.pruned.Load())
}

// TestNobodyIsInSyncBeforeHeIs: after a cut, or while its master does not hear it and so tells it nothing, a backup does
// not say that it has what it has not. A better one would take over with it.
func TestNobodyIsInSyncBeforeHeIs(t *testing.T) {
	for name, silence := range map[string]func(w *world, backup *node, on bool){
		"cut":        func(w *world, _ *node, on bool) { w.cut = on },
		"unheard of": func(w *world, backup *node, on bool) { w.mute = map[bool]*node{true: backup}[on] },
	} {
		t.Run(name, func(t *testing.T) {
			w, master, backup := pair(t, 14)
			w.fill(master, 2000)
			w.until(2*time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
			silence(w, backup, true)
			w.live(master, 10*time.Second, 900)
			if backup.inSync() {
				t.Errorf("in sync in silence, and %d connections differ", differ(master, backup))
			}
			silence(w, backup, false)
			w.until(2*time.Second, "in sync", backup.inSync)
			if master.digests() != backup.digests() {
				t.Errorf("in sync after it, and %d connections differ", differ(master, backup))
			}
		})
	}
}

// TestShortCutNeedsNoCopy: what is kept is sent again, and nothing else.
func TestShortCutNeedsNoCopy(t *testing.T) {
	w, master, backup := pair(t, 5)
	w.fill(master, 1000)
	w.until(2*time.Second, "in sync", func() bool { return backup.inSync() && differ(master, backup) == 0 })
	requests := backup.hookTo(master).receiver.requests
	w.cut = true
	w.live(master, time.Second, 900)
	w.cut = false
	w.until(time.Second, "equal", func() bool { return differ(master, backup) == 0 })
	if l := backup.hookTo(master); l.tally.lost.Load() != 0 || l.receiver.requests != requests {
		t.Errorf("%d datagrams were lost, %d requests made", l.tally.lost.Load(), l.receiver.requests-requests)
	}
}

// TestWhatThePeerHasNotEnds: connections that have ended while nobody heard it, or that nobody ever had.
func TestWhatThePeerHasNotEnds(t *testing.T) {
	w, master, backup := pair(t, 6)
	w.fill(master, 500)
	for i := range 300 {
		backup.table[w.connection(10_000+i, "ESTABLISHED").Identity()] = w.connection(10_000+i, "ESTABLISHED")
	}
	w.until(2*time.Second, "in sync", backup.inSync)
	if n := differ(master, backup); n != 0 {
		t.Errorf("%d differ", n)
	}
	if got := backup.hookTo(master).tally.pruned.Load(); got != 300 {
		t.Errorf("pruned %d", got)
	}
}

// TestMasterKnowsBetter: a director that comes back with an old table, and believes that it is master, too, changes
// nothing of what this one serves. What it does not know yet may be the last news of a master before, and is taken.
func TestMasterKnowsBetter(t *testing.T) {
	w, master, other := pair(t, 7)
	w.fill(master, 500)
	other.serve(RoleAll)
	for i := range 700 {
		other.put(w.connection(i, "FIN_WAIT"))
	}
	w.run(10 * time.Second)
	for i := range 500 {
		id := w.connection(i, "").Identity()
		if r := master.table[id]; r.State != "ESTABLISHED" {
			t.Fatalf("%v is %s", id, r.State)
		}
	}
	if len(master.table) != 700 || len(other.table) != 700 {
		t.Errorf("%d and %d connections", len(master.table), len(other.table))
	}
	if other.ours == 0 || master.ours == 0 {
		t.Error("nothing was left alone")
	}
}

// TestBothServeAPart: each is master of some services, and both get to know all connections.
func TestBothServeAPart(t *testing.T) {
	w := newWorld(t, 8, "a", "b")
	a, b := w.nodes[0], w.nodes[1]
	a.serves = func(id model.Identity) bool { return id.Virtual.Addr().Is4() }
	a.serve(RoleSome)
	b.serves = func(id model.Identity) bool { return id.Virtual.Addr().Is6() }
	b.serve(RoleSome)
	w.loss = 0.1
	for i := range 2000 {
		if r := w.connection(i, "ESTABLISHED"); r.Virtual.Addr().Is4() {
			a.put(r)
		} else {
			b.put(r)
		}
	}
	w.until(10*time.Second, "equal", func() bool { return a.inSync() && b.inSync() && differ(a, b) == 0 })
	if len(a.table) != 2000 {
		t.Errorf("%d connections", len(a.table))
	}
}

// TestThirdKeepsWhatTheOthersServe: with several peers, none of which serves all, nothing is ended for not being told: a
// and b do not have each other's servers.
func TestThirdKeepsWhatTheOthersServe(t *testing.T) {
	w := newWorld(t, 9, "a", "b", "c")
	a, b, c := w.nodes[0], w.nodes[1], w.nodes[2]
	a.serves = func(id model.Identity) bool { return id.Virtual.Addr().Is4() }
	a.knows = func(r model.Record) bool { return r.Virtual.Addr().Is4() }
	a.serve(RoleSome)
	b.serves = func(id model.Identity) bool { return id.Virtual.Addr().Is6() }
	b.knows = func(r model.Record) bool { return r.Virtual.Addr().Is6() }
	b.serve(RoleSome)
	for i := range 1000 {
		if r := w.connection(i, "ESTABLISHED"); r.Virtual.Addr().Is4() {
			a.put(r)
		} else {
			b.put(r)
		}
	}
	w.until(5*time.Second, "all", func() bool { return len(c.table) == 1000 && c.inSync() })
	w.run(2 * time.Minute)
	if len(c.table) != 1000 || c.hookTo(a).tally.pruned.Load() != 0 {
		t.Errorf("%d connections", len(c.table))
	}
}

// TestTakeoverTellsTheOthers: who takes over has all, and the one that returns gets all from it.
func TestTakeoverTellsTheOthers(t *testing.T) {
	w, a, b := pair(t, 10)
	w.loss = 0.2
	w.fill(a, 3000)
	w.until(5*time.Second, "equal", func() bool { return b.inSync() && differ(a, b) == 0 })
	a.dead = true
	b.serve(RoleAll)
	w.live(b, 5*time.Second, 900)
	a.start(true)
	w.until(5*time.Second, "equal", func() bool { return a.inSync() && a.digests() == b.digests() })
	b.serve(RoleNone)
	a.serve(RoleAll)
	w.live(a, 5*time.Second, 900)
	w.loss = 0
	w.until(5*time.Second, "equal again", func() bool { return b.inSync() && a.digests() == b.digests() })
}

// TestUnknownServerComesInWhenItIsKnown: what was refused for its server differs in the digest, and is asked for, but not
// ever so often.
func TestUnknownServerComesInWhenItIsKnown(t *testing.T) {
	w, master, backup := pair(t, 11)
	backup.knows = func(r model.Record) bool { return r.Server.Addr().As4()[3] != 3 }
	w.fill(master, 1000)
	w.until(5*time.Second, "in sync", backup.inSync)
	if differ(master, backup) == 0 {
		t.Fatal("nothing was refused")
	}
	before := backup.hookTo(master).receiver.requests
	w.run(10 * time.Minute)
	if n := backup.hookTo(master).receiver.requests - before; n > 15 {
		t.Errorf("it has asked %d times in ten minutes", n)
	}
	backup.knows = nil
	for _, h := range backup.links {
		h.do(h.reconsider(w.now))
	}
	w.until(2*time.Second, "equal", func() bool { return differ(master, backup) == 0 })
}

// TestLagIsTold: how long, and how much, the peer has been without.
func TestLagIsTold(t *testing.T) {
	w, master, backup := pair(t, 12)
	w.until(time.Second, "in sync", func() bool { return backup.inSync() && master.hookTo(backup).sender.open })
	w.cut = true
	w.fill(master, 100)
	w.run(time.Second)
	if s := master.hookTo(backup).state(w.now); s.Lag < 900*time.Millisecond || !s.Heard {
		t.Errorf("%+v", s)
	}
	w.cut = false
	w.until(time.Second, "no lag", func() bool { s := master.hookTo(backup).state(w.now); return s.Lag == 0 && s.Has })
	s := master.hookTo(backup).state(w.now)
	if s.Queue != 0 || s.Counts.Resent == 0 {
		t.Errorf("%+v", s)
	}
	w.cut = true
	w.run(3 * time.Second)
	if s := master.hookTo(backup).state(w.now); s.Heard || s.Has || s.Lag != 0 {
		t.Errorf("nobody is there, and yet %+v", s)
	}
}

// TestTakeoverWaitsForNothing: what is here is taken in, although something before it is missing.
func TestTakeoverWaitsForNothing(t *testing.T) {
	w, master, backup := pair(t, 13)
	w.until(time.Second, "in sync", func() bool { return backup.inSync() && master.hookTo(backup).sender.open })
	h, l := backup.hookTo(master), master.hookTo(backup)
	first := h.receiver.applied + 1
	for _, n := range []uint64{0, 1, 4, 3} { // 2 is lost
		c := changes{first + n, []item{{record: w.connection(int(n), "ESTABLISHED")}}}
		deeds, why := h.hear(w.now, l.seal(message{kindChanges, c.body()}))
		if why != Taken {
			t.Fatal(why)
		}
		h.do(deeds)
	}
	if len(backup.table) != 2 {
		t.Errorf("%d connections before", len(backup.table))
	}
	backup.serve(RoleAll)
	if len(backup.table) != 4 || len(h.receiver.waiting) != 0 {
		t.Errorf("%d connections, %d datagrams wait", len(backup.table), len(h.receiver.waiting))
	}
}
