// SPDX-License-Identifier: Apache-2.0

package model

// Refusal is why a director does not take what another one told of.
type Refusal uint8

const (
	RefusedMalformed Refusal = iota + 1
	RefusedService
	RefusedTemplate
	RefusedServer
	RefusedClash
	RefusedFull
	RefusedBusy
)

var refusals = map[Refusal]string{
	RefusedMalformed: "addresses, protocol and state do not belong together",
	RefusedService:   "no service here has this address, port and protocol",
	RefusedTemplate:  "no service here knows its clients again by this address",
	RefusedServer:    "the service has no such server here, or reaches it by another method",
	RefusedClash:     "its flow, or its way back, is that of another connection",
	RefusedFull:      "there is no room for it in the connection table",
	RefusedBusy:      "the connection changed while it was told of",
}

func (r Refusal) String() string { return refusals[r] }

// Refusals lists every reason.
func Refusals() []Refusal {
	return []Refusal{
		RefusedMalformed, RefusedService, RefusedTemplate, RefusedServer, RefusedClash, RefusedFull, RefusedBusy,
	}
}

// Arrived counts what became of records, and of ends, that another director told of.
type Arrived struct {
	New     int // here now
	Changed int // here before, and now as told
	Ended   int
	Unknown int // to be ended, and not here
	Ours    int // left alone: this director is master of its service, and knows better
	Refused map[Refusal]int
}

// Refuse counts one that is not taken.
func (a *Arrived) Refuse(why Refusal) {
	if a.Refused == nil {
		a.Refused = map[Refusal]int{}
	}
	a.Refused[why]++
}
