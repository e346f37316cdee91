// SPDX-License-Identifier: Apache-2.0

package sched

// twos is the power of two choices (ip_vs_twos.c): of two servers that are drawn by their weights, the
// one with less to do for its weight.
type twos struct{}

func (twos) Pick(t Table, ask Ask) (Slot, bool) {
	open := t.open(ask)
	if len(open.Slots) == 0 {
		return Slot{}, false
	}
	first, second := open.draw(ask), open.draw(ask)
	overhead := func(s Slot) uint64 { return ask.Load(s.Server).overhead() }
	if lighter(overhead(second), second.Weight, overhead(first), first.Weight) {
		return second, true
	}
	return first, true
}

// draw returns a server, each as often as its weight says, and the first a little oftener: 0 is one
// number more than there are weights.
func (t Table) draw(ask Ask) Slot {
	var total uint32
	for _, slot := range t.Slots {
		total += slot.Weight
	}
	left := int64(ask.Random(total + 1))
	for _, slot := range t.Slots {
		if left -= int64(slot.Weight); left <= 0 {
			return slot
		}
	}
	return t.Slots[len(t.Slots)-1]
}
