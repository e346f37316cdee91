// SPDX-License-Identifier: Apache-2.0

package sched

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
