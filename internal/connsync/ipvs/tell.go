// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// entryOf is what a record is in the kernel's words; false: there are none for it.
//
// Directors of LVS do not tell of what has only begun, so that a flood of beginnings stays where it is. It is the
// same here: a connection is told of once it is established, a flow of UDP and a template once their client has
// proved itself. What ends without having been closed is not told of, either; it expires there as it does here.
func entryOf(r model.Record, marks Marks) (entry, bool) {
	e := entry{
		protocol: uint8(r.Protocol),
		client:   r.Client,
		virtual:  r.Virtual,
		server:   r.Server,
		timeout:  seconds(r.Left),
	}
	switch r.Forwarding {
	case model.NAT:
		e.flags = forwardMasquerade
	case model.TUN:
		e.flags = forwardTunnel | flagNoOutput
	case model.DR:
		e.flags = forwardRoute | flagNoOutput
	default:
		return entry{}, false
	}
	if r.IsTemplate() {
		return e.asTemplate(r, marks)
	}
	e.mark = marks.of(r.Protocol, r.Virtual)
	if r.State != established.state {
		e.flags |= flagInactive
	}
	var ok bool
	e.state, ok = stateOf(r)
	return e, ok
}

func (e entry) asTemplate(r model.Record, marks Marks) (entry, bool) {
	e.flags |= flagTemplate | flagInactive
	e.state = templateAssured
	e.mark = marks.first[asked{r.Protocol, r.Virtual}].mark
	if e.mark != 0 {
		e.protocol, e.virtual = 0, markAddress(e.mark, r.Virtual.Addr())
	}
	if e.virtual.Port() == 0 { // of many ports
		e.server = netip.AddrPortFrom(e.server.Addr(), 0)
	}
	return e, r.Settled && (e.mark != 0 || !r.Virtual.Addr().IsUnspecified())
}

// stateOf is the inverse of statesOf; false: a connection in it is not told of.
func stateOf(r model.Record) (uint16, bool) {
	switch r.Protocol {
	case model.TCP:
		return tcpState(r)
	case model.UDP:
		return 0, r.State == udpStates[0].state && r.Settled
	case model.SCTP:
		return sctpState(r)
	}
	return 0, false
}

func tcpState(r model.Record) (uint16, bool) {
	switch r.State {
	case established.state:
		return tcpEstablished, true
	case clientFirst.state:
		if r.Forwarding == model.NAT && !r.ServerClosed {
			return tcpCloseWait, true
		}
		return tcpFinWait, true
	case bothClosed.state:
		return tcpTimeWait, true
	case broken.state:
		return tcpClose, true
	}
	return 0, false
}

func sctpState(r model.Record) (uint16, bool) {
	switch r.State {
	case established.state:
		return sctpEstablished, true
	case clientFirst.state:
		if r.ServerClosed {
			return sctpShutdownSent, true
		}
		return sctpShutdownReceived, true
	case bothClosed.state:
		return sctpShutdownAckSent, true
	case broken.state:
		return sctpClosed, true
	}
	return 0, false
}

// seconds is a time on the wire, where 0 would be no time at all but the state's own.
func seconds(left time.Duration) uint32 {
	left = min(max(left, time.Second), model.MaxTimeout)
	return uint32((left + time.Second - 1) / time.Second)
}
