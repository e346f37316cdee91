// SPDX-License-Identifier: Apache-2.0

package connsync

import "sync/atomic"

// Counts are what has happened with a peer, since it is one.
type Counts struct {
	Sent     uint64 // datagrams
	Unsent   uint64 // that the kernel did not take
	Received uint64 // that counted
	Refused  map[Reason]uint64

	Resent   uint64 // of these that were sent: once more, since the peer missed them
	Lost     uint64 // datagrams of the stream that were missing for good; slices are compared then
	Dropped  uint64 // changes that found no room in the queue; the same
	Unsaid   uint64 // records that have no form on the wire
	Inserted uint64 // records that are in the table now
	Ended    uint64 // connections that the peer has told the end of
	Pruned   uint64 // connections that were ended since the peer has them not
	Ignored  uint64 // what this director serves itself
	Rejected map[string]uint64
}

// tally is written by who runs a peer and read by others.
type tally struct {
	sent, unsent, resent, lost, dropped, unsaid, inserted, ended, pruned, ignored atomic.Uint64
	heard                                                                         [reasons]atomic.Uint64
}

func (t *tally) read() Counts {
	c := Counts{Sent: t.sent.Load(), Unsent: t.unsent.Load(), Received: t.heard[Taken].Load(), Refused: map[Reason]uint64{},
		Resent: t.resent.Load(), Lost: t.lost.Load(), Dropped: t.dropped.Load(), Unsaid: t.unsaid.Load(), Inserted: t.inserted.Load(),
		Ended: t.ended.Load(), Pruned: t.pruned.Load(), Ignored: t.ignored.Load(), Rejected: map[string]uint64{}}
	for r := Taken + 1; r < reasons; r++ {
		if n := t.heard[r].Load(); n > 0 {
			c.Refused[r] = n
		}
	}
	return c
}
