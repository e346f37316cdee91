// SPDX-License-Identifier: Apache-2.0

package sched

// fo and ovf pick the server of the highest weight, the first of the table among equals, as in IPVS.
type (
	fo  struct{} // failover: all connections go there
	ovf struct{} // overflow: as long as it has no more active connections than its weight
)

func (fo) Pick(t Table, ask Ask) (Slot, bool) {
	return highest(t.open(ask), func(Slot) bool { return true })
}

func (ovf) Pick(t Table, ask Ask) (Slot, bool) {
	return highest(t.open(ask), func(s Slot) bool { return ask.Load(s.Server).Active <= uint64(s.Weight) })
}

func highest(t Table, takes func(Slot) bool) (best Slot, found bool) {
	for _, slot := range t.Slots {
		if takes(slot) && (!found || slot.Weight > best.Weight) {
			best, found = slot, true
		}
	}
	return best, found
}
