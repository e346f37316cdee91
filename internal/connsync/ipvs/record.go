// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"net/netip"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// meaning is what a state of the kernel is here.
type meaning struct {
	state                      string // "": no connection that is told of is in it
	clientClosed, serverClosed bool
}

var (
	beginning   = meaning{state: "SYN_RECV"}
	established = meaning{state: "ESTABLISHED"}
	clientFirst = meaning{state: "FIN_WAIT", clientClosed: true}
	serverFirst = meaning{state: "FIN_WAIT", serverClosed: true}
	bothClosed  = meaning{state: "TIME_WAIT", clientClosed: true, serverClosed: true}
	broken      = meaning{state: "CLOSE"}
)

// IP_VS_TCP_S_* that are told of again.
const (
	tcpEstablished = 1
	tcpFinWait     = 4
	tcpTimeWait    = 5
	tcpClose       = 6
	tcpCloseWait   = 7
)

// tcpStates are IP_VS_TCP_S_*, in their order. By NAT the server's FIN leads to FIN_WAIT, and the client's to CLOSE_WAIT
// (ip_vs_proto_tcp.c, tcp_states).
var tcpStates = []meaning{
	{},          // NONE
	established, // ESTABLISHED
	beginning,   // SYN_SENT
	beginning,   // SYN_RECV
	serverFirst, // FIN_WAIT
	bothClosed,  // TIME_WAIT
	broken,      // CLOSE
	clientFirst, // CLOSE_WAIT
	bothClosed,  // LAST_ACK
	{},          // LISTEN
	beginning,   // SYNACK
}

// udpStates has IP_VS_UDP_S_NORMAL alone.
var udpStates = []meaning{{state: "UDP"}}

// IP_VS_SCTP_S_* that are told of again.
const (
	sctpEstablished      = 8
	sctpShutdownSent     = 9
	sctpShutdownReceived = 10
	sctpShutdownAckSent  = 11
	sctpClosed           = 13
)

// sctpStates are IP_VS_SCTP_S_*, in their order: they are the server's (ip_vs_proto_sctp.c).
var sctpStates = []meaning{
	{},          // NONE
	beginning,   // INIT1
	beginning,   // INIT
	beginning,   // COOKIE_SENT
	beginning,   // COOKIE_REPLIED
	beginning,   // COOKIE_WAIT
	beginning,   // COOKIE
	beginning,   // COOKIE_ECHOED
	established, // ESTABLISHED
	serverFirst, // SHUTDOWN_SENT
	clientFirst, // SHUTDOWN_RECEIVED
	bothClosed,  // SHUTDOWN_ACK_SENT
	broken,      // REJECTED
	broken,      // CLOSED
}

var statesOf = map[model.Protocol][]meaning{model.TCP: tcpStates, model.UDP: udpStates, model.SCTP: sctpStates}

// IP_VS_CTPL_S_*, the states of templates: 0 is NONE.
const (
	templateAssured = 1 // one of its connections was established
	templateStates  = 2
)

// templateTimeout is what IPVS gives one that comes without (ip_vs_proc_conn): version 0 cannot say.
const templateTimeout = 3 * time.Minute

var forwardings = map[flags]model.Forwarding{forwardMasquerade: model.NAT, forwardTunnel: model.TUN, forwardRoute: model.DR}

// record is what an entry says, or why it says nothing.
func (e entry) record(marks Marks) (model.Record, Reason) {
	forwarding, ok := forwardings[e.flags&flagsForwarding]
	switch {
	case !e.understood():
		return model.Record{}, ReasonMandatory
	case e.flags&^flagsKnown != 0:
		return model.Record{}, ReasonFlags
	case !ok:
		return model.Record{}, ReasonForwarding
	case e.flags&flagsSequence != 0 || e.has(optionSequence):
		return model.Record{}, ReasonSequence
	}
	r := model.Record{Protocol: model.Protocol(e.protocol), Client: e.client, Virtual: e.virtual, Server: e.server, Forwarding: forwarding}
	var why Reason
	if e.flags&flagTemplate != 0 {
		why = e.template(&r, marks)
	} else {
		why = e.connection(&r)
		r.Persistent = marks.service(r.Protocol, r.Virtual).persistent
	}
	if why == Taken {
		why = e.expires(&r)
	}
	if why != Taken {
		return model.Record{}, why
	}
	return r, Taken
}

func (e entry) understood() bool {
	for _, o := range e.options {
		if !o.known() {
			return false
		}
	}
	return true
}

// connection reads an entry that is no template. That it is told of is the proof that its client exists.
func (e entry) connection(r *model.Record) Reason {
	states, ok := statesOf[r.Protocol]
	switch {
	case !ok:
		return ReasonProtocol
	case int(e.state) >= len(states) || states[e.state].state == "":
		return ReasonState
	case !reachable(e.client.Addr()) || !reachable(e.virtual.Addr()) || !reachable(e.server.Addr()):
		return ReasonAddress
	case e.flags&flagNoClientPort != 0 || e.client.Port() == 0 || e.virtual.Port() == 0 || e.server.Port() == 0:
		return ReasonPort
	}
	m := states[e.state]
	if m == serverFirst && r.Protocol == model.TCP && r.Forwarding != model.NAT {
		m = clientFirst // where answers do not come by, it is the client's FIN that leads to FIN_WAIT
	}
	r.State, r.ClientClosed, r.ServerClosed = m.state, m.clientClosed, m.serverClosed
	r.Settled = m != beginning
	return Taken
}

// template reads an entry that is one.
func (e entry) template(r *model.Record, marks Marks) Reason {
	switch {
	case e.has(optionEngine) || e.has(optionName):
		return ReasonEngine
	case e.state >= templateStates:
		return ReasonState
	case e.client.Port() != 0:
		return ReasonPort
	}
	if e.protocol == 0 {
		if why := e.marked(r, marks); why != Taken {
			return why
		}
	} else if _, ok := statesOf[r.Protocol]; !ok {
		return ReasonProtocol
	} else if !reachable(e.virtual.Addr()) {
		return ReasonAddress
	}
	if !canBeMasked(e.client.Addr()) || !reachable(e.server.Addr()) {
		return ReasonAddress
	}
	if e.server.Port() == 0 { // its connections go to the port that they ask for
		r.Server = netip.AddrPortFrom(e.server.Addr(), r.Virtual.Port())
	}
	r.State, r.Settled = model.Template, e.state == templateAssured
	return Taken
}

// marked finds the service of a firewall mark.
func (e entry) marked(r *model.Record, marks Marks) Reason {
	number, ok := markOf(e.virtual)
	if !ok || number != e.mark {
		return ReasonMark
	}
	service, ok := marks.named[named{number, e.virtual.Addr().Is4()}]
	if !ok {
		return ReasonMark
	}
	r.Protocol, r.Virtual = service.Protocol, netip.AddrPortFrom(service.Address, service.Port)
	return Taken
}

// expires reads the timeout. It is the one of the state, not what is left of it.
func (e entry) expires(r *model.Record) Reason {
	r.Left = time.Duration(e.timeout) * time.Second
	switch {
	case r.Left > model.MaxTimeout:
		return ReasonTimeout
	case r.Left > 0:
	case r.IsTemplate():
		r.Left = templateTimeout
	default:
		standard := model.DefaultTimeouts()
		r.Left = *standard.Of(r.State)
	}
	return Taken
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// reachable tells whether packets may go to, or come from, an address.
func reachable(a netip.Addr) bool {
	return canBeMasked(a) && !a.IsUnspecified()
}

// canBeMasked tells whether an address may be a client's, or of a network of clients: 0.0.0.0 is all of them.
func canBeMasked(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsLoopback() && !a.Is4In6() && a != broadcast
}
