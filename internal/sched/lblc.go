// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// lblc is locality-based least connection (ip_vs_lblc.c), for caches: an address that was asked for goes
// where it went before, unless that server is overloaded. Whether it is full does not matter.
type lblc struct {
	servers map[netip.Addr]model.ServerKey
}

func (l *lblc) Pick(t Table, ask Ask) (Slot, bool) {
	if last, ok := l.servers[ask.Virtual.Addr()]; ok {
		if slot, ok := t.slotOf(last); ok && !t.overloaded(slot, ask) {
			return slot, true
		}
	}
	slot, ok := wlc{}.Pick(t, ask)
	if ok {
		l.servers[ask.Virtual.Addr()] = slot.Key
	}
	return slot, ok
}

func (l *lblc) Explain(t Table, ask Ask) Choice {
	c, address := wlc{}.Explain(t, ask), ask.Virtual.Addr()
	last, known := l.servers[address]
	before, present := t.slotOf(last)
	slot, found := l.Pick(t, ask)
	switch {
	case !known:
		c.Why = fmt.Sprintf("no server is remembered of %s, so as wlc: %s", address, c.Why)
	case !present:
		c.Why = fmt.Sprintf("%s went to %s before, which takes no connections; so as wlc: %s", address, last, c.Why)
	case t.overloaded(before, ask):
		c.Why = fmt.Sprintf("%s went to %s before, which is overloaded (%s); so as wlc: %s", address, last, t.load(before, ask), c.Why)
	default:
		c.Why = fmt.Sprintf("%s went there before, and it is not overloaded (%s)", address, t.load(before, ask))
	}
	c.Slot, c.Found = slot, found
	return c
}

// lblcr remembers a set of servers for each address (ip_vs_lblcr.c), those that joined last first. A
// set shrinks after a day only, which no twin lives to see.
type lblcr struct {
	sets map[netip.Addr][]model.ServerKey
}

// setSize is that of bpf/types.h (NEAR_MEMBERS): who joins a set that is full pushes the oldest out.
const setSize = 16

func (l *lblcr) Pick(t Table, ask Ask) (Slot, bool) {
	set := l.sets[ask.Virtual.Addr()]
	members := t.members(set)
	if slot, ok := (wlc{}).Pick(members, ask); ok && !t.overloaded(slot, ask) {
		return slot, true
	}
	slot, ok := wlc{}.Pick(t, ask)
	if ok && !slices.Contains(set, slot.Key) {
		set = append([]model.ServerKey{slot.Key}, set...)
		l.sets[ask.Virtual.Addr()] = set[:min(len(set), setSize)]
	}
	return slot, ok
}

func (l *lblcr) Explain(t Table, ask Ask) Choice {
	c, address := wlc{}.Explain(t, ask), ask.Virtual.Addr()
	set := l.sets[address]
	own := wlc{}.Explain(t.members(set), ask)
	slot, found := l.Pick(t, ask)
	before := fmt.Sprintf("of %s that %s went to before", counted(len(set), "server"), address)
	switch {
	case len(set) == 0:
		c.Why = fmt.Sprintf("no server is remembered of %s, so as wlc: %s", address, c.Why)
	case !own.Found:
		c.Why = fmt.Sprintf("%s none takes connections; so as wlc: %s", before, c.Why)
	case t.overloaded(own.Slot, ask):
		c.Why = fmt.Sprintf("%s the least, %s, is overloaded (%s); so as wlc: %s", before, own.Slot.Key, t.load(own.Slot, ask), c.Why)
	default:
		c.Why = fmt.Sprintf("%s: %s, and it is not overloaded (%s)", before, own.Why, t.load(own.Slot, ask))
	}
	c.Slot, c.Found = slot, found
	return c
}

// members are those of a set that are in the table, in the order of the set.
func (t Table) members(set []model.ServerKey) (out Table) {
	for _, key := range set {
		if slot, ok := t.slotOf(key); ok {
			out.Slots = append(out.Slots, slot)
		}
	}
	return out
}

func (t Table) slotOf(key model.ServerKey) (Slot, bool) {
	i := slices.IndexFunc(t.Slots, func(s Slot) bool { return s.Key == key })
	if i < 0 {
		return Slot{}, false
	}
	return t.Slots[i], true
}

// overloaded: the server has more active connections than its weight, while another one has less than
// half as many.
func (t Table) overloaded(s Slot, ask Ask) bool {
	idles := func(s Slot) bool { return ask.Load(s.Server).Active*2 < uint64(s.Weight) }
	return ask.Load(s.Server).Active > uint64(s.Weight) && slices.ContainsFunc(t.Slots, idles)
}

// load says in words what overloaded looks at.
func (t Table) load(s Slot, ask Ask) string {
	active := ask.Load(s.Server).Active
	switch {
	case active <= uint64(s.Weight):
		return fmt.Sprintf("active %d <= weight %d", active, s.Weight)
	case t.overloaded(s, ask):
		return fmt.Sprintf("active %d > weight %d, and another server has fewer than half of its weight", active, s.Weight)
	}
	return fmt.Sprintf("active %d > weight %d, but no other server has fewer than half of its weight", active, s.Weight)
}
