// SPDX-License-Identifier: Apache-2.0

package sched

import "fmt"

// head stands before the first slot.
const head = -1

// wrr is weighted round robin as in IPVS (ip_vs_wrr.c): it walks the table round and round with a
// threshold that falls by the divisor after each turn and begins again at the top, and picks every
// server whose weight reaches it. So shares are exact and heavy servers are interleaved with light ones.
type wrr struct {
	version   uint32
	index     int    // of the last pick
	threshold uint32 // IPVS's cw
}

func (w *wrr) Pick(t Table, ask Ask) (Slot, bool) {
	if len(t.open(ask).Slots) == 0 {
		return Slot{}, false
	}
	if w.version != t.Version {
		w.follow(t)
	}
	for {
		w.step(t)
		if slot := t.Slots[w.index]; slot.Weight >= w.threshold && ask.takes(slot) {
			return slot, true
		}
	}
}

// follow goes over to another table (ip_vs_wrr_dest_changed). In IPVS servers come one by one, and
// the first one of a service leaves the threshold at 1: hence the 1 here.
func (w *wrr) follow(t Table) {
	w.version, w.index = t.Version, head
	switch {
	case w.threshold == 0:
		w.threshold = 1
	case w.threshold > t.Top:
		w.threshold = t.Top
	case t.Divisor > 1:
		w.threshold = w.threshold/t.Divisor*t.Divisor + 1
	}
}

func (w *wrr) step(t Table) {
	w.index++
	if w.index < len(t.Slots) {
		return
	}
	w.index = 0
	if w.threshold <= t.Divisor {
		w.threshold = t.Top
	} else {
		w.threshold -= t.Divisor
	}
}

// Explain compares with the threshold at which somebody was found.
func (w *wrr) Explain(t Table, ask Ask) Choice {
	slot, found := w.Pick(t, ask)
	c := explained(t, ask, func(s Slot) string {
		if s.Weight < w.threshold {
			return fmt.Sprintf("%d < %d", s.Weight, w.threshold)
		}
		return fmt.Sprintf("%d >= %d", s.Weight, w.threshold)
	})
	return c.picks(slot, found, func() string {
		return fmt.Sprintf("it is next in turn of those whose weight reaches the threshold, which goes round and stands at %d: weight %d",
			w.threshold, slot.Weight)
	})
}
