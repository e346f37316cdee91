// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"time"
)

// Explanation is what becomes of the packets of a flow, as the maps of one moment have it.
type Explanation struct {
	Flow       Flow
	Service    *ServiceKey  // nil: none has it
	Others     []ServiceKey // those of the same address, where Service is nil
	Scheduler  Scheduler    // of Service
	Template   *Remembered  // nil: there is none
	Connection *Known       // nil: there is none
	New        *Way         // of a packet that begins a connection; nil: all belong to the one that there is
	Stray      *Way         // of a packet that belongs to no connection and begins none; nil: there can be none
	Servers    []Candidate  // of Service, those too that are leaving
}

// Remembered is what a persistent service remembers of the client: its template.
type Remembered struct {
	Server  *ServerKey    // nil: it is gone
	Expires time.Duration // from now, if no connection begins
}

// Known is the connection of a flow.
type Known struct {
	Server  netip.AddrPort // not valid: nothing is known of it any more
	State   string
	Expires time.Duration // from now, if no packet comes
	Packet  Way           // of a packet that belongs to it
}

// Way is what becomes of a packet that is as packets should be: its sums are right, its TTL and size do.
type Way struct {
	Verdict    string     // the exit that it takes, as in the counters; "": lots decide
	Means      string     // the verdict, in words
	Reason     string     // why this server, or why none
	Server     *ServerKey // nil: none
	Forwarding Forwarding // of the packets to it
	Hashed     bool       // the hash of the flow named the server, and nothing is remembered of it
	Local      bool       // it is this host
	Hop        NextHop
}

// NextHop is the neighbour that gets the frames for a server.
type NextHop struct {
	Link    int    // index of the interface, of the parent where that is a VLAN device; 0: no way to it
	VLAN    uint16 // tag of the frames; 0: none
	Address Addr
	MAC     MAC // zero: unknown yet
}

// Candidate is a server, as the scheduler saw it.
type Candidate struct {
	Key              ServerKey
	Weight           uint16
	Active, Inactive uint64
	Compared         string   // what the scheduler compared of it; "": nothing
	Share            *float64 // how likely it is, where lots are drawn
	Passed           Passed   // why it gets no new connections; 0: it can
}

// Passed is why a server is passed over.
type Passed uint8

const (
	PassedWeight      Passed = iota + 1 // weight 0
	PassedFull                          // it has reached its upper threshold
	PassedUnreachable                   // no way to it is known, while another server can be reached
	PassedLeaving                       // the service has it no more
)

func (p Passed) String() string {
	return map[Passed]string{
		PassedWeight: "weight 0", PassedFull: "full", PassedUnreachable: "unreachable", PassedLeaving: "leaving",
	}[p]
}
