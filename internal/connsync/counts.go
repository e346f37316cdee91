// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"sync/atomic"

	"github.com/weir-lb/weir/internal/model"
)

// Counts are what has happened with a peer, since it is one.
type Counts struct {
	Sent     uint64 // datagrams
	Unsent   uint64 // that the kernel did not take
	Received uint64 // that counted
	Refused  map[Reason]uint64

	Resent   uint64                   // of these that were sent: once more, since the peer missed them
	Lost     uint64                   // datagrams of the stream that were missing for good; slices are compared then
	Dropped  uint64                   // changes that found no room in the queue; the same
	Pruned   uint64                   // of what is to be ended, what the peer has not
	Rejected map[model.Refusal]uint64 // records
}

// tally is written by who runs a peer and read by others.
type tally struct {
	sent, unsent, resent, lost, dropped, pruned atomic.Uint64
	heard                                       [reasons]atomic.Uint64
}

func (t *tally) read() Counts {
	c := Counts{Sent: t.sent.Load(), Unsent: t.unsent.Load(), Received: t.heard[Taken].Load(), Refused: map[Reason]uint64{},
		Resent: t.resent.Load(), Lost: t.lost.Load(), Dropped: t.dropped.Load(), Pruned: t.pruned.Load(), Rejected: map[model.Refusal]uint64{}}
	for r := Taken + 1; r < reasons; r++ {
		if n := t.heard[r].Load(); n > 0 {
			c.Refused[r] = n
		}
	}
	return c
}
