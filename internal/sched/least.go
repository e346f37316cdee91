// SPDX-License-Identifier: Apache-2.0

package sched

import "fmt"

// lc, wlc, sed and nq pick the server that has least to do. Of servers that are equal the first of the
// table stays, as in IPVS.
type (
	lc  struct{} // least connections, whatever the weights
	wlc struct{} // weighted least connections: connections divided by weight
	sed struct{} // shortest expected delay: that of the active ones and this one, divided by weight
	nq  struct{} // never queue: a server without active ones at once, else as sed
)

// overhead is what IPVS reckons a server's connections at (ip_vs_dest_conn_overhead): an active one is
// as much as 256 others.
func (l Load) overhead() uint64 { return l.Active<<8 + l.Inactive }

func (lc) Pick(t Table, ask Ask) (Slot, bool) { return least(t.open(ask), ask.fewer) }

func (a Ask) fewer(s, other Slot) bool {
	return a.Load(s.Server).overhead() < a.Load(other.Server).overhead()
}

func (wlc) Pick(t Table, ask Ask) (Slot, bool) { return least(t.open(ask), ask.fewerForWeight) }

func (a Ask) fewerForWeight(s, other Slot) bool {
	return lighter(a.Load(s.Server).overhead(), s.Weight, a.Load(other.Server).overhead(), other.Weight)
}

func (sed) Pick(t Table, ask Ask) (Slot, bool) { return least(t.open(ask), ask.shorter) }

func (a Ask) shorter(s, other Slot) bool {
	return lighter(a.Load(s.Server).Active+1, s.Weight, a.Load(other.Server).Active+1, other.Weight)
}

func (nq) Pick(t Table, ask Ask) (Slot, bool) {
	for _, slot := range t.open(ask).Slots {
		if ask.Load(slot.Server).Active == 0 {
			return slot, true
		}
	}
	return sed{}.Pick(t, ask)
}

func (s lc) Explain(t Table, ask Ask) Choice {
	return ask.explainLeast(s, t, ask.fewer, func(s Slot) figure {
		load := ask.Load(s.Server)
		return overheadOf(load).is(load.overhead())
	})
}

func (s wlc) Explain(t Table, ask Ask) Choice {
	return ask.explainLeast(s, t, ask.fewerForWeight, func(s Slot) figure {
		load := ask.Load(s.Server)
		return overheadOf(load).over(s.Weight, float64(load.overhead()))
	})
}

func (s sed) Explain(t Table, ask Ask) Choice { return ask.explainLeast(s, t, ask.shorter, ask.delay) }

// delay is what sed compares.
func (a Ask) delay(s Slot) figure {
	active := a.Load(s.Server).Active
	f := figure{fmt.Sprintf("active %d + 1", active), fmt.Sprintf("%d + 1", active)}
	return f.over(s.Weight, float64(active+1))
}

func (s nq) Explain(t Table, ask Ask) Choice {
	slot, found := s.Pick(t, ask)
	if !found || ask.Load(slot.Server).Active > 0 {
		c := sed{}.Explain(t, ask)
		if found {
			c.Why = "every server has active connections; " + c.Why
		}
		return c
	}
	c := explained(t, ask, func(s Slot) string { return fmt.Sprintf("active %d", ask.Load(s.Server).Active) })
	return c.picks(slot, found, func() string {
		return "it has no active connection, and of those that have none it was added last"
	})
}

// explainLeast is for those that pick the least figure.
func (a Ask) explainLeast(by Twin, t Table, less func(s, other Slot) bool, of func(Slot) figure) Choice {
	slot, found := by.Pick(t, a)
	c := explained(t, a, func(s Slot) string { return of(s).short })
	return c.picks(slot, found, func() string { return best(t.open(a), slot, of(slot).words, "least", less) })
}

// least returns the first slot that none of the others is less than.
func least(t Table, less func(a, b Slot) bool) (Slot, bool) {
	if len(t.Slots) == 0 {
		return Slot{}, false
	}
	best := t.Slots[0]
	for _, slot := range t.Slots[1:] {
		if less(slot, best) {
			best = slot
		}
	}
	return best, true
}

// lighter compares a/aWeight with b/bWeight, without fractions.
func lighter(a uint64, aWeight uint32, b uint64, bWeight uint32) bool {
	return a*uint64(bWeight) < b*uint64(aWeight)
}
