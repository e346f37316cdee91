// SPDX-License-Identifier: Apache-2.0

package api

import "time"

// BFD answers GET /v1/bfd: the neighbours that are watched by BFD.
type BFD struct {
	Sessions  []BFDSession      `json:"sessions" nullable:"false" doc:"Each of the configuration, in its order."`
	Strangers map[string]uint64 `json:"strangers" nullable:"false" doc:"Packets that were for no session, by why they did not count. What has not happened may be absent."`
}

// BFDSession is a session with a neighbour, and how it stands. What it counts begins with the daemon, or when the session
// was configured.
type BFDSession struct {
	Name       string            `json:"name" doc:"Its name in the configuration."`
	Interface  string            `json:"interface" doc:"Interface by which the neighbour is reached."`
	Peer       string            `json:"peer" doc:"Address of the neighbour."`
	Source     string            `json:"source,omitempty" doc:"Address of this host that packets come from; absent: there is none."`
	State      string            `json:"state" enum:"down,init,up" doc:"Of this end: up means that each of the two hears the other one."`
	Since      time.Time         `json:"since,omitzero" doc:"When it came to that; absent: it has not begun."`
	Why        string            `json:"why" doc:"Why it is in that state, on one line; empty: it has not begun."`
	IntervalMS int64             `json:"interval_ms" doc:"Milliseconds from packet to packet of this end, at most; a second or more until it is up."`
	DetectMS   int64             `json:"detect_ms,omitempty" doc:"Milliseconds of silence after which the neighbour is taken for gone; absent: it was never heard."`
	Sent       uint64            `json:"sent" doc:"Packets sent."`
	Unsent     uint64            `json:"unsent" doc:"Packets that the kernel did not take."`
	Received   uint64            `json:"received" doc:"Packets received that counted."`
	Discarded  map[string]uint64 `json:"discarded" nullable:"false" doc:"Packets received that did not count, by why. What has not happened may be absent."`
}
