// SPDX-License-Identifier: Apache-2.0

package sched

import "fmt"

// rr is round robin: each server in turn, whatever its weight. When the table changes it goes on
// from where it was.
type rr struct {
	position uint64
}

func (r *rr) Pick(t Table, ask Ask) (Slot, bool) {
	for range t.Slots {
		slot := t.Slots[r.position%uint64(len(t.Slots))]
		r.position++
		if ask.takes(slot) {
			return slot, true
		}
	}
	return Slot{}, false
}

func (r *rr) Explain(t Table, ask Ask) Choice {
	next := map[int]uint64{} // in how many turns each comes
	for i, slot := range t.Slots {
		servers := uint64(len(t.Slots))
		next[slot.Server] = (uint64(i) + servers - r.position%servers) % servers
	}
	c := explained(t, ask, func(s Slot) string { return fmt.Sprintf("turn %d", 1+next[s.Server]) })
	slot, found := r.Pick(t, ask)
	return c.picks(slot, found, func() string {
		return "it is next in turn of " + counted(len(c.Compared), "server")
	})
}
