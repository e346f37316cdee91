// SPDX-License-Identifier: Apache-2.0

package model

// Quorum is how much its healthy servers must weigh together for a service to do its work, as keepalived has it.
// It is lost below Weight-Hysteresis, and won again from Weight+Hysteresis on.
type Quorum struct {
	Weight     int // 0: none is asked for
	Hysteresis int // less than Weight
}

// QuorumState says whether a service has its quorum.
type QuorumState uint8

const (
	QuorumUnknown QuorumState = iota // none is asked for, or too little is known of the servers yet
	QuorumHeld
	QuorumLost
)

// Standing is how a service stands with its servers, but for the sorry server, by the plan.
type Standing struct {
	Weight int // of the healthy ones, before any slow start
	Down   int // of those that their checks found down
	Open   int // of those of which nothing is known yet
	Quorum QuorumState
	Panic  bool // so few are healthy that those that are down are kept, too
}
