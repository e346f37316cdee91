// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Leaving is what becomes of the connections of a server that was taken out of its service. It gets
// no new ones in any case.
type Leaving uint8

const (
	Drain Leaving = iota + 1 // they live on until they end
	Reset                    // their clients hear of it at their next packet, and they go
	Drop                     // their packets are dropped, as by IPVS, until the server is back or they have expired
)

var leavings = map[Leaving]string{Drain: "drain", Reset: "reset", Drop: "drop"}

func (l Leaving) String() string { return leavings[l] }

// Leavings lists every policy, the default first.
func Leavings() []Leaving { return []Leaving{Drain, Reset, Drop} }

// ParseLeaving is the inverse of Leaving.String.
func ParseLeaving(s string) (Leaving, bool) {
	for _, l := range Leavings() {
		if l.String() == s {
			return l, true
		}
	}
	return 0, false
}

// Departure is how servers leave a service. The zero value is the default: they drain, and no time is set.
type Departure struct {
	Policy Leaving       // 0: Drain
	For    time.Duration // of Drain: what lives then is reset; 0: it lives until it ends
}

// Left is a server that was taken out of its service and may have connections.
type Left struct {
	Service ServiceKey
	Server  Server
	Since   time.Time // of the first look, where that was before the daemon's start
}

// Is tells whether it is this server of this service.
func (l Left) Is(service ServiceKey, server ServerKey) bool {
	return l.Service == service && l.Server.Key == server
}
