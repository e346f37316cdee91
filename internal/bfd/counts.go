// SPDX-License-Identifier: Apache-2.0

package bfd

import "sync/atomic"

// Counts is how many packets of a session there were, since it runs.
type Counts struct {
	Sent      uint64
	Unsent    uint64 // that the kernel did not take
	Received  uint64 // that counted
	Discarded map[Reason]uint64
}

// tally is written by the speaker and read by others.
type tally struct {
	sent, unsent atomic.Uint64
	heard        [reasons]atomic.Uint64
}

func (t *tally) read() Counts {
	c := Counts{Sent: t.sent.Load(), Unsent: t.unsent.Load(), Received: t.heard[Taken].Load(), Discarded: map[Reason]uint64{}}
	for r := Taken + 1; r < reasons; r++ {
		if n := t.heard[r].Load(); n > 0 {
			c.Discarded[r] = n
		}
	}
	return c
}
