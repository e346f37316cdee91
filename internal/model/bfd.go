// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// BFDSession is a session of BFD (RFC 5880) with a neighbour on a link: each of the two says many times a second that it
// is there, and hears whether the other one hears it.
type BFDSession struct {
	Name       string
	Interface  string
	Peer       Addr
	Source     Addr          // of packets; zero: the interface's own, in the peer's network if it has one
	Interval   time.Duration // that packets are sent in and wanted in, at best: the slower of the two decides
	Multiplier uint8         // so many intervals without a packet, and it is down: of this one's packets; the peer has one for its own
}

// MaxBFDSessions is the largest number of sessions: one thread has all of them.
const MaxBFDSessions = 256

// BFDState is one of the RFC's states (section 6.2).
type BFDState uint8

const (
	BFDDown BFDState = iota
	BFDInit          // the peer is heard, and not known to hear this one
	BFDUp
	BFDAdminDown // it is switched off, by whose state it is
)

var bfdStates = map[BFDState]string{BFDDown: "down", BFDInit: "init", BFDUp: "up", BFDAdminDown: "admin-down"}

func (s BFDState) String() string { return bfdStates[s] }

// BFDSeen is how a session stands.
type BFDSeen struct {
	State    BFDState
	Since    time.Time
	Why      string        // it is in this state: "no packet of 192.0.2.1 for 500ms"
	Begins   bool          // it has just begun, or its peer has switched it on again, and had no time to come up: nothing is known
	Off      bool          // it is down because the peer has switched it off, which says nothing of the way to it (RFC 5882 section 3.2)
	Unsaid   string        // why no packet gets away; "": they do
	Interval time.Duration // from packet to packet of this one, at most
	Detects  time.Duration // silence of the peer that means that it is down; 0: it was never heard
}

// BFDWant is a session as it shall run. Its Source is chosen, unless there is a fault.
type BFDWant struct {
	BFDSession
	Link  int    // index of its interface; 0: there is none
	Fault string // why it cannot run; "": it can
}
