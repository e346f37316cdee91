// SPDX-License-Identifier: Apache-2.0

package sched

import (
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

// lblcr remembers a set of servers for each address (ip_vs_lblcr.c), those that joined last first. A
// set shrinks after a day only, which no twin lives to see.
type lblcr struct {
	sets map[netip.Addr][]model.ServerKey
}

// setSize is that of bpf/types.h (NEAR_MEMBERS): who joins a set that is full pushes the oldest out.
const setSize = 16

func (l *lblcr) Pick(t Table, ask Ask) (Slot, bool) {
	set := l.sets[ask.Virtual.Addr()]
	members := Table{}
	for _, key := range set {
		if slot, ok := t.slotOf(key); ok {
			members.Slots = append(members.Slots, slot)
		}
	}
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
