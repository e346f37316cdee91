// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
)

const (
	ours   = 0x11111111 // discriminators
	peers  = 0x22222222
	others = 0x33333333
)

// dawn is when all begins.
var dawn = time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)

func always(chance float64) func() float64 { return func() float64 { return chance } }

// stage is a session in fake time, without jitter. What it says is kept with its time.
type stage struct {
	t    *testing.T
	now  time.Time
	m    *machine
	said []line
}

type line struct {
	after time.Duration // since the dawn
	control
}

func wanted() model.BFDSession {
	return model.BFDSession{Name: "uplink", Interface: "eth0", Peer: netip.MustParseAddr("192.0.2.1"), Interval: 100 * time.Millisecond, Multiplier: 3}
}

func begins(t *testing.T, changes ...func(*model.BFDSession)) *stage {
	t.Helper()
	want := wanted()
	for _, change := range changes {
		change(&want)
	}
	s := &stage{t: t, now: dawn, m: newMachine(dawn, want, ours, always(1))}
	s.says(s.m.become(s.now, want, ""))
	return s
}

func (s *stage) says(out []control) {
	for _, c := range out {
		s.said = append(s.said, line{s.now.Sub(dawn), c})
	}
}

// passes lets time pass, and returns what is said meanwhile.
func (s *stage) passes(d time.Duration) []line {
	s.t.Helper()
	s.said = nil
	end := s.now.Add(d)
	for range 1000 {
		at := s.m.deadline()
		if at.IsZero() || at.After(end) || s.m.over {
			s.now = end
			return s.said
		}
		if at.After(s.now) { // else it is overdue
			s.now = at
		}
		s.says(s.m.tick(s.now))
	}
	s.t.Fatalf("it ticks on and on: %+v", s.m)
	return nil
}

// peer is a packet of the peer in a state.
func peer(state model.BFDState, changes ...func(*control)) control {
	c := control{state: state, multiplier: 3, mine: peers, yours: ours, minTx: 100 * time.Millisecond, minRx: 100 * time.Millisecond}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func polls(c *control)   { c.poll = true }
func answers(c *control) { c.final = true }
func demands(c *control) { c.demand = true }

// hears takes in a packet that must count, and returns what is said to it.
func (s *stage) hears(c control) []control {
	s.t.Helper()
	out, why := s.m.hear(s.now, c)
	if why != Taken {
		s.t.Fatalf("%+v: %s", c, why)
	}
	return out
}

// comesTo is a session in a state.
func (s *stage) comesTo(state model.BFDState) *stage {
	s.t.Helper()
	switch state {
	case model.BFDInit:
		s.hears(peer(model.BFDDown))
	case model.BFDUp:
		s.hears(peer(model.BFDDown))
		s.hears(peer(model.BFDInit))
		s.hears(peer(model.BFDUp, answers)) // of the poll that it begins with
	case model.BFDAdminDown:
		s.comesTo(model.BFDUp)
		s.m.end(s.now, anyTime)
	}
	if s.m.seen.State != state {
		s.t.Fatalf("it is %s, not %s", s.m.seen.State, state)
	}
	return s
}

// TestPeersStateLeads has a row for each state of either (RFC 5880 sections 6.2 and 6.8.6).
func TestPeersStateLeads(t *testing.T) {
	const admin, down, initial, up = model.BFDAdminDown, model.BFDDown, model.BFDInit, model.BFDUp
	for _, c := range []struct {
		at, hears, comes model.BFDState
		diag             diagnostic
		why              string
	}{
		{down, admin, down, diagNone, "192.0.2.1 has switched it off"},
		{down, down, initial, diagNone, "192.0.2.1 is heard, and does not say yet that it hears this one"},
		{down, initial, up, diagNone, "192.0.2.1 is heard, and hears this one"},
		{down, up, down, diagNone, "it has just begun"},
		{initial, admin, down, diagSignaled, "192.0.2.1 has switched it off"},
		{initial, down, initial, diagNone, "192.0.2.1 is heard, and does not say yet that it hears this one"},
		{initial, initial, up, diagNone, "192.0.2.1 is heard, and hears this one"},
		{initial, up, up, diagNone, "192.0.2.1 is heard, and hears this one"},
		{up, admin, down, diagSignaled, "192.0.2.1 has switched it off"},
		{up, down, down, diagSignaled, "192.0.2.1 says that it is down: no reason"},
		{up, initial, up, diagNone, "192.0.2.1 is heard, and hears this one"},
		{up, up, up, diagNone, "192.0.2.1 is heard, and hears this one"},
	} {
		t.Run(fmt.Sprintf("%s hears %s", c.at, c.hears), func(t *testing.T) {
			s := begins(t).comesTo(c.at)
			s.now = s.now.Add(time.Millisecond)
			out := s.hears(peer(c.hears))
			if got := s.m.seen; got.State != c.comes || got.Why != c.why || s.m.diag != c.diag || got.Off != (c.hears == admin) {
				t.Errorf("it is %+v, with %d", got, s.m.diag)
			}
			if since := s.now; c.at != c.comes && !s.m.seen.Since.Equal(since) {
				t.Errorf("since %s, not %s", s.m.seen.Since, since)
			}
			// Who learns of it learns it at once; and who was not known is named.
			if c.at != c.comes || c.at == down {
				want := control{diag: c.diag, state: c.comes, poll: (c.at == up) != (c.comes == up), multiplier: 3, mine: ours, yours: peers, minTx: s.m.minTx, minRx: 100 * time.Millisecond}
				if diff := cmp.Diff([]control{want}, out, allows); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			} else if len(out) > 0 {
				t.Errorf("it says %+v, which is known", out)
			}
		})
	}
}

// TestInitSaysWhyThePeerIsDown: one that does not hear this end says so again and again, and goes on to.
func TestInitSaysWhyThePeerIsDown(t *testing.T) {
	s := begins(t).comesTo(model.BFDInit)
	since := s.m.seen.Since
	s.now = s.now.Add(time.Second)
	s.hears(peer(model.BFDDown, func(c *control) { c.diag = diagExpired }))
	want := model.BFDSeen{State: model.BFDInit, Since: since, Why: "192.0.2.1 is heard, and says that it is down: control detection time expired", Begins: s.m.seen.Begins, Interval: s.m.seen.Interval, Detects: s.m.seen.Detects}
	if diff := cmp.Diff(want, s.m.seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWhoEndsHearsNobody: a packet for a session that is admin-down is discarded (section 6.8.6).
func TestWhoEndsHearsNobody(t *testing.T) {
	for _, state := range onWire {
		s := begins(t).comesTo(model.BFDAdminDown)
		out, why := s.m.hear(s.now, peer(state, polls))
		if why != ReasonOff || len(out) > 0 || s.m.seen.State != model.BFDAdminDown {
			t.Errorf("%s: %s, %+v, %s", state, why, out, s.m.seen.State)
		}
	}
}

// TestWhatThePeerSaysIsKept: section 6.8.6, from "Set bfd.RemoteDiscr" on.
func TestWhatThePeerSaysIsKept(t *testing.T) {
	s := begins(t).comesTo(model.BFDUp)
	s.hears(peer(model.BFDUp, demands, func(c *control) {
		c.mine, c.minRx, c.minTx, c.multiplier, c.minEcho = others, 250*time.Millisecond, 400*time.Millisecond, 7, time.Second
	}))
	m := s.m
	if m.remote != others || m.peer != model.BFDUp || !m.peerDemands || m.peerRx != 250*time.Millisecond {
		t.Errorf("%+v", m)
	}
	if m.seen.Interval != 250*time.Millisecond || m.seen.Detects != 7*400*time.Millisecond {
		t.Errorf("every %s, within %s", m.seen.Interval, m.seen.Detects)
	}
	if c := m.packet(false); c.yours != others || c.minEcho != 0 || c.demand {
		t.Errorf("it says %+v: it has neither echo nor demand mode", c)
	}
}

// TestPollIsAnsweredAtOnce, whatever else keeps it from sending (section 6.8.7).
func TestPollIsAnsweredAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    model.BFDState
		hears control
	}{
		{"up", model.BFDUp, peer(model.BFDUp, polls)},
		{"to who is in demand mode", model.BFDUp, peer(model.BFDUp, polls, demands)},
		{"to who wants no packets", model.BFDUp, peer(model.BFDUp, polls, func(c *control) { c.minRx = 0 })},
		{"init", model.BFDInit, peer(model.BFDDown, polls)},
		{"down", model.BFDDown, peer(model.BFDAdminDown, polls)},
	} {
		s := begins(t).comesTo(c.at)
		s.m.poll = true // it polls, too: nobody does both at once
		out := s.hears(c.hears)
		if len(out) == 0 {
			t.Errorf("%s: no answer", c.name)
			continue
		}
		if last := out[len(out)-1]; !last.final || last.poll || last.yours != peers {
			t.Errorf("%s: %+v", c.name, out)
		}
	}
}

// TestSilenceMeansDown after the peer's multiplier times the slower of both intervals, to the millisecond (section 6.8.4).
func TestSilenceMeansDown(t *testing.T) {
	for _, c := range []struct {
		interval, peerTx time.Duration
		times            uint8
		want             time.Duration
	}{
		{100 * time.Millisecond, 100 * time.Millisecond, 3, 300 * time.Millisecond},
		{100 * time.Millisecond, 300 * time.Millisecond, 3, 900 * time.Millisecond},
		{300 * time.Millisecond, 10 * time.Millisecond, 5, 1500 * time.Millisecond},
		{10 * time.Millisecond, 10 * time.Millisecond, 1, 10 * time.Millisecond},
	} {
		s := begins(t, func(b *model.BFDSession) { b.Interval, b.Multiplier = c.interval, 9 }).comesTo(model.BFDUp)
		s.hears(peer(model.BFDUp, answers, func(p *control) { p.minTx, p.multiplier = c.peerTx, c.times }))
		if s.passes(c.want - time.Millisecond); s.m.seen.State != model.BFDUp {
			t.Errorf("%+v: down too soon: %+v", c, s.m.seen)
		}
		out := s.passes(time.Millisecond)
		if got := s.m.seen; got.State != model.BFDDown || got.Why != fmt.Sprintf("no packet of 192.0.2.1 for %s", c.want) {
			t.Errorf("%+v: %+v", c, got)
		}
		if len(out) == 0 || out[0].state != model.BFDDown || out[0].diag != diagExpired || out[0].yours != 0 || out[0].minTx != time.Second {
			t.Errorf("%+v: it says %+v", c, out)
		}
	}
}

// TestPeerIsForgotten, also while it is down: it may return as another one, with other wishes (sections 6.8.1, 6.8.18).
func TestPeerIsForgotten(t *testing.T) {
	s := begins(t)
	s.hears(peer(model.BFDUp, func(c *control) { c.minRx = 0 })) // it knows another session
	if out := s.passes(200 * time.Millisecond); s.m.remote != peers || len(out) > 0 {
		t.Errorf("%+v, said %+v", s.m, out)
	}
	out := s.passes(time.Second)
	if s.m.remote != 0 || s.m.peerRx != anyInterval || s.m.seen.State != model.BFDDown {
		t.Errorf("%+v", s.m)
	}
	if len(out) == 0 || out[0].yours != 0 {
		t.Errorf("said %+v", out)
	}
}

func times(lines []line) (out []time.Duration) {
	for _, l := range lines {
		out = append(out, l.after)
	}
	return out
}

// TestSlowUntilUp: one that is not up says, and keeps, an interval of a second at least; when it comes up it asks whether
// the peer knows the faster one (sections 6.8.3, 6.5).
func TestSlowUntilUp(t *testing.T) {
	s := begins(t)
	if c := s.said[0]; c.after != 0 || c.minTx != time.Second || c.minRx != 100*time.Millisecond || c.yours != 0 || c.poll {
		t.Errorf("it begins with %+v", c)
	}
	if diff := cmp.Diff([]time.Duration{time.Second, 2 * time.Second}, times(s.passes(2500*time.Millisecond))); diff != "" {
		t.Error(diff)
	}
	s.hears(peer(model.BFDDown))
	first := s.hears(peer(model.BFDInit))
	if len(first) != 1 || !first[0].poll || first[0].minTx != 100*time.Millisecond || first[0].state != model.BFDUp {
		t.Errorf("up, it says %+v", first)
	}
	for range 2 { // until it is answered
		if out := s.passes(100 * time.Millisecond); len(out) != 1 || !out[0].poll {
			t.Errorf("it says %+v", out)
		}
		s.hears(peer(model.BFDUp))
	}
	s.hears(peer(model.BFDUp, answers))
	if out := s.passes(100 * time.Millisecond); len(out) != 1 || out[0].poll {
		t.Errorf("answered, it says %+v", out)
	}
	s.passes(time.Second) // the peer is gone
	if diff := cmp.Diff([]time.Duration{time.Second, time.Second}, gaps(s.passes(3*time.Second))); diff != "" {
		t.Errorf("slow again: %s", diff)
	}
}

func gaps(lines []line) (out []time.Duration) {
	for i := 1; i < len(lines); i++ {
		out = append(out, lines[i].after-lines[i-1].after)
	}
	return out
}

// TestSlowerOnesWaitForTheirFinal: who would send less often, or hear more often, does so when the peer knows (section
// 6.8.3).
func TestSlowerOnesWaitForTheirFinal(t *testing.T) {
	s := begins(t).comesTo(model.BFDUp)
	alive := func(d time.Duration, c control) []line { s.hears(c); return s.passes(d) }
	want := wanted()
	want.Interval = 200 * time.Millisecond
	out := s.m.become(s.now, want, "")
	if len(out) != 1 || !out[0].poll || out[0].minTx != want.Interval || out[0].minRx != want.Interval {
		t.Errorf("it says %+v", out)
	}
	if got := alive(200*time.Millisecond, peer(model.BFDUp)); len(got) != 2 {
		t.Errorf("not answered yet, it says %+v", got)
	}
	if s.m.detects() != 600*time.Millisecond {
		t.Errorf("it is more patient at once, but %s", s.m.detects())
	}
	alive(0, peer(model.BFDUp, answers))
	if got := times(alive(400*time.Millisecond, peer(model.BFDUp))); len(got) != 2 {
		t.Errorf("answered, it says %+v", got)
	}

	want.Interval = 50 * time.Millisecond
	s.m.become(s.now, want, "")
	if s.m.detects() != 600*time.Millisecond {
		t.Errorf("not answered yet, it is patient for %s", s.m.detects())
	}
	if s.m.interval() != 100*time.Millisecond { // what the peer can take
		t.Errorf("it does not send faster at once, but every %s", s.m.interval())
	}
	alive(0, peer(model.BFDUp, answers))
	if s.m.detects() != 300*time.Millisecond { // the peer sends every 100 ms
		t.Errorf("answered, it is patient for %s", s.m.detects())
	}
}

// TestAnotherChangeIsAnotherPoll: there is one Poll Sequence at a time (section 6.5).
func TestAnotherChangeIsAnotherPoll(t *testing.T) {
	s := begins(t).comesTo(model.BFDUp)
	want := wanted()
	for _, interval := range []time.Duration{200, 300} {
		want.Interval = interval * time.Millisecond
		s.m.become(s.now, want, "")
	}
	s.hears(peer(model.BFDUp, answers)) // that knows of the first one, as far as anybody can tell
	if !s.m.poll || s.m.packet(false).minTx != 300*time.Millisecond || s.m.interval() != 100*time.Millisecond {
		t.Errorf("%+v", s.m)
	}
	s.hears(peer(model.BFDUp, answers))
	if s.m.poll || s.m.interval() != 300*time.Millisecond {
		t.Errorf("%+v", s.m)
	}
}

// TestPeerSetsThePace: what it can take counts at once, also where the next packet is overdue by that (section 6.8.3).
func TestPeerSetsThePace(t *testing.T) {
	s := begins(t, func(b *model.BFDSession) { b.Multiplier = 20 }).comesTo(model.BFDUp)
	takes := func(d time.Duration) func(*control) {
		return func(c *control) { c.minRx, c.multiplier = d, 255 }
	}
	s.hears(peer(model.BFDUp, takes(time.Second)))
	if got := gaps(s.passes(3500 * time.Millisecond)); len(got) != 2 || got[0] != time.Second {
		t.Errorf("%v", got)
	}
	at := s.now.Sub(dawn)
	s.hears(peer(model.BFDUp, takes(100*time.Millisecond)))
	got := times(s.passes(150 * time.Millisecond))
	if diff := cmp.Diff([]time.Duration{at, at + 100*time.Millisecond}, got); diff != "" {
		t.Errorf("at once, and then (-want +got):\n%s", diff)
	}
	s.hears(peer(model.BFDUp, takes(0)))
	if got := s.passes(5 * time.Second); len(got) > 0 {
		t.Errorf("it wants none, and hears %+v", got)
	}
}

// TestJitter is up to a quarter; at least a tenth for who is gone after one missing packet (section 6.8.7).
func TestJitter(t *testing.T) {
	for _, c := range []struct {
		multiplier uint8
		chance     float64
		want       time.Duration
	}{
		{3, 0, 75 * time.Millisecond}, {3, 0.5, 87500 * time.Microsecond}, {3, 1, 100 * time.Millisecond},
		{1, 0, 75 * time.Millisecond}, {1, 1, 90 * time.Millisecond},
	} {
		s := begins(t, func(b *model.BFDSession) { b.Multiplier = c.multiplier }).comesTo(model.BFDUp)
		s.passes(100 * time.Millisecond)
		s.m.chance = always(c.chance)
		before := s.now
		s.says([]control{s.m.say(s.now)})
		if got := s.m.due.Sub(before); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestDemandModeOfThePeer: it is told what it asks, and what has changed, and nothing else while both are up (section
// 6.6); its own silence counts still.
func TestDemandModeOfThePeer(t *testing.T) {
	s := begins(t).comesTo(model.BFDUp)
	s.hears(peer(model.BFDUp, demands))
	if got := s.passes(299 * time.Millisecond); len(got) > 0 {
		t.Errorf("it says %+v", got)
	}
	want := wanted()
	want.Multiplier = 4
	if got := s.m.become(s.now, want, ""); len(got) != 1 || got[0].multiplier != 4 {
		t.Errorf("changed, it says %+v", got)
	}
	s.hears(peer(model.BFDUp, demands))
	want.Interval = 150 * time.Millisecond // this it must be asked about, until it answers
	s.m.become(s.now, want, "")
	if got := s.passes(250 * time.Millisecond); len(got) != 2 || !got[0].poll {
		t.Errorf("it polls with %+v", got)
	}
	s.hears(peer(model.BFDUp, demands, answers))
	if got := s.passes(449 * time.Millisecond); len(got) > 0 {
		t.Errorf("answered, it says %+v", got)
	}
	if got := s.passes(time.Millisecond); s.m.seen.State != model.BFDDown || len(got) != 1 {
		t.Errorf("it is %s, and says %+v", s.m.seen.State, got)
	}
}

// TestNothingIsKnownAtTheBeginning: a session that has had no time to come up is not down.
func TestNothingIsKnownAtTheBeginning(t *testing.T) {
	s := begins(t)
	if s.passes(3*time.Second - 1); !s.m.seen.Begins {
		t.Errorf("it had no time yet: %+v", s.m.seen)
	}
	if s.passes(1); s.m.seen.Begins || s.m.seen.Why != "no packet of 192.0.2.1 has come" {
		t.Errorf("it had three seconds, as three slow packets need: %+v", s.m.seen)
	}

	s = begins(t).comesTo(model.BFDInit)
	if !s.m.seen.Begins {
		t.Errorf("it may come up: %+v", s.m.seen)
	}
	s.comesTo(model.BFDInit).hears(peer(model.BFDInit))
	s.hears(peer(model.BFDDown))
	if s.m.seen.Begins || s.m.seen.State != model.BFDDown {
		t.Errorf("it was up: %+v", s.m.seen)
	}

	s = begins(t)
	if s.hears(peer(model.BFDAdminDown)); s.m.seen.Begins || !s.m.seen.Off {
		t.Errorf("that is known at once: %+v", s.m.seen)
	}
	if s.passes(10 * time.Second); !s.m.seen.Off {
		t.Errorf("it is switched off: %+v", s.m.seen)
	}
}

// TestSwitchedOnAgainIsAsNew: what the peer says on its way up is no failure (RFC 5882 section 3.2), unless it gets no
// further.
func TestSwitchedOnAgainIsAsNew(t *testing.T) {
	slowly := peer(model.BFDDown, func(c *control) { c.minTx = time.Second })
	off := func() *stage {
		s := begins(t).comesTo(model.BFDUp)
		s.hears(peer(model.BFDAdminDown))
		s.passes(time.Minute)
		s.hears(slowly)
		if got := s.m.seen; got.Off || !got.Begins || got.State != model.BFDInit {
			t.Errorf("it is switched on again: %+v", got)
		}
		return s
	}
	s := off()
	s.hears(peer(model.BFDUp))
	if got := s.m.seen; got.Begins || got.State != model.BFDUp || !s.m.known.IsZero() {
		t.Errorf("it is up: %+v", got)
	}
	s.hears(peer(model.BFDDown))
	if got := s.m.seen; got.Begins || got.State != model.BFDDown {
		t.Errorf("it was up: %+v", got)
	}

	s = off()
	for range 2 {
		s.passes(time.Second)
		s.hears(slowly)
	}
	if s.passes(time.Second - 1); !s.m.seen.Begins {
		t.Errorf("it had no time yet: %+v", s.m.seen)
	}
	if s.passes(1); s.m.seen.Begins || s.m.seen.State != model.BFDInit {
		t.Errorf("it had three seconds, as three slow packets need: %+v", s.m.seen)
	}

	s = off()
	if s.passes(3 * time.Second); s.m.seen.Begins || s.m.seen.Why != "no packet of 192.0.2.1 for 3s" {
		t.Errorf("it was heard, once: %+v", s.m.seen)
	}

	s = off()
	if s.hears(peer(model.BFDAdminDown)); s.m.seen.Begins || !s.m.seen.Off || !s.m.known.IsZero() {
		t.Errorf("it is switched off again: %+v", s.m.seen)
	}
}

// TestFaultIsDownAtOnce, and says nothing.
func TestFaultIsDownAtOnce(t *testing.T) {
	for _, state := range []model.BFDState{model.BFDDown, model.BFDInit, model.BFDUp} {
		s := begins(t).comesTo(state)
		if out := s.m.become(s.now, wanted(), "interface eth0 is down"); len(out) > 0 {
			t.Errorf("%s: it says %+v", state, out)
		}
		if got := s.m.seen; got.State != model.BFDDown || got.Why != "interface eth0 is down" || got.Begins {
			t.Errorf("%s: %+v", state, got)
		}
		if out := s.passes(5 * time.Second); len(out) > 0 {
			t.Errorf("%s: it says %+v", state, out)
		}
		if _, why := s.m.hear(s.now, peer(model.BFDDown)); why != ReasonOff {
			t.Errorf("%s: what comes by another way is %s", state, why)
		}
		out := s.m.become(s.now, wanted(), "")
		if len(out) != 1 || out[0].diag != diagPathDown || out[0].state != model.BFDDown || out[0].yours != 0 {
			t.Errorf("%s: again, it says %+v", state, out)
		}
		s.comesTo(model.BFDUp)
	}
}

// TestWhoEndsSaysSo for as long as the peer would wait for it (section 6.8.16).
func TestWhoEndsSaysSo(t *testing.T) {
	s := begins(t).comesTo(model.BFDUp)
	out := s.m.end(s.now, anyTime)
	if len(out) != 1 || out[0].state != model.BFDAdminDown || out[0].diag != diagAdminDown || out[0].minTx != time.Second {
		t.Errorf("it says %+v", out)
	}
	if again := s.passes(299 * time.Millisecond); s.m.over || len(again) > 0 {
		t.Errorf("it is over too soon: %t; or it says it again within a second: %+v", s.m.over, again)
	}
	if s.passes(time.Millisecond); !s.m.over {
		t.Error("it is not over")
	}

	s = begins(t).comesTo(model.BFDInit) // slow yet, so the peer waits for three seconds
	s.m.end(s.now, anyTime)
	if got := s.passes(2500 * time.Millisecond); len(got) != 2 || s.m.over {
		t.Errorf("it says %+v", got)
	}
	s = begins(t).comesTo(model.BFDInit)
	if s.m.end(s.now, time.Second); !s.m.ends.Equal(s.now.Add(time.Second)) {
		t.Errorf("it is waited for until %s", s.m.ends)
	}
	s = begins(t)
	if out := s.m.end(s.now, anyTime); len(out) > 0 || !s.m.over {
		t.Errorf("nobody knows it, and it says %+v", out)
	}
}

// pair is two sessions with a wire of a millisecond between them.
type pair struct {
	t     *testing.T
	now   time.Time
	sides [2]*machine
	wire  []flying
	cut   [2]bool // what a side says is lost
}

type flying struct {
	to int
	at time.Time
	c  control
}

func newPair(t *testing.T, intervals ...time.Duration) *pair {
	p := &pair{t: t, now: dawn}
	for i := range p.sides {
		want := wanted()
		want.Interval = intervals[i]
		p.sides[i] = newMachine(dawn, want, uint32(ours*(i+1)), always(float64(i)/2))
		p.send(i, p.sides[i].become(dawn, want, ""))
	}
	return p
}

func (p *pair) send(from int, out []control) {
	for _, c := range out {
		again, why := parse(c.bytes(), hops)
		if why != Taken {
			p.t.Fatalf("%+v: %s", c, why)
		}
		if !p.cut[from] {
			p.wire = append(p.wire, flying{1 - from, p.now.Add(time.Millisecond), again})
		}
	}
}

// run lets time pass until something is true, and says how long that took.
func (p *pair) run(what string, most time.Duration, ok func() bool) time.Duration {
	p.t.Helper()
	for begun := p.now; p.now.Sub(begun) <= most; {
		if ok() {
			return p.now.Sub(begun)
		}
		p.step()
	}
	p.t.Fatalf("%s: not within %s: %+v, %+v", what, most, p.sides[0].seen, p.sides[1].seen)
	return 0
}

func (p *pair) step() {
	next := p.now.Add(time.Second)
	for _, m := range p.sides {
		if at := m.deadline(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	for _, f := range p.wire {
		if f.at.Before(next) {
			next = f.at
		}
	}
	p.now = next
	wire := p.wire
	p.wire = nil
	for _, f := range wire {
		if f.at.After(p.now) {
			p.wire = append(p.wire, f)
			continue
		}
		out, _ := p.sides[f.to].hear(p.now, f.c)
		p.send(f.to, out)
	}
	for i, m := range p.sides {
		p.send(i, m.tick(p.now))
	}
}

func (p *pair) both(state model.BFDState) func() bool {
	return func() bool { return p.sides[0].seen.State == state && p.sides[1].seen.State == state }
}

// TestTwoComeUpAndMissEachOther: up in a second's time, no poll left open, and down as soon as each of them promises.
func TestTwoComeUpAndMissEachOther(t *testing.T) {
	fast, lazy := 100*time.Millisecond, 300*time.Millisecond
	p := newPair(t, fast, lazy)
	p.run("both up", 2*time.Second, p.both(model.BFDUp))
	p.run("no poll", time.Second, func() bool { return !p.sides[0].poll && !p.sides[1].poll })
	for i, m := range p.sides {
		if m.seen.Interval != lazy || m.seen.Detects != 3*lazy {
			t.Errorf("side %d: every %s, within %s", i, m.seen.Interval, m.seen.Detects)
		}
	}
	for end := p.now.Add(time.Minute); p.now.Before(end); p.step() {
		if !p.both(model.BFDUp)() {
			t.Fatalf("it flaps: %+v, %+v", p.sides[0].seen, p.sides[1].seen)
		}
	}

	p.cut[0] = true // one way: the one that is heard no more hears of it
	if took := p.run("down", 2*time.Second, p.both(model.BFDDown)); took > 3*lazy+2*time.Millisecond || took < 2*lazy {
		t.Errorf("found after %s", took)
	}
	if got := p.sides[0].seen.Why; !strings.HasSuffix(got, "says that it is down: control detection time expired") {
		t.Errorf("%q", got)
	}
	p.run("the peer is heard on", 2*time.Second, func() bool { return p.sides[0].seen.State == model.BFDInit })
	if got := p.sides[0].seen.Why; !strings.HasSuffix(got, "is heard, and says that it is down: control detection time expired") {
		t.Errorf("%q", got)
	}
	p.cut[0] = false
	p.run("up again", 4*time.Second, p.both(model.BFDUp))

	p.send(0, p.sides[0].end(p.now, anyTime))
	p.run("switched off", time.Second, func() bool { return p.sides[1].seen.Off })
	if p.sides[1].diag != diagSignaled {
		t.Errorf("%d", p.sides[1].diag)
	}
}

// TestPeersRestartIsNoFailure: from the end of its daemon until the next one is heard, nobody who tracks the session has
// a reason to fall.
func TestPeersRestartIsNoFailure(t *testing.T) {
	p := newPair(t, 100*time.Millisecond, 100*time.Millisecond)
	p.run("both up", 2*time.Second, p.both(model.BFDUp))
	p.send(0, p.sides[0].end(p.now, anyTime))
	p.run("switched off", time.Second, func() bool { return p.sides[1].seen.Off })
	p.sides[0] = newMachine(p.now, wanted(), others, always(0))
	p.send(0, p.sides[0].become(p.now, wanted(), ""))
	p.run("up again", 3*time.Second, func() bool {
		if got := p.sides[1].seen; got.State != model.BFDUp && !got.Begins && !got.Off {
			t.Errorf("it is a failure: %+v", got)
		}
		return p.both(model.BFDUp)()
	})
}

// TestOneThatBeganAnew is believed: its peer has not missed it yet, and names a session that is gone.
func TestOneThatBeganAnew(t *testing.T) {
	p := newPair(t, 100*time.Millisecond, 100*time.Millisecond)
	p.run("both up", 2*time.Second, p.both(model.BFDUp))
	p.sides[0] = newMachine(p.now, wanted(), others, always(0))
	p.wire = nil // what was under way is for nobody
	p.send(0, p.sides[0].become(p.now, wanted(), ""))
	if took := p.run("up again", 3*time.Second, p.both(model.BFDUp)); took > 2500*time.Millisecond {
		t.Errorf("after %s: more than a session may begin with", took)
	}
	if !p.sides[0].seen.Since.After(dawn) || p.sides[1].remote != others {
		t.Errorf("%+v", p.sides[1])
	}
}
