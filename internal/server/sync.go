// SPDX-License-Identifier: Apache-2.0

package server

import (
	"maps"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/report"
)

func peers(in report.Snapshot) []api.Peer {
	out := []api.Peer{}
	for _, p := range in.Peers {
		one := api.Peer{
			Peer:     p.Name,
			Dialect:  string(p.Dialect),
			State:    string(p.State),
			Since:    p.Since,
			Why:      p.Why,
			Role:     p.Role,
			LagMS:    p.Counts.Lag.Milliseconds(),
			Queue:    p.Counts.Queue,
			Sent:     p.Counts.Sent,
			Unsent:   p.Counts.Unsent,
			Received: p.Counts.Received,
			Lost:     p.Counts.Lost,
			Refused:  map[string]uint64{},
			Dropped:  p.Counts.Dropped,
			Rejected: map[string]uint64{},
		}
		maps.Copy(one.Refused, p.Counts.Refused)
		for why, n := range p.Counts.Rejected {
			one.Rejected[why.String()] = n
		}
		out = append(out, one)
	}
	return out
}
