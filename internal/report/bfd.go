// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Session is one of BFD and how it stands here.
type Session struct {
	Name      string
	Interface string
	Peer      model.Addr
	Source    model.Addr // zero: there is none
	State     model.BFDState
	Since     time.Time // zero: it has not begun
	Why       string    // it is in this state, on one line
	Interval  time.Duration
	Detects   time.Duration // 0: the peer was never heard
	Counts    BFDCounts
}

// BFDCounts are packets of one session, since the daemon began to run it.
type BFDCounts struct {
	Sent      uint64
	Unsent    uint64            // that the kernel did not take
	Received  uint64            // those that counted
	Discarded map[string]uint64 // by why they did not
}

// BFDReadings are what was counted of BFD.
type BFDReadings struct {
	Sessions  map[string]BFDCounts // by name
	Strangers map[string]uint64    // packets for no session, by why they did not count
}

// sessions are in the order of the configuration.
func sessions(in Input) (out []Session) {
	for _, want := range in.Desired.BFD {
		seen, counts := in.Seen.BFD[want.Name], in.Readings.BFD.Sessions[want.Name]
		counts.Discarded = maps.Clone(counts.Discarded)
		out = append(out, Session{
			Name: want.Name, Interface: want.Interface, Peer: want.Peer, Source: want.Source, State: seen.State, Since: seen.Since, Why: seen.Why,
			Interval: seen.Interval, Detects: seen.Detects, Counts: counts,
		})
	}
	return out
}
