// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"

	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// sessionChanged is urgent: a virtual router may have to let go. What has come up or gone down is logged.
func (d *daemon) sessionChanged(c bfd.Change) {
	d.tellNow(func(s *model.Seen) {
		before := s.BFD[c.Name]
		if (before.State == model.BFDUp) != (c.Seen.State == model.BFDUp) {
			d.log.Info("a BFD session has changed", "bfd", c.Name, "state", c.Seen.State.String(), "why", c.Seen.Why)
		}
		s.BFD = maps.Clone(s.BFD)
		if s.BFD == nil {
			s.BFD = map[string]model.BFDSeen{}
		}
		s.BFD[c.Name] = c.Seen
	})
}

func fromSessions(counts map[string]bfd.Counts, strangers map[bfd.Reason]uint64) report.BFDReadings {
	out := report.BFDReadings{Sessions: map[string]report.PacketCounts{}, Strangers: named(strangers)}
	for name, c := range counts {
		out.Sessions[name] = report.PacketCounts{Sent: c.Sent, Unsent: c.Unsent, Received: c.Received, Discarded: named(c.Discarded)}
	}
	return out
}

// reason is why something that came was not taken.
type reason interface {
	comparable
	fmt.Stringer
}

func named[R reason](counts map[R]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for why, n := range counts {
		out[why.String()] = n
	}
	return out
}
