// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// witness is what the neighbours say who are asked. A master who is silent may be dead, or only not heard: whoever has
// a witness takes over from him when one of its witnesses answers, lest it is itself cut off, and when nobody answers
// any more where the address is, lest he lives. The lease keeps a dead or hung master from answering.
//
//	heard ─────── 1.5 ──── 2 ──── 2.5 ──── 3 ─ lease over ─ due      intervals of the master
//	              └ asked ─┴──────┴────────┴───┴─ asked thrice, and waited for ─► rise, or held back
//
// In between it is asked now and then: one that did not answer while the master was heard is dead itself, and proves
// nothing.
type witness struct {
	asked    time.Time // the last question
	answered time.Time // the last answer of any of them
	since    time.Time // since when they have answered without a gap
	unheard  int       // questions of peace without an answer, in a row
	trusted  bool      // of a master: it has answered, so its silence means something
	doubt    bool      // of a master: it is silent, so it may be this director that is cut off

	probes  int       // questions for the address since the lease of the silent master is over, three at most
	probed  time.Time // the last of these
	claimed time.Time // the last answer to one
	claimer model.MAC // whose
	held    time.Time // since when it is held back, for want of a witness or since a master lives
}

const (
	witnessEvery = time.Second // it is asked in peace
	witnessGone  = 5           // questions in a row without an answer: it is silent
	// A director that hears neither its master nor its witnesses for so long takes over: both may be dead at once, as
	// behind one fuse; and if it is this one that is cut off, it serves nobody.
	witnessPatience = time.Minute
	heldEvery       = 100 * time.Millisecond // they are asked, at most, while it is held back
	leastPace       = 5 * time.Millisecond   // that of adverts every 10 ms
	// Who has the address is asked three times, and a while is waited for each answer: one frame that is lost shall decide
	// nothing, nor shall that a machine stood still, this one or his.
	probes     = 3
	leastGrace = 15 * time.Millisecond
)

// asks says whether neighbours are asked anything.
func (m *machine) asks() bool {
	return len(m.want.Witness) > 0 && !m.parting() && (m.seen.State == model.VRRPBackup || m.seen.State == model.VRRPMaster)
}

// questionDue is when they are to be asked next; zero: they are not.
func (m *machine) questionDue() time.Time {
	if !m.asks() {
		return time.Time{}
	}
	next := m.witness.asked.Add(witnessEvery)
	if m.seen.State == model.VRRPBackup {
		next = earlier(next, later(m.heard.Add(m.active*3/2), m.witness.asked.Add(m.pace())))
		switch m.witness.probes {
		case 0:
			next = earlier(next, m.probeAt())
		case probes: // no other one before that is decided
			next = later(next, m.witness.probed.Add(m.grace()))
		default:
			next = earlier(next, later(m.probeAt(), m.witness.probed.Add(m.grace()/probes)))
		}
	}
	return next
}

// pace is how often they are asked while the master is missed.
func (m *machine) pace() time.Duration {
	if m.witness.held.IsZero() {
		return max(m.active/2, leastPace)
	}
	return max(m.active/2, heldEvery)
}

// probeAt is when a dead master's lease is over: it is counted from his last advert as he counts it. Of a master who
// is not known it may have begun just before this one did, with the longest skew; and of several that begin at once the
// higher one shall be first.
func (m *machine) probeAt() time.Time {
	if !m.lost.IsValid() {
		return m.heard.Add(4*m.active + m.skew())
	}
	return m.heard.Add(3*m.active + m.skewOf(m.lostPriority) + m.active/64)
}

// grace is how long answers may take, of all three questions together.
func (m *machine) grace() time.Duration {
	return min(max(m.active/10, leastGrace), 50*time.Millisecond)
}

// question asks, if it is time to.
func (m *machine) question(now time.Time) []deed {
	if at := m.questionDue(); !m.asks() || at.After(now) {
		return nil
	}
	if m.isPeace(now) {
		m.witness.unheard++
	}
	m.witness.asked = now
	if w := &m.witness; m.seen.State == model.VRRPBackup && w.probes < probes && !now.Before(m.probeAt()) {
		w.probes, w.probed = w.probes+1, now
	}
	m.doubt(now)
	return []deed{{kind: ask}}
}

// isPeace: a backup that hears its master on its own interface, and misses no advert yet, is not cut off. A master hears
// nobody.
func (m *machine) isPeace(now time.Time) bool {
	at := m.paths.latest[ownLink]
	return m.seen.State == model.VRRPMaster || !at.IsZero() && now.Sub(at) < m.active*3/2
}

// doubt is that of a master whose witness has fallen silent. It stays one, since the witness may be dead; but any other
// one whose witness answers is the better one, and its adverts say so. That ends when the witness has answered for as
// long as another master would need to be heard.
func (m *machine) doubt(now time.Time) {
	w := &m.witness
	switch {
	case m.seen.State != model.VRRPMaster || m.want.Group != "" || m.isOwner():
		w.doubt = false
	case !w.doubt:
		w.doubt = w.trusted && w.unheard > witnessGone
	case m.answersLately(now) && now.Sub(w.since) >= m.lasts():
		w.doubt = false
	}
}

// says is the priority of its adverts.
func (m *machine) says() uint8 {
	if m.witness.doubt {
		return model.Doubtful
	}
	return m.want.Priority
}

// answer is that a neighbour has said where an address is.
func (m *machine) answer(now time.Time, address netip.Addr, mac model.MAC) {
	w := &m.witness
	switch {
	case !m.asks():
	case address == m.asked() && m.seen.State == model.VRRPBackup:
		w.claimed, w.claimer = now, mac
	case slices.Contains(m.want.Witness, address):
		if w.answered.IsZero() || w.unheard > witnessGone {
			w.since = now
		}
		w.answered, w.unheard, w.trusted = now, 0, true
		if !w.held.IsZero() {
			m.due = now
		}
	}
}

// asked is the address of which it is asked who has it. The last one is no link-local one, if any is not.
func (m *machine) asked() netip.Addr { return m.want.Addresses[len(m.want.Addresses)-1].Addr() }

func (m *machine) answersLately(now time.Time) bool {
	return !m.witness.answered.IsZero() && now.Sub(m.witness.answered) <= 2*witnessEvery
}

// probing is until when it waits for who has the address still; zero: it does not.
func (m *machine) probing(now time.Time) time.Time {
	if len(m.want.Witness) == 0 || m.left || m.outranks {
		return time.Time{}
	}
	left := probes - m.witness.probes
	end := m.witness.probed.Add(m.grace() / probes * time.Duration(1+left))
	if left == 0 && !end.After(now) {
		return time.Time{}
	}
	return later(m.probeAt(), later(end, now))
}

// objection is why it must not take over now; "": it may. Who was told by the master himself that he is none, and who
// hears him and is the better one, need no witness.
func (m *machine) objection(now time.Time) string {
	switch w := m.witness; {
	case len(m.want.Witness) == 0 || m.left || m.outranks:
		return ""
	case !w.claimed.IsZero() && !w.claimed.Before(m.probeAt()) && now.Sub(w.claimed) < 3*m.pace()+m.grace():
		return fmt.Sprintf("%s answers for %s: a master lives, and his adverts do not come here", net.HardwareAddr(w.claimer[:]), m.asked())
	case m.answersNow(now):
		return ""
	case w.unheard > witnessGone: // it was so while the master was heard
		return ""
	case !w.held.IsZero() && now.Sub(later(w.held, later(w.answered, w.claimed))) >= witnessPatience:
		return ""
	}
	return fmt.Sprintf("no witness answers (%s): this director may be cut off", m.witnesses())
}

// answersNow says whether a witness has answered after the master had fallen silent, and just now: to the last question,
// so that all of a group can be ready at once.
func (m *machine) answersNow(now time.Time) bool {
	w, lasts := m.witness, max(m.active, 4*leastPace)
	if !w.held.IsZero() && !w.answered.Before(w.held) { // it is asked less often
		lasts = max(lasts, m.pace()+m.grace())
	}
	return !w.answered.IsZero() && now.Sub(w.answered) <= lasts
}

// unwitnessed is what is to be said of a takeover that no witness has answered for.
func (m *machine) unwitnessed(now time.Time) string {
	if len(m.want.Witness) == 0 || m.left || m.outranks || m.answersNow(now) {
		return ""
	}
	return ", and no witness answers"
}

func (m *machine) witnesses() string {
	var names []string
	for _, w := range m.want.Witness {
		names = append(names, w.String())
	}
	return strings.Join(names, ", ")
}

// hold keeps it backup for a reason. Neighbours are asked on meanwhile, and with each answer it looks again.
func (m *machine) hold(now time.Time, because string) []deed {
	m.cause = m.missing(now)
	if m.witness.held.IsZero() {
		m.witness.held = now
	}
	m.due = now.Add(m.pace())
	return m.heldBack(m.cause+", but "+because, because)
}

// heldBack tells why it is backup still, and hears no master.
func (m *machine) heldBack(why, held string) []deed {
	if m.seen.Why == why && m.seen.Held == held {
		return nil
	}
	m.seen.Why, m.seen.Held, m.seen.Master, m.seen.Priority = why, held, model.Addr{}, 0
	return []deed{{kind: tell}}
}

// calm is that a master is heard: nothing of the silence before counts.
func (m *machine) calm() {
	w := &m.witness
	w.probes, w.probed, w.claimed, w.held = 0, time.Time{}, time.Time{}, time.Time{}
	m.left, m.outranks = false, false
	m.fence.calm()
	if m.seen.Held != "" || m.fence.shown {
		m.seen.Held, m.seen.Why, m.fence.shown = "", "there is a master again", false
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
