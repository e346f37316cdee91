// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"fmt"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// machine is a session (RFC 5880 sections 6.2 and 6.8). It is pure: it reads no clock, and what is random it is given.
// It is always active (section 6.1): it sends before the peer is heard.
//
//	         ┌──── silence, or the peer says down or admin-down ─────┐
//	         ▼                                                       │
//	start ► down ──── the peer says down ──► init ── init or up ──► up
//	         │ ▲                              │                      ▲
//	         │ └── silence, or admin-down ────┘                      │
//	         └──────────────── the peer says init ───────────────────┘
//
// From everywhere it is down while there is a fault, and admin-down when it ends. That it says at once, and again at the
// pace of one that is not up for as long as the peer would wait: a fast one is over by then, and has said it once.
type machine struct {
	want   model.BFDSession
	fault  string         // why nothing can be sent or heard; "": it can
	chance func() float64 // 0..1, of jitter
	seen   model.BFDSeen

	// The state variables of section 6.8.1.
	local, remote uint32 // discriminators; remote 0: the peer is not known
	diag          diagnostic
	minTx, minRx  time.Duration // as the peer is told them
	peer          model.BFDState
	peerDemands   bool
	peerRx        time.Duration // the peer takes packets in this interval; 0: none
	peerTx        time.Duration // of its latest packet
	peerTimes     uint8         // its multiplier

	// A change of those takes hold when the peer knows of it (section 6.8.3): until then these are used.
	usesTx, usesRx time.Duration
	poll           bool // it is asked whether it does (section 6.5)
	pollAgain      bool // there was another change meanwhile

	last  control   // that was sent, without its P and F
	sent  time.Time // the latest one that was no answer
	paced time.Duration
	due   time.Time // the next one; zero: none is sent by itself
	heard time.Time // the peer; zero: not of late
	known time.Time // until then nothing is known of a session that has not come up yet; zero: it is
	ends  time.Time // zero: it goes on
	over  bool
}

const (
	slow        = time.Second // the least interval of one that is not up (section 6.8.3)
	anyInterval = microseconds
)

// newMachine makes one that has said nothing yet. Its discriminator is not 0.
func newMachine(now time.Time, want model.BFDSession, discriminator uint32, chance func() float64) *machine {
	m := &machine{want: want, chance: chance, local: discriminator, peerRx: anyInterval}
	m.minTx, m.minRx = max(slow, want.Interval), want.Interval
	m.usesTx, m.usesRx = m.minTx, m.minRx
	m.seen = model.BFDSeen{State: model.BFDDown, Since: now, Why: "it has just begun"}
	m.begin(now)
	return m
}

// begin gives it time to come up. A peer that is there has been heard by then: it sends as often, and is taken for gone
// when it has not for so long.
func (m *machine) begin(now time.Time) {
	m.seen.Begins, m.known = true, now.Add(time.Duration(m.want.Multiplier)*m.minTx)
}

// become makes it as it is wanted. A fault takes it down at once; the peer finds out by itself.
func (m *machine) become(now time.Time, want model.BFDSession, fault string) []control {
	m.want = want
	switch {
	case m.fault == fault:
	case fault != "":
		m.forget()
		m.fault, m.diag = fault, diagPathDown
		m.enter(now, model.BFDDown, fault)
	default:
		m.fault = ""
		m.enter(now, model.BFDDown, "it could not be watched until a moment ago")
	}
	m.pace()
	return m.settle(now)
}

// end switches it off (section 6.8.16). A peer that is not known need not hear of it.
func (m *machine) end(now time.Time, most time.Duration) []control {
	if m.over = m.remote == 0 || m.fault != ""; m.over {
		return nil
	}
	m.ends = now.Add(min(most, time.Duration(m.want.Multiplier)*m.interval()))
	m.diag = diagAdminDown
	m.enter(now, model.BFDAdminDown, "it is not wanted any more")
	m.pace()
	m.poll, m.pollAgain = false, false
	return m.settle(now)
}

// hasten is for one that ends: by then at the latest.
func (m *machine) hasten(latest time.Time) {
	if latest.Before(m.ends) {
		m.ends = latest
	}
}

func (m *machine) enter(now time.Time, state model.BFDState, why string) {
	unsaid := m.seen.Unsaid
	m.seen = model.BFDSeen{State: state, Since: now, Why: why, Begins: m.seen.Begins, Unsaid: unsaid}
	if state == model.BFDUp || m.fault != "" {
		m.seen.Begins, m.known = false, time.Time{}
	}
}

// forget is what a peer that is gone leaves: it may come back as another one (section 6.8.1).
func (m *machine) forget() {
	m.remote, m.heard = 0, time.Time{}
	m.peer, m.peerDemands = model.BFDDown, false
	m.peerRx = anyInterval // or one that wanted no packets could never be found again (section 6.8.18)
}

// deadline is when tick is to be called; zero: not before something else happens.
func (m *machine) deadline() (first time.Time) {
	for _, t := range []time.Time{m.due, m.expires(), m.known, m.ends} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// tick does what is due.
func (m *machine) tick(now time.Time) []control {
	if isDue(m.ends, now) {
		m.over = true
		return nil
	}
	if isDue(m.expires(), now) {
		m.expire(now)
	}
	if isDue(m.known, now) {
		m.known, m.seen.Begins = time.Time{}, false
		if m.heard.IsZero() && m.diag != diagExpired {
			m.seen.Why = fmt.Sprintf("no packet of %s has come", m.want.Peer)
		}
	}
	out := m.settle(now)
	if isDue(m.due, now) {
		out = append(out, m.say(now))
	}
	return out
}

func isDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// detects is the silence that means that the peer is gone (section 6.8.4).
func (m *machine) detects() time.Duration {
	return time.Duration(m.peerTimes) * max(m.usesRx, m.peerTx)
}

// expires is when it does; zero: nothing is waited for.
func (m *machine) expires() time.Time {
	if m.heard.IsZero() || !m.ends.IsZero() { // who ends does not listen
		return time.Time{}
	}
	return m.heard.Add(m.detects())
}

func (m *machine) expire(now time.Time) {
	why := fmt.Sprintf("no packet of %s for %s", m.want.Peer, now.Sub(m.heard).Round(time.Millisecond))
	m.forget()
	if m.seen.State != model.BFDInit && m.seen.State != model.BFDUp {
		return
	}
	m.diag = diagExpired
	m.enter(now, model.BFDDown, why)
	m.pace()
}

// hear takes in a packet that is for this session and well made (section 6.8.6), and says whether it counts.
func (m *machine) hear(now time.Time, c control) ([]control, Reason) {
	if m.seen.State == model.BFDAdminDown || m.fault != "" {
		return nil, ReasonOff
	}
	m.remote, m.peer, m.peerDemands = c.mine, c.state, c.demand
	m.peerRx, m.peerTx, m.peerTimes, m.heard = c.minRx, c.minTx, c.multiplier, now
	if c.final {
		m.answered()
	}
	m.follow(now, c)
	m.pace()
	out := m.settle(now)
	if c.poll { // whatever else keeps it from sending (section 6.8.7)
		out = append(out, m.packet(true))
	}
	return out, Taken
}

// follow goes where the peer's state leads.
func (m *machine) follow(now time.Time, c control) {
	who := m.want.Peer
	switch at := m.seen.State; {
	case c.state == model.BFDAdminDown:
		if at != model.BFDDown {
			m.diag = diagSignaled
		}
		if !m.seen.Off || at != model.BFDDown {
			m.enter(now, model.BFDDown, fmt.Sprintf("%s has switched it off", who))
		}
		m.seen.Off, m.seen.Begins, m.known = true, false, time.Time{}
	case at == model.BFDDown && c.state == model.BFDDown:
		if m.seen.Off { // and on again: it is as new
			m.begin(now)
		}
		m.enter(now, model.BFDInit, unheard(who, c.diag))
	case at == model.BFDInit && c.state == model.BFDDown:
		m.seen.Why = unheard(who, c.diag)
	case at == model.BFDDown && c.state == model.BFDInit, at == model.BFDInit && (c.state == model.BFDInit || c.state == model.BFDUp):
		m.diag = diagNone
		m.enter(now, model.BFDUp, fmt.Sprintf("%s is heard, and hears this one", who))
	case at == model.BFDUp && c.state == model.BFDDown:
		m.diag = diagSignaled
		m.enter(now, model.BFDDown, fmt.Sprintf("%s says that it is down: %s", who, c.diag))
	}
}

// unheard is why a peer that is heard has not come up: it has just begun, or has a reason, which lasts (section 4.1).
func unheard(who model.Addr, diag diagnostic) string {
	if diag == diagNone {
		return fmt.Sprintf("%s is heard, and does not say yet that it hears this one", who)
	}
	return fmt.Sprintf("%s is heard, and says that it is down: %s", who, diag)
}

// pace tells the peer other intervals, where they are to be others. Who has to wait longer than before knows of it first
// (section 6.8.3).
func (m *machine) pace() {
	tx, rx := m.want.Interval, m.want.Interval
	up := m.seen.State == model.BFDUp
	if !up {
		tx = max(slow, tx)
	}
	if tx == m.minTx && rx == m.minRx {
		return
	}
	m.minTx, m.minRx = tx, rx
	if !up || tx < m.usesTx {
		m.usesTx = tx
	}
	if !up || rx > m.usesRx {
		m.usesRx = rx
	}
	m.poll, m.pollAgain = true, m.poll
}

// answered is the end of a Poll Sequence. What has changed since it began the peer may not know yet: that is for the next
// one.
func (m *machine) answered() {
	m.poll, m.pollAgain = m.pollAgain, false
	if !m.poll {
		m.usesTx, m.usesRx = m.minTx, m.minRx
	}
}

// settle says at once what would not be as it was said last (section 6.8.7), and when the next packet is due.
func (m *machine) settle(now time.Time) (out []control) {
	m.seen.Interval, m.seen.Detects = m.interval(), m.detects()
	if m.fault != "" || m.peerRx == 0 {
		m.due, m.paced = time.Time{}, 0
		return nil
	}
	if m.packet(false).same() != m.last {
		return []control{m.say(now)}
	}
	switch next := m.interval(); {
	case m.resting():
		m.due, m.paced = time.Time{}, 0
	case next != m.paced: // counted from the last one, so that a shorter one is kept at once (section 6.8.3)
		m.due, m.paced = m.sent.Add(m.jittered(next)), next
	}
	return nil
}

// resting: the peer is in demand mode, and wants nothing but what is asked and answered (section 6.6).
func (m *machine) resting() bool {
	return m.peerDemands && m.seen.State == model.BFDUp && m.peer == model.BFDUp && !m.poll
}

// interval is from packet to packet, at most (section 6.8.2).
func (m *machine) interval() time.Duration { return max(m.usesTx, m.peerRx) }

// jittered is a little less, so that those of many sessions do not come all at once (section 6.8.7). Who is gone after
// one missing packet must not be late with any.
func (m *machine) jittered(d time.Duration) time.Duration {
	const least, most, mostOfOne = 0.75, 1.0, 0.9
	span := most - least
	if m.want.Multiplier == 1 {
		span = mostOfOne - least
	}
	return time.Duration(float64(d) * (least + span*m.chance()))
}

// say is a packet that is no answer. The next one is due an interval later.
func (m *machine) say(now time.Time) control {
	out := m.packet(false)
	m.last, m.sent = out.same(), now
	m.due, m.paced = time.Time{}, 0
	if !m.resting() {
		m.paced = m.interval()
		m.due = now.Add(m.jittered(m.paced))
	}
	return out
}

// packet is what it would say now. Nobody polls and answers at once (section 6.5).
func (m *machine) packet(final bool) control {
	return control{diag: m.diag, state: m.seen.State, poll: m.poll && !final, final: final, multiplier: m.want.Multiplier,
		mine: m.local, yours: m.remote, minTx: m.minTx, minRx: m.minRx}
}

// same is what two packets have in common that say the same.
func (c control) same() control {
	c.poll, c.final = false, false
	return c
}

// silence is told why no packet gets away; "": they do.
func (m *machine) silence(why string) { m.seen.Unsaid = why }
