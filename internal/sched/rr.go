// SPDX-License-Identifier: Apache-2.0

package sched

// rr is round robin: each server in turn, whatever its weight. When the table changes it goes on
// from where it was.
type rr struct {
	position uint64
}

func (r *rr) Pick(t Table, _ Ask) (Slot, bool) {
	if len(t.Slots) == 0 {
		return Slot{}, false
	}
	slot := t.Slots[r.position%uint64(len(t.Slots))]
	r.position++
	return slot, true
}
