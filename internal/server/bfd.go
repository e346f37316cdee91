// SPDX-License-Identifier: Apache-2.0

package server

import (
	"maps"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/report"
)

func bfd(in report.Snapshot) api.BFD {
	out := api.BFD{Sessions: []api.BFDSession{}, Strangers: map[string]uint64{}}
	maps.Copy(out.Strangers, in.Strangers)
	for _, s := range in.Sessions {
		one := api.BFDSession{
			Name:       s.Name,
			Interface:  s.Interface,
			Peer:       s.Peer.String(),
			State:      s.State.String(),
			Since:      s.Since,
			Why:        s.Why,
			IntervalMS: s.Interval.Milliseconds(),
			DetectMS:   s.Detects.Milliseconds(),
			Sent:       s.Counts.Sent,
			Unsent:     s.Counts.Unsent,
			Received:   s.Counts.Received,
			Discarded:  map[string]uint64{},
		}
		if s.Source.IsValid() {
			one.Source = s.Source.String()
		}
		maps.Copy(one.Discarded, s.Counts.Discarded)
		out.Sessions = append(out.Sessions, one)
	}
	return out
}
