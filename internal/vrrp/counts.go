// SPDX-License-Identifier: Apache-2.0

package vrrp

import "sync/atomic"

// Counts is how many adverts of a virtual router's id there were, since it runs.
type Counts struct {
	Mastered  uint64 // how often it became master, however shortly it was that (RFC 6527, MasterTransitions)
	Sent      uint64
	Unsent    uint64 // that the kernel did not take, for one of the peers or for all
	Received  uint64 // that counted
	Discarded map[Reason]uint64
}

// tally is written by the router and read by others.
type tally struct {
	mastered, sent, unsent atomic.Uint64
	heard                  [reasons]atomic.Uint64
}

func (t *tally) read() Counts {
	c := Counts{Mastered: t.mastered.Load(), Sent: t.sent.Load(), Unsent: t.unsent.Load(), Received: t.heard[Taken].Load(), Discarded: map[Reason]uint64{}}
	for r := Taken + 1; r < reasons; r++ {
		if n := t.heard[r].Load(); n > 0 {
			c.Discarded[r] = n
		}
	}
	return c
}
