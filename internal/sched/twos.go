// SPDX-License-Identifier: Apache-2.0

package sched

import "fmt"

// twos is the power of two choices (ip_vs_twos.c): of two servers that are drawn by their weights, the
// one with less to do for its weight.
type twos struct{}

func (twos) Pick(t Table, ask Ask) (Slot, bool) {
	open := t.open(ask)
	if len(open.Slots) == 0 {
		return Slot{}, false
	}
	first, second := open.draw(ask), open.draw(ask)
	if ask.fewerForWeight(second, first) {
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

// Explain says how likely each server is: as the first of the two, unless the second has less to do, and as
// the second, where it has.
func (twos) Explain(t Table, ask Ask) Choice {
	open := t.open(ask)
	c := explained(t, ask, func(s Slot) string {
		load := ask.Load(s.Server)
		return overheadOf(load).over(s.Weight, float64(load.overhead())).short
	})
	c.Why = nobodyTakes
	if len(open.Slots) == 0 {
		return c
	}
	c.Why = fmt.Sprintf("lots are drawn: of two of %s, which are drawn by weight, that which has less to do for its weight; nobody can say which",
		counted(len(open.Slots), "server"))
	c.Shares = map[int]float64{}
	chances := open.chances()
	for i, first := range open.Slots {
		for j, second := range open.Slots {
			picked := first.Server
			if ask.fewerForWeight(second, first) {
				picked = second.Server
			}
			c.Shares[picked] += chances[i] * chances[j]
		}
	}
	return c
}

// chances are how likely draw returns each server.
func (t Table) chances() []float64 {
	var total float64
	for _, slot := range t.Slots {
		total += float64(slot.Weight)
	}
	out := make([]float64, len(t.Slots))
	for i, slot := range t.Slots {
		out[i] = float64(slot.Weight) / (total + 1)
	}
	out[0] += 1 / (total + 1)
	return out
}
