// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"sync/atomic"

	"github.com/weir-lb/weir/internal/model"
)

// Counts is what was told and heard since the socket is open.
type Counts struct {
	Sent   uint64 // messages
	Unsent uint64 // messages that the kernel did not take
	Told   uint64 // records that messages were made of
	Untold uint64 // records that directors of LVS do not tell one another of

	Heard   uint64            // messages that counted
	Records uint64            // that they had
	Refused map[Reason]uint64 // messages, or entries of them, that did not count
	Overrun uint64            // messages that came too fast

	// What only who runs it counts.
	Dropped  uint64                   // changes that were not told: they came too fast
	Rejected map[model.Refusal]uint64 // records that have no place here
}

// plus adds what another socket has counted.
func (c Counts) plus(o Counts) Counts {
	out := Counts{
		Sent: c.Sent + o.Sent, Unsent: c.Unsent + o.Unsent, Told: c.Told + o.Told, Untold: c.Untold + o.Untold,
		Heard: c.Heard + o.Heard, Records: c.Records + o.Records, Refused: map[Reason]uint64{}, Overrun: c.Overrun + o.Overrun,
	}
	for _, of := range []map[Reason]uint64{c.Refused, o.Refused} {
		for why, n := range of {
			out.Refused[why] += n
		}
	}
	return out
}

// tally is written by who sends and who hears, and read by others.
type tally struct {
	sent, unsent, told, untold, records, overrun atomic.Uint64
	judged                                       [reasons]atomic.Uint64 // by reason, of messages and of entries
}

func (t *tally) read() Counts {
	c := Counts{
		Sent: t.sent.Load(), Unsent: t.unsent.Load(), Told: t.told.Load(), Untold: t.untold.Load(),
		Heard: t.judged[Taken].Load(), Records: t.records.Load(), Refused: map[Reason]uint64{}, Overrun: t.overrun.Load(),
	}
	for r := Taken + 1; r < reasons; r++ {
		if n := t.judged[r].Load(); n > 0 {
			c.Refused[r] = n
		}
	}
	return c
}
