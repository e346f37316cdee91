// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"time"
)

// Record is a connection, or a template, as another director may know it: by addresses, never by the ids or the
// clock of a host.
type Record struct {
	Protocol   Protocol
	Client     netip.AddrPort // of a template: the masked address, port 0
	Virtual    netip.AddrPort // what the client asked for; of a template: its service's first key
	Server     netip.AddrPort // with the port that NAT sends to
	Forwarding Forwarding
	State      string // one of States, or Template

	ClientClosed, ServerClosed bool // which sides have closed

	Settled    bool          // its client has proved itself
	Persistent bool          // it keeps its client's template
	Left       time.Duration // until it expires, if no packet comes; whole seconds on the wire
}

// Identity is what a connection, or a template, is known by: records of one identity are about the same one.
type Identity struct {
	Protocol Protocol
	Client   netip.AddrPort
	Virtual  netip.AddrPort
	Template bool
}

// IsTemplate tells whether the record is of no connection.
func (r Record) IsTemplate() bool { return r.State == Template }

// Identity is what the record is about.
func (r Record) Identity() Identity {
	return Identity{r.Protocol, r.Client, r.Virtual, r.IsTemplate()}
}
