// SPDX-License-Identifier: Apache-2.0

package sched

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

func (lc) Pick(t Table, ask Ask) (Slot, bool) {
	return least(t.open(ask), func(a, b Slot) bool { return ask.Load(a.Server).overhead() < ask.Load(b.Server).overhead() })
}

func (wlc) Pick(t Table, ask Ask) (Slot, bool) {
	overhead := func(s Slot) uint64 { return ask.Load(s.Server).overhead() }
	return least(t.open(ask), func(a, b Slot) bool { return lighter(overhead(a), a.Weight, overhead(b), b.Weight) })
}

func (sed) Pick(t Table, ask Ask) (Slot, bool) {
	delay := func(s Slot) uint64 { return ask.Load(s.Server).Active + 1 }
	return least(t.open(ask), func(a, b Slot) bool { return lighter(delay(a), a.Weight, delay(b), b.Weight) })
}

func (nq) Pick(t Table, ask Ask) (Slot, bool) {
	for _, slot := range t.open(ask).Slots {
		if ask.Load(slot.Server).Active == 0 {
			return slot, true
		}
	}
	return sed{}.Pick(t, ask)
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
