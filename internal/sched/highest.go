// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"fmt"
	"slices"
)

// fo and ovf pick the server of the highest weight, the first of the table among equals, as in IPVS.
type (
	fo  struct{} // failover: all connections go there
	ovf struct{} // overflow: as long as it has no more active connections than its weight
)

func (fo) Pick(t Table, ask Ask) (Slot, bool) {
	return highest(t.open(ask), func(Slot) bool { return true })
}

func (ovf) Pick(t Table, ask Ask) (Slot, bool) {
	return highest(t.open(ask), ask.holds)
}

// holds: the server does not overflow.
func (a Ask) holds(s Slot) bool { return a.Load(s.Server).Active <= uint64(s.Weight) }

func (f fo) Explain(t Table, ask Ask) Choice {
	slot, found := f.Pick(t, ask)
	c := explained(t, ask, func(s Slot) string { return fmt.Sprintf("weight %d", s.Weight) })
	return c.picks(slot, found, func() string {
		return best(t.open(ask), slot, fmt.Sprintf("weight %d", slot.Weight), "highest", heavier)
	})
}

func (o ovf) Explain(t Table, ask Ask) Choice {
	slot, found := o.Pick(t, ask)
	c := explained(t, ask, func(s Slot) string {
		if ask.holds(s) {
			return fmt.Sprintf("active %d <= weight %d", ask.Load(s.Server).Active, s.Weight)
		}
		return fmt.Sprintf("active %d > weight %d", ask.Load(s.Server).Active, s.Weight)
	})
	c = c.picks(slot, found, func() string {
		holding := Table{Slots: slices.DeleteFunc(slices.Clone(t.open(ask).Slots), func(s Slot) bool { return !ask.holds(s) })}
		return best(holding, slot, fmt.Sprintf("weight %d", slot.Weight), "highest", heavier) + " with no more active connections than weight"
	})
	if !found && len(c.Compared) > 0 {
		c.Why = "every server has more active connections than weight"
	}
	return c
}

func heavier(a, b Slot) bool { return a.Weight > b.Weight }

func highest(t Table, takes func(Slot) bool) (best Slot, found bool) {
	for _, slot := range t.Slots {
		if takes(slot) && (!found || slot.Weight > best.Weight) {
			best, found = slot, true
		}
	}
	return best, found
}
