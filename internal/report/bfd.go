// SPDX-License-Identifier: Apache-2.0

package report

import (
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
	Counts    PacketCounts
}

// BFDReadings are what was counted of BFD.
type BFDReadings struct {
	Sessions  map[string]PacketCounts // by name
	Strangers map[string]uint64       // packets for no session, by why they did not count
}

// sessions are in the order of the configuration.
func sessions(in Input) (out []Session) {
	for _, want := range in.Desired.BFD {
		seen := in.Seen.BFD[want.Name]
		out = append(out, Session{
			Name: want.Name, Interface: want.Interface, Peer: want.Peer, Source: want.Source, State: seen.State, Since: seen.Since, Why: seen.Why,
			Interval: seen.Interval, Detects: seen.Detects, Counts: in.Readings.BFD.Sessions[want.Name].clone(),
		})
	}
	return out
}
