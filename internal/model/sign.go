// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"time"
)

// Sign is what became of a server's new connections lately, as the path saw it. It is no check: clients make it, and
// a flood of SYNs looks like a server that hangs.
type Sign struct {
	Begun    uint64
	Answered uint64 // the client went on after its SYN
	Refused  uint64 // the server answered the SYN with an RST; seen by NAT only
	Row      uint32 // refused since the last one that was answered
	Burst    bool   // it is of these only
}

// SignWindow is the time that a Sign tells of.
const SignWindow = 10 * time.Second

// When a sign is bad: of so many connections so few were answered, or so many refused.
const (
	signEnough   = 10
	signAnswered = 10 // one of so many
	signRefused  = 2  // one of so many
)

// IsBad tells whether something seems to be wrong with the server.
func (s Sign) IsBad() bool { return s.Burst || s.isRefusing() || s.isSilent() }

func (s Sign) isRefusing() bool { return s.Begun >= signEnough && s.Refused*signRefused >= s.Begun }
func (s Sign) isSilent() bool   { return s.Begun >= signEnough && s.Answered*signAnswered < s.Begun }

// String says what is bad about it.
func (s Sign) String() string {
	if s.Burst {
		return "the last connections were all refused"
	}
	if s.isRefusing() {
		return fmt.Sprintf("of %d connections begun in %s %d were refused", s.Begun, SignWindow, min(s.Refused, s.Begun))
	}
	return fmt.Sprintf("of %d connections begun in %s %d were answered", s.Begun, SignWindow, s.Answered)
}

// Passive is what a service makes of bad signs.
type Passive uint8

const (
	PassiveWarn Passive = iota + 1 // status speaks of them
	PassiveVote                    // a server is taken out for a while, as long as others have none
	PassiveOff
)

var passives = map[Passive]string{PassiveWarn: "warn", PassiveVote: "vote", PassiveOff: "off"}

func (p Passive) String() string { return passives[p] }

// Passives lists all, the default first.
func Passives() []Passive { return []Passive{PassiveWarn, PassiveVote, PassiveOff} }

// ParsePassive is the inverse of Passive.String.
func ParsePassive(s string) (Passive, bool) {
	for _, p := range Passives() {
		if p.String() == s {
			return p, true
		}
	}
	return 0, false
}

// Ejection is a server that is out by its signs, or was not long ago.
type Ejection struct {
	Since, Until time.Time
	Times        int // in a row
	Sign         Sign
	Out          bool // now
}
