// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// draftTime is when the draft's adverts were sent.
var draftTime = time.Unix(0x68000000, int64(time.Second/2))

func guardOf(t testing.TB, keys string, change ...func(*model.VirtualRouter)) *guard {
	t.Helper()
	g := newGuard()
	g.follow(of(100, change...), keysOf(t, keys))
	return &g
}

const (
	otherKey = "2 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
	second   = time.Second
	day      = 24 * time.Hour
)

// host is a director's guard, and a clock that somebody sets.
type host struct {
	*guard
	t    *testing.T
	own  netip.Addr
	step time.Duration // by which its clock is wrong

	recorded []advert // of a forger: what it has heard of others
}

// forge is an advert of who has no key, but knows what others have said.
func (h *host) forge(random *rand.Rand, now time.Time) (advert, netip.Addr) {
	priority := []uint8{0, 254, 255}[random.IntN(3)]
	switch random.IntN(5) {
	case 0: // not signed
		a := said(priority)
		return a, h.own
	case 1: // by somebody else
		other := *h
		other.own = netip.MustParseAddr("192.0.2.9")
		return other.says(now, priority), other.own
	case 2: // with a key of his own, and its id
		a := h.says(now, priority)
		a.trailer.key, a.text[13] = 9, 9
		return a, h.own
	case 3: // said once, and changed
		for {
			text := bytes.Clone(h.recorded[random.IntN(len(h.recorded))].text)
			bit := random.IntN(len(text) * 8)
			text[bit/8] ^= 1 << (bit % 8)
			if a, why := parse(resum(text, from4), way{h.own, group4, hops}); why == Taken {
				a.text = text
				return a, h.own
			}
		}
	}
	return h.recorded[random.IntN(len(h.recorded))], h.own // said once
}

func newHost(t *testing.T, own netip.Addr, keys string) *host {
	h := &host{guard: guardOf(t, keys), t: t, own: own}
	h.boot(0)
	return h
}

// boot begins anew, with a clock that is wrong by so much.
func (h *host) boot(wrong time.Duration) {
	keys, mode := h.keys, h.mode
	g := newGuard()
	h.guard, h.step = &g, wrong
	h.follow(of(100, func(r *model.VirtualRouter) { r.Auth.Mode = mode }), keys)
	h.wall = func(now time.Time) time.Time { return now.Add(h.step) }
}

// says is its next advert, as it comes to others.
func (h *host) says(now time.Time, priority uint8) advert {
	w := way{h.own, group4, hops}
	text := h.sign(now, said(priority), h.own).bytes(w)
	a, why := parse(text, w)
	if why != Taken {
		h.t.Fatal(why)
	}
	a.text = text
	return a
}

func (h *host) hears(now time.Time, a advert, from *host) Reason { return h.admit(now, a, from.own) }

// epoch is when the tests begin, by a clock that never jumps.
var epoch = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// live has a director advertise to another one each second, and counts what is refused.
func live(from, to *host, begin time.Time, seconds int) (refused int, at time.Time) {
	for i := range seconds {
		at = begin.Add(time.Duration(i) * second)
		if to.hears(at, from.says(at, 100), from) != Taken {
			refused++
		}
	}
	return refused, at.Add(second)
}

// TestNoClockThatIsSetIsNoticed (fault 41): whichever director's clock is set, forward or back, while both know each
// other, no advert is refused.
func TestNoClockThatIsSetIsNoticed(t *testing.T) {
	steps := []time.Duration{time.Hour, -time.Hour, day, -day, 100 * time.Millisecond, -100 * time.Millisecond, 4 * second, -4 * second, 6 * second, -6 * second, 366 * day, -366 * day}
	for _, first := range steps {
		for _, next := range []time.Duration{0, first, -first, time.Hour} {
			for who := range 3 {
				a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
				now := epoch
				for _, step := range []time.Duration{0, first, next, 0} {
					if who != 1 {
						a.step = step
					}
					if who != 0 {
						b.step = step
					}
					for _, pair := range [][2]*host{{a, b}, {b, a}} { // one is master, then the other one
						var refused int
						if refused, now = live(pair[0], pair[1], now, 30); refused > 0 {
							t.Fatalf("clocks set to %s of %s, then %s, of hosts %d: %d adverts of %s are refused", step, first, next, who, refused, pair[0].own)
						}
					}
				}
			}
		}
	}
}

// TestAWrongClockKeepsNobodyOut: a director that begins with a wrong clock, beside one that lives, is believed as soon
// as it has heard that one, and the one whose clock is behind of two that begin when it has heard the other.
func TestAWrongClockKeepsNobodyOut(t *testing.T) {
	for _, wrong := range []time.Duration{time.Hour, -time.Hour, day, -day, -10 * 366 * day} {
		a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
		_, now := live(a, b, epoch, 30)
		b.boot(wrong)
		if why := b.hears(now, a.says(now, 200), a); why != Taken && wrong < 0 {
			t.Errorf("begun %s wrong: what lives is %s", wrong, why)
		}
		if why := a.hears(now, b.says(now, 100), b); why != Taken {
			t.Errorf("begun %s wrong: it is %s to the one that lives", wrong, why)
		}
		if why := b.hears(now.Add(second), a.says(now.Add(second), 200), a); why != Taken {
			t.Errorf("begun %s wrong: what lives is %s an advert later", wrong, why)
		}
		if refused, _ := live(b, a, now.Add(2*second), 10); refused > 0 {
			t.Errorf("begun %s wrong: %d adverts are refused", wrong, refused)
		}
	}
}

// TestWhoBeginsAnewIsBelieved, whatever its clock was before and is now.
func TestWhoBeginsAnewIsBelieved(t *testing.T) {
	for _, c := range []struct{ before, after time.Duration }{{0, 0}, {time.Hour, 0}, {day, 0}, {0, time.Hour}, {-time.Hour, 0}} {
		a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
		a.boot(c.before)
		refused, now := live(a, b, epoch, 10)
		if c.before >= 0 && refused > 0 {
			t.Fatalf("%+v: %d refused", c, refused)
		}
		a.boot(c.after)
		now = now.Add(10 * second)
		if refused, _ := live(a, b, now, 10); refused > 0 {
			t.Errorf("%+v: %d are refused of who has begun anew", c, refused)
		}
	}
}

// TestNothingIsBelievedTwice: a recording is refused at once and later, alone and beside its sender, by who has heard
// it, has begun since, or has a clock that was set.
func TestNothingIsBelievedTwice(t *testing.T) {
	a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
	var recorded []advert
	now := epoch
	for range 100 {
		recorded = append(recorded, a.says(now, 200))
		if why := b.hears(now, recorded[len(recorded)-1], a); why != Taken {
			t.Fatal(why)
		}
		now = now.Add(second)
	}
	none := func(what string, at time.Time) {
		t.Helper()
		for i, old := range recorded {
			if why := b.hears(at, old, a); why == Taken {
				t.Errorf("%s: number %d is believed", what, i)
			}
		}
	}
	none("at once", now)
	none("a minute later", now.Add(time.Minute))
	now = now.Add(2 * time.Minute)
	if why := b.hears(now, a.says(now, 200), a); why != Taken {
		t.Errorf("its sender is %s", why)
	}
	none("beside its sender", now)
	for _, step := range []time.Duration{time.Hour, -time.Hour, day, -day, -2 * time.Minute, -3 * time.Minute} {
		b.step = step
		none(fmt.Sprintf("clock set by %s", step), now.Add(second))
	}
	b.boot(0)
	none("begun anew", now.Add(time.Minute))
}

// TestAClockThatIsSetBackBringsNothingBack: who has a recording of all that a master, now dead, has said for an hour,
// and repeats it in order to a director whose clock was set back by that hour, is believed by none: neither by one that
// has heard him, nor by one that has not.
func TestAClockThatIsSetBackBringsNothingBack(t *testing.T) {
	for _, known := range []bool{true, false} {
		a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
		b.begin(epoch)
		recorded, now := []advert(nil), epoch
		for ; now.Before(epoch.Add(time.Hour)); now = now.Add(second) {
			said := a.says(now, 200)
			if recorded = append(recorded, said); !known {
				continue
			}
			if why := b.hears(now, said, a); why != Taken {
				t.Fatal(why)
			}
		}
		b.step = -time.Hour
		for i, old := range recorded {
			if why := b.hears(now.Add(5*second), old, a); why == Taken {
				t.Errorf("known %v: number %d of an hour ago is believed", known, i)
				break
			}
			now = now.Add(second)
		}
	}
}

// TestAClockThatIsSetRightIsBelieved: the sender's, which was ahead or behind, by a director whose own was right when it
// began. One whose own was ahead, and is right again, asks for the time that has passed since: of somebody who counts on
// from nobody, as keepalived does, it believes nothing before that, and must be started again. A weir goes on from what
// such a director says, and is believed.
func TestAClockThatIsSetRightIsBelieved(t *testing.T) {
	for _, c := range []struct {
		what     string
		own      time.Duration // by which the hearer's clock is wrong when it begins
		was      time.Duration // the sender's, while it is heard for the first time
		known    bool
		believed bool
	}{
		{"it was ahead, and is right", 0, time.Hour, true, true},
		{"it is right, and was not heard before", 0, 0, false, true},
		{"the hearer's was behind", -time.Hour, 0, false, true},
		{"the hearer's was behind, and it was ahead", -time.Hour, time.Hour, true, true},
		{"the hearer's was ahead", time.Hour, 0, false, false},
		{"both were ahead", time.Hour, time.Hour, true, false},
	} {
		a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
		b.boot(c.own)
		b.begin(epoch)
		now := epoch
		if c.known {
			a.boot(c.was)
			_, now = live(a, b, now, 10)
		}
		b.step = 0
		a.boot(0)
		now = now.Add(10 * second)
		if got := b.hears(now, a.says(now, 200), a) == Taken; got != c.believed {
			t.Errorf("%s: it is believed: %v", c.what, got)
		}
		if why := a.hears(now, b.says(now, 100), b); why != Taken {
			t.Errorf("%s: the hearer is %s", c.what, why)
		}
		if why := b.hears(now.Add(second), a.says(now.Add(second), 200), a); why != Taken {
			t.Errorf("%s: who has heard the hearer is %s", c.what, why)
		}
		b.boot(0)
		if now = now.Add(2 * second); b.hears(now, a.says(now, 200), a) != Taken {
			t.Errorf("%s: it is not believed by one that begins anew", c.what)
		}
	}
}

// TestARecordingOfSomebodyUnknownIsRefused: what a new sender says is of now, and nobody else's advert is his.
func TestARecordingOfSomebodyUnknownIsRefused(t *testing.T) {
	a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
	old := a.says(epoch, 0)
	if why := b.hears(epoch.Add(6*second), old, a); why != ReasonStale {
		t.Errorf("6 s old: %s", why)
	}
	if why := b.hears(epoch.Add(4*second), old, a); why != Taken {
		t.Errorf("4 s old, and never heard: %s", why)
	}
	if why := b.hears(epoch.Add(4*second), old, newHost(t, right, draftKey)); why != ReasonHMAC {
		t.Errorf("as if from another: %s", why)
	}
}

// TestWhatWasHeldBackIsRefused: adverts that this one has not heard, since the link was cut, are a recording later.
func TestWhatWasHeldBackIsRefused(t *testing.T) {
	a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
	_, now := live(a, b, epoch, 10)
	var held []advert
	for range 30 {
		held = append(held, a.says(now, 0))
		now = now.Add(second)
	}
	for i, old := range held[:20] {
		if why := b.hears(now, old, a); why != ReasonStale {
			t.Errorf("number %d, %s old: %s", i, 30*second-time.Duration(i)*second, why)
		}
	}
	if why := b.hears(now, a.says(now, 200), a); why != Taken {
		t.Errorf("its sender is %s", why)
	}
}

// TestTheTimeIsLearnt: who began with a clock that was years behind knows what is old as soon as he has heard somebody;
// and who has heard somebody whose clock is ahead believes others whose clock is right.
func TestTheTimeIsLearnt(t *testing.T) {
	third := netip.MustParseAddr("192.0.2.3")
	a, b, c := newHost(t, left, draftKey), newHost(t, right, draftKey), newHost(t, third, draftKey)
	b.boot(-10 * 366 * day)
	old := c.says(epoch, 0)
	_, now := live(a, b, epoch, 60)
	if why := b.hears(now, old, c); why != ReasonStale {
		t.Errorf("a minute old: %s", why)
	}
	a, b = newHost(t, left, draftKey), newHost(t, right, draftKey)
	a.boot(day)
	_, now = live(a, b, epoch, 10)
	if why := b.hears(now, c.says(now, 100), c); why != Taken {
		t.Errorf("one whose clock is right: %s", why)
	}
}

// TestAClockThatIsBehindHasNothingToTellByYet: who begins with a clock that was never set believes what was recorded at
// any time since, until it hears somebody who lives.
func TestAClockThatIsBehindHasNothingToTellByYet(t *testing.T) {
	third := netip.MustParseAddr("192.0.2.3")
	a, b, c := newHost(t, left, draftKey), newHost(t, right, draftKey), newHost(t, third, draftKey)
	old, next, other := a.says(epoch, 200), a.says(epoch.Add(second), 200), c.says(epoch, 200)
	now := epoch.Add(day)
	b.boot(-10 * 366 * day)
	if why := b.hears(now, old, a); why != Taken {
		t.Errorf("a day old, and nobody is heard: %s", why)
	}
	if why := b.hears(now.Add(second), a.says(now.Add(second), 200), a); why != Taken {
		t.Errorf("its sender is %s", why)
	}
	if why := b.hears(now.Add(2*second), next, a); why == Taken {
		t.Error("a day old, and its sender is heard: it is believed")
	}
	if why := b.hears(now.Add(2*second), other, c); why == Taken {
		t.Error("a day old, of somebody else, and one is heard: it is believed")
	}
}

// TestNumbersStayBesideTheClock, for keepalived's sake, when it is set back a little again and again.
func TestNumbersStayBesideTheClock(t *testing.T) {
	h, now := newHost(t, left, draftKey), epoch
	for i := range 1000 {
		h.step = -time.Duration(i/10) * second
		number := h.next(now)
		if off := number.since(h.clock(now)); off < 0 || off > 2*second {
			t.Fatalf("after %d steps of 1 s it is off by %s", i/10, off)
		}
		now = now.Add(second)
	}
}

// TestKeepalivedsClockCounts: it sends the time of its clock; set back from a wrong time, it is believed two adverts later.
func TestKeepalivedsClockCounts(t *testing.T) {
	b := newHost(t, right, draftKey)
	key := keysOf(t, draftKey)[0].secret
	sent := func(now time.Time, clock sequence) Reason {
		w := way{left, group4, hops}
		text := key.sign(said(200), left, clock).bytes(w)
		a, _ := parse(text, w)
		a.text = text
		return b.admit(now, a, left)
	}
	now := epoch
	for i := range 10 {
		if why := sent(now, sequenceAt(now.Add(time.Hour))); why != Taken {
			t.Fatalf("an hour ahead, %d: %s", i, why)
		}
		now = now.Add(second)
	}
	var whys []string
	for range 4 {
		whys = append(whys, sent(now, sequenceAt(now)).String())
		now = now.Add(second)
	}
	if got := strings.Join(whys, " "); got != "stale taken taken taken" { // three are waited for
		t.Errorf("set right: %s", got)
	}
	for i := range 600 { // its clock is set back, and it counts on from what it has said, as with anti_replay monotonic
		if why := sent(now, sequenceAt(epoch.Add(time.Minute))+sequence(i)); why != Taken {
			t.Fatalf("counted, %d: %s", i, why)
		}
		now = now.Add(second)
	}
}

// TestKeysChangeWithoutAGap: each step is done on one director, then on the other one, and each believes the other all
// the time.
func TestKeysChangeWithoutAGap(t *testing.T) {
	a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
	now := epoch
	for _, file := range []string{draftKey, draftKey + "\n" + otherKey, otherKey + "\n" + draftKey, otherKey} {
		for _, h := range []*host{a, b} {
			h.follow(of(100), keysOf(t, file))
			for _, pair := range [][2]*host{{a, b}, {b, a}} {
				var refused int
				if refused, now = live(pair[0], pair[1], now, 3); refused > 0 {
					t.Errorf("%q on %s: %d refused of %s", file, h.own, refused, pair[0].own)
				}
			}
		}
	}
	old := newHost(t, left, draftKey)
	if why := b.hears(now, old.says(now, 255), old); why != ReasonKey {
		t.Errorf("the old key: %s", why)
	}
}

// TestSigningBeginsWithoutAGap: from nothing to enforce, and back.
func TestSigningBeginsWithoutAGap(t *testing.T) {
	a, b := newHost(t, left, draftKey), newHost(t, right, draftKey)
	a.follow(of(100), nil)
	b.follow(of(100), nil)
	now := epoch
	modes := []model.VRRPAuthMode{model.AuthReceive, model.AuthPermissive, model.AuthEnforce, model.AuthPermissive, model.AuthReceive}
	for _, mode := range modes {
		for _, h := range []*host{a, b} {
			h.follow(of(100, func(r *model.VirtualRouter) { r.Auth.Mode = mode }), keysOf(t, draftKey))
			for _, pair := range [][2]*host{{a, b}, {b, a}} {
				var refused int
				if refused, now = live(pair[0], pair[1], now, 3); refused > 0 {
					t.Errorf("%s on %s: %d refused of %s", mode, h.own, refused, pair[0].own)
				}
			}
		}
	}
	a.follow(of(100), nil)
	for mode, want := range map[model.VRRPAuthMode]Reason{model.AuthEnforce: ReasonUnsigned, model.AuthPermissive: Taken, model.AuthReceive: Taken} {
		b.follow(of(100, func(r *model.VirtualRouter) { r.Auth.Mode = mode }), keysOf(t, draftKey))
		if why := b.hears(now, a.says(now, 100), a); why != want {
			t.Errorf("%s: what is not signed is %s", mode, why)
		}
	}
	b.follow(of(100), keysOf(t, draftKey))
	if why := a.hears(now, b.says(now, 100), b); why != ReasonSigned {
		t.Errorf("what is signed is %s to who has no key", why)
	}
	for _, mode := range modes { // what is signed must be right
		b.follow(of(100, func(r *model.VirtualRouter) { r.Auth.Mode = mode }), keysOf(t, "1 "+otherKey[2:]))
		wrong := newHost(t, left, draftKey)
		if why := b.hears(now, wrong.says(now, 255), wrong); why != ReasonHMAC {
			t.Errorf("%s: another key is %s", mode, why)
		}
	}
}

func TestNumbersGrow(t *testing.T) {
	h := newHost(t, left, draftKey)
	random, now := rand.New(rand.NewPCG(41, 1)), epoch
	latest := h.next(now)
	for range 100000 {
		now = now.Add(time.Duration(random.IntN(3)) * time.Microsecond)
		if random.IntN(100) == 0 {
			h.step = time.Duration(random.Int64N(int64(2*day))) - day
		}
		number := h.next(now)
		if !number.after(latest) {
			t.Fatalf("%x after %x", number, latest)
		}
		latest = number
	}
	for _, at := range []time.Time{time.Unix(1<<31-1, 0), time.Unix(1<<32-1, 0)} { // 2038 and 2106
		h.boot(0)
		before := h.next(at)
		if after := h.next(at.Add(2 * second)); !after.after(before) || after.since(before).Round(time.Millisecond) != 2*second {
			t.Errorf("%s: %x after %x", at, after, before)
		}
	}
}

func TestNumbersAreCounted(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 999, second / 3, second, 90 * second, day, 366 * day, -1, -second / 3, -second, -90 * second, -366 * day} {
		s := draftSequence.plus(d)
		if got := s.since(draftSequence); (got - d).Abs() > time.Nanosecond {
			t.Errorf("%s: %s", d, got)
		}
		if s.after(draftSequence) != (d > 0) && d.Abs() > time.Nanosecond {
			t.Errorf("%s is not on its side", d)
		}
	}
	if got := sequenceAt(draftTime); got != draftSequence {
		t.Errorf("%x", got)
	}
}

// TestForgersMoveNobody (fault 15): of 10,000 adverts of who has no key, none changes anything of a backup or a master,
// each is counted by a reason, and what is told names who it is. What is true is believed beside them.
func TestForgersMoveNobody(t *testing.T) {
	for _, state := range []model.VRRPState{model.VRRPBackup, model.VRRPMaster} {
		b := newTale(t, of(100, func(r *model.VirtualRouter) { r.Auth.KeyFile = "/etc/weir/vrrp.key" }))
		b.guard = *newHost(t, left, draftKey).guard
		b.do(b.machine.start(b.now, ""))
		peer, forger := newHost(t, right, draftKey), newHost(t, right, "1 "+otherKey[2:])
		if state == model.VRRPMaster {
			b.pass(5 * second)
		}
		speaks := func() {
			a := peer.says(b.now, 200)
			if state == model.VRRPMaster {
				a = peer.says(b.now, 50)
			}
			if deeds, why := b.hear(b.now, a, way{right, group4, hops}); why != Taken {
				t.Fatalf("the peer: %s", why)
			} else if state == model.VRRPBackup {
				b.do(deeds)
			}
			forger.recorded = append(forger.recorded, a)
		}
		speaks()
		if b.seen.State != state {
			t.Fatalf("it is %s", b.seen.State)
		}
		random, since, counts := rand.New(rand.NewPCG(15, uint64(state))), b.seen.Since, map[Reason]int{}
		for i := range 10000 {
			if b.pass(second / 20); i%20 == 19 && state == model.VRRPBackup {
				speaks()
			}
			a, from := forger.forge(random, b.now)
			deeds, why := b.hear(b.now, a, way{from, group4, hops})
			for _, d := range deeds {
				if d.kind != tell {
					t.Fatalf("%s: it does %+v", why, d)
				}
			}
			counts[why]++
			if b.seen.State != state || !b.seen.Since.Equal(since) || state == model.VRRPBackup && b.seen.Master != right {
				t.Fatalf("forged advert %d (%s): %+v", i, why, b.seen)
			}
		}
		for _, why := range []Reason{ReasonUnsigned, ReasonKey, ReasonHMAC, ReasonReplay, ReasonStale} {
			if counts[why] == 0 && (state == model.VRRPBackup || why != ReasonReplay && why != ReasonStale) {
				t.Errorf("%s: none is %s: %v", state, why, counts)
			}
		}
		if counts[Taken] > 0 {
			t.Errorf("%s: %d are believed", state, counts[Taken])
		}
		if !strings.Contains(b.seen.Conflict, "advertises id 51") || b.seen.ConflictFix == "" {
			t.Errorf("%s: %q, %q", state, b.seen.Conflict, b.seen.ConflictFix)
		}
	}
}
