// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// group is virtual routers that are master together or not at all. Each has a thread of its own still, and none waits
// for another: what all have decided is one word, which is exchanged by who knows the one before; what a member has to
// say is another, which nobody else writes. Whoever writes one rings the others' bells.
//
//	a member that rises, yields, or hears that the master resigns ──► decide ──► the others obey
//	a member in fault, or that hears a better master              ──► say    ──► the others heed
type group struct {
	decided atomic.Pointer[decision] // nil: nobody has decided yet
	members atomic.Pointer[[]*member]
}

func newGroup() *group {
	g := &group{}
	g.members.Store(&[]*member{})
	return g
}

// decision is what a group shall be. It never changes: another one is another value.
type decision struct {
	master   bool
	why      string // as the others of the group say it
	gaveWay  bool   // somebody wants it: they take over from nobody who lives
	resigned string // the others' master has stepped down on one link: he does on all, as one of a group
	at       time.Time
}

// member is what others of a group may know of a virtual router.
type member struct {
	name string
	ring func()
	said atomic.Pointer[statement] // nil: it has not begun
}

// statement is what the others of a group must heed. It never changes.
type statement struct {
	fault string    // of its own; "": it has none
	keeps string    // why the group cannot be master; "": it can, as far as this one knows
	until time.Time // when that may be otherwise, at the latest
	hears bool      // it keeps them for its master alone, and not longer than until then: nobody need ask it again
	mute  bool      // it keeps them for nothing but that no advert of its own gets away
}

// others is what all others of a group say together.
type others struct {
	fault string
	keeps string
	until time.Time
}

// others asks all but one. That one is mute does not keep another one that is so from trying: else none ever would.
func (g *group) others(now time.Time, but *member) (out others) {
	own := but.said.Load()
	for _, each := range *g.members.Load() {
		if each == but {
			continue
		}
		said := each.said.Load()
		switch {
		case said == nil:
			out.keeps = cmp.Or(out.keeps, each.name+" of its group has not begun")
			continue
		case said.fault != "" && out.fault == "":
			out.fault = fmt.Sprintf("%s of its group is in fault: %s", each.name, said.fault)
		}
		if said.keeps == "" || said.hears && !now.Before(said.until) || said.mute && own != nil && own.mute {
			continue
		}
		out.keeps = cmp.Or(out.keeps, fmt.Sprintf("%s of its group %s", each.name, said.keeps))
		if said.until.After(out.until) {
			out.until = said.until
		}
	}
	return out
}

// has says whether a virtual router is one of its members.
func (g *group) has(r *router) bool {
	return r != nil && slices.Contains(*g.members.Load(), r.bond.member)
}

func (g *group) ring(but *member) {
	for _, each := range *g.members.Load() {
		if each != but {
			each.ring()
		}
	}
}

// bond is a virtual router's part in its group. It belongs to that one's goroutine.
type bond struct {
	member *member
	group  *group    // nil: it stands alone
	known  *decision // the last one that it obeyed, or made; nil: none of this group's
	fault  string    // of its own
}

// join is that it belongs to another group now, or to none. What it has said was for the others of the one before:
// when it comes back, its fault may be over for long.
func (b *bond) join(g *group) {
	if b.group != g {
		b.group, b.known = g, nil
		b.member.said.Store(nil)
	}
}

// heed hears what the others of the group say.
func (b *bond) heed(now time.Time, m *machine, do func([]deed)) {
	var said others
	if b.group != nil {
		b.say(now, m)
		said = b.group.others(now, b.member)
	}
	before := m.others
	m.others = said
	if said.fault != before.fault {
		do(m.become(now, m.want, m.own, b.hindrance(m)))
	}
	if m.waits && said.keeps == "" {
		m.due = now
		b.obey(now, m, do) // it may wait for nothing any more since the master has resigned: who is silent is another matter
	}
}

// obey does what its group has decided since; false: nothing.
func (b *bond) obey(now time.Time, m *machine, do func([]deed)) bool {
	if b.group == nil {
		return false
	}
	decided := b.group.decided.Load()
	if decided == nil || decided == b.known {
		return false
	}
	b.known = decided
	do(m.obey(now, *decided))
	return true
}

// hindrance is why it can take no part: its own fault, or that of another one of the group.
func (b *bond) hindrance(m *machine) string { return cmp.Or(b.fault, m.others.fault) }

// settle makes it what the group has decided, and the group what this one has become by itself.
func (b *bond) settle(now time.Time, m *machine, do func([]deed)) {
	if b.group == nil {
		return
	}
	for {
		b.say(now, m)
		if m.seen.State == model.VRRPInit { // as yet it has no part in what the group decides
			b.known = nil
			return
		}
		if b.obey(now, m, do) {
			continue
		}
		next := m.decide(now, b.member.name, b.known)
		if next == nil {
			return
		}
		if b.group.decided.CompareAndSwap(b.known, next) {
			b.known, m.resigned = next, ""
			b.group.ring(b.member)
			b.say(now, m)
			return
		}
	}
}

// say tells the others what they must heed. That it hears its master still is nothing to wake them for.
func (b *bond) say(now time.Time, m *machine) {
	next, before := m.state(now, b.fault), b.member.said.Load()
	if before != nil && *before == next {
		return
	}
	b.member.said.Store(&next)
	if before == nil || before.fault != next.fault || before.keeps != next.keeps {
		b.group.ring(b.member)
	}
}

// state is what the others of its group must know of it.
func (m *machine) state(now time.Time, fault string) statement {
	out := statement{fault: fault}
	switch {
	case m.seen.State == model.VRRPInit:
		out.keeps, out.until = "has not begun", m.due
	case m.parting():
		out.keeps, out.until = "lets go of its addresses", m.goodbye
	case m.seen.State == model.VRRPBackup && m.resigned != "": // what it says otherwise comes after what is decided for that
		out.keeps, out.until = "hears that its master resigns", m.due
	case m.hasBetter(now):
		out.keeps, out.until, out.hears = "hears its master "+m.seen.Master.String(), m.due, !m.isGuarded()
	case m.seen.State == model.VRRPBackup && m.seen.Unsaid != "":
		out.keeps, out.until, out.mute = "cannot advertise: "+m.seen.Unsaid, m.due, true
	case m.seen.State == model.VRRPBackup && m.isGuarded():
		out.keeps, out.until = m.unready(now)
	}
	return out
}

// isGuarded says whether it has more to do than to wait, before it takes over from a master who is silent.
func (m *machine) isGuarded() bool { return len(m.want.Witness) > 0 || m.want.Fence.Path != "" }

// unready is why it would not take over yet, and until when at least; "": it would.
func (m *machine) unready(now time.Time) (why string, until time.Time) {
	probing, because := m.probing(now), m.objection(now)
	switch {
	case m.left || m.outranks:
		return "", time.Time{}
	case m.cause == "" && now.Before(m.due):
		return "misses nobody yet", m.due
	case !probing.IsZero():
		return "asks who has its address", probing
	case because != "":
		return "holds back: " + because, m.due
	case (m.fence.running || m.fences()) && !m.fence.lets(m.want.Fence):
		return "has a fence, which has not made the master harmless", m.due
	}
	return "", time.Time{}
}

// hasBetter says whether it is backup of a master that it hears, and leaves the addresses to.
func (m *machine) hasBetter(now time.Time) bool {
	return m.seen.State == model.VRRPBackup && m.seen.Master.IsValid() && m.cause == "" && now.Before(m.due)
}

// wait is for the others of its group: one keeps them from being master, so this one is not either.
func (m *machine) wait(now time.Time) []deed {
	if because := m.objection(now); because != "" && m.probing(now).IsZero() {
		return m.hold(now, because)
	}
	m.cause = m.missing(now)
	if m.due = m.others.until; !m.due.After(now) {
		m.due = now.Add(m.want.Advertise)
	}
	why := m.cause + ", but " + m.others.keeps
	if m.waits && m.seen.Why == why {
		return nil
	}
	m.waits = true
	m.seen.Why, m.seen.Master, m.seen.Priority = why, model.Addr{}, 0
	return []deed{{kind: tell}}
}

// rest is that there is a master again: it waits for nobody.
func (m *machine) rest() {
	if m.waits {
		m.waits, m.seen.Why = false, "there is a master again"
	}
}

// obey does what its group has decided, as far as it can. Which master had resigned before it began is nothing to it:
// there may be another one since.
func (m *machine) obey(now time.Time, d decision) []deed {
	switch {
	case d.master && m.seen.State == model.VRRPBackup && !m.parting() && !m.hasBetter(now):
		return m.rise(now, d.why)
	case d.master:
		return nil
	case m.seen.State == model.VRRPMaster:
		m.gaveWay = d.gaveWay
		return m.leave(now, model.VRRPBackup, d.why)
	case d.resigned != "" && m.seen.State == model.VRRPBackup && !m.parting() && !m.latest.After(d.at) && !d.at.Before(m.seen.Since):
		m.succeed(now, d.resigned)
	}
	return nil
}

// succeed is that the master will be none. Who waits for less already goes on to. Nobody is asked about him any more,
// nor made harmless.
func (m *machine) succeed(now time.Time, why string) {
	due := now.Add(m.turn())
	if m.cause == "" || m.waits || m.due.IsZero() || due.Before(m.due) {
		m.due = due
	}
	m.left, m.outranks = true, false
	m.heard, m.cause, m.waits = now, why, false
	m.latest = time.Time{} // whoever comes now is the master
}

// decide is what the group is by what this one has become; nil: as it was decided. A fault decides nothing but that.
func (m *machine) decide(now time.Time, name string, was *decision) *decision {
	master := m.seen.State == model.VRRPMaster
	switch {
	case was == nil && m.seen.State != model.VRRPFault, was != nil && was.master != master:
		return &decision{master: master, why: fmt.Sprintf("%s of its group is %s: %s", name, m.seen.State, m.seen.Why), gaveWay: m.gaveWay, at: now}
	case m.resigned != "" && !master:
		return &decision{why: m.seen.Why, resigned: fmt.Sprintf("%s for %s of its group", m.resigned, name), at: now}
	}
	m.resigned = ""
	return nil
}
