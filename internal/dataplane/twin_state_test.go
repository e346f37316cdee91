// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/sched"
)

// tcpState is what a director can know of a TCP connection, of which it may see one side only.
type tcpState struct {
	name                       string
	clientClosed, serverClosed bool
}

// next is the state after a segment of the client, or of the server.
func (s tcpState) next(flags packet.TCPFlags, data, fromClient bool) tcpState {
	closed := s.serverClosed
	if fromClient {
		closed = s.clientClosed
	}
	switch {
	case flags&packet.RST != 0: // perhaps nobody believes it: the next segment tells
		s.name = "CLOSE"
	case flags&packet.SYN != 0:
		if fromClient && flags&packet.ACK == 0 && s.over() {
			return tcpState{name: "SYN_RECV"}
		}
	case flags&packet.FIN != 0:
		s.clientClosed = s.clientClosed || fromClient
		s.serverClosed = s.serverClosed || !fromClient
		s.name = "FIN_WAIT"
		if s.clientClosed && s.serverClosed {
			s.name = "TIME_WAIT"
		}
	case s.name == "CLOSE" || s.name == model.Kept || fromClient && s.name == "SYN_RECV":
		return tcpState{name: "ESTABLISHED"}
	case data && closed: // somebody else had sent the FIN
		return s.reopened(fromClient)
	}
	return s
}

// reopened: the client, or the server, has not closed after all.
func (s tcpState) reopened(client bool) tcpState {
	if client {
		s.clientClosed = false
	} else {
		s.serverClosed = false
	}
	s.name = "ESTABLISHED"
	if s.clientClosed || s.serverClosed {
		s.name = "FIN_WAIT"
	}
	return s
}

// isOver: a SYN of the client begins another connection, which any server may have. Where only one side
// has closed, it goes to the same server, unless that takes no new ones. The service may say otherwise. One that
// is kept IPVS would have forgotten.
func (c *twinConn) isOver(p parsed) bool {
	if !p.opens() || p.flow.protocol == model.UDP {
		return false
	}
	if c.isKept() {
		return true
	}
	half := c.state.name == "FIN_WAIT" || c.state.name == "CLOSE"
	switch c.server.service.want.Reuse {
	case model.ReuseKept:
		return false
	case model.ReuseClosing:
		return c.state.closed() || half
	}
	return c.state.closed() || half && c.server.want.Weight == 0
}

// isAnswered: nobody waits for a packet of the server any more.
func (c *twinConn) isAnswered() bool {
	if c.toService.protocol == model.UDP {
		return c.answered && !c.settled
	}
	return c.state.closed() || c.isKept()
}

// closed: both sides have.
func (s tcpState) closed() bool { return s.clientClosed && s.serverClosed }

// over: a SYN of the client begins anew.
func (s tcpState) over() bool { return s.name != "SYN_RECV" && s.name != "ESTABLISHED" }

// see says that a segment of the connection passed. A later fragment does not say which.
func (c *twinConn) see(p parsed, fromClient bool) {
	repeated := c.packets > 0 && p.flags&packet.SYN != 0
	if fromClient && !p.isLater() && !repeated && c.packets < twinSettles {
		c.packets++
	}
	c.settled = c.settled || c.packets >= twinSettles
	before := c.state
	c.answered = c.answered || !fromClient
	if p.flow.protocol != model.UDP && !p.isLater() {
		c.state = c.state.next(p.flags, p.data, fromClient)
	}
	c.sign(before, fromClient)
}

// sign counts what a packet tells of the server.
func (c *twinConn) sign(before tcpState, fromClient bool) {
	switch {
	case before.name != "SYN_RECV":
	case c.state.name == "ESTABLISHED":
		c.server.signs.Answered++
		c.server.signs.Row = 0
	case c.state.name == "CLOSE" && !fromClient:
		c.server.signs.Refused++
		c.server.signs.Row++
	}
}

func newState(p model.Protocol) tcpState {
	if p == model.UDP {
		return tcpState{name: "UDP"}
	}
	return tcpState{name: "SYN_RECV"}
}

// connections are what `weir connections` must list, in the order of sorted.
func (t *twin) connections() []dataplane.Connection {
	var out []dataplane.Connection
	for key, c := range t.conns {
		if key != c.fromServer {
			out = append(out, c.listed())
		}
	}
	return sorted(out)
}

// listed is a connection as it is listed.
func (c *twinConn) listed() dataplane.Connection {
	f, forwarding := c.toService, c.forwarding
	server := netip.AddrPortFrom(c.server.want.Key.Address, f.destination.Port())
	if c.forwarding == model.NAT {
		server = c.fromServer.source
	}
	if c.isTemplate() {
		server, forwarding = c.templateServer()
	}
	return dataplane.Connection{
		Protocol: f.protocol &^ twinMark, Client: f.source, Virtual: f.destination, Server: server,
		Forwarding: forwarding, State: c.state.name,
	}
}

// sorted puts them in the one order that they have: a connection from port 0 and its client's template differ in
// nothing before their states.
func sorted(list []dataplane.Connection) []dataplane.Connection {
	slices.SortFunc(list, func(a, b dataplane.Connection) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Client.Compare(b.Client), a.Virtual.Compare(b.Virtual), cmp.Compare(a.State, b.State))
	})
	return list
}

// loads are active, inactive and half-open connections of each server that is there.
func (t *twin) loads() map[model.ServiceServer][3]uint64 {
	of := map[*twinServer][3]uint64{}
	for key, c := range t.conns {
		if key != c.fromServer {
			of[c.server] = c.addTo(of[c.server])
		}
	}
	out := map[model.ServiceServer][3]uint64{}
	for key, s := range t.services {
		for _, server := range s.servers {
			out[model.ServiceServer{Service: key, Server: server.want.Key}] = of[server]
		}
	}
	return out
}

// loadsOf is what a scheduler asks about the servers of a service.
func (t *twin) loadsOf(s *twinService) func(int) sched.Load {
	return func(i int) sched.Load {
		load := t.load(s.servers[i])
		return sched.Load{Active: load[0], Inactive: load[1]}
	}
}

// fullOf says which servers of a service take no new connections for their thresholds. One that was
// raised since no longer counts.
func (t *twin) fullOf(s *twinService) func(int) bool {
	return func(i int) bool {
		server := s.servers[i]
		upper := server.want.Thresholds.Upper
		return server.full > 0 && upper > 0 && upper <= server.full && !t.fallen(server)
	}
}

func (t *twin) total(server *twinServer) uint64 {
	load := t.load(server)
	return load[0] + load[1]
}

// fallen: a server that was full has so few connections that it takes some again.
func (t *twin) fallen(server *twinServer) bool {
	limits, total := server.want.Thresholds, t.total(server)
	if limits.Lower > 0 {
		return total < uint64(limits.Lower)
	}
	return total < (uint64(limits.Upper)*3+3)/4
}

func (t *twin) load(server *twinServer) (load [3]uint64) {
	for key, c := range t.conns {
		if c.server == server && key != c.fromServer {
			load = c.addTo(load)
		}
	}
	return load
}

// addTo counts a connection.
func (c *twinConn) addTo(load [3]uint64) [3]uint64 {
	switch {
	case c.isTemplate() || c.isKept():
	case c.state.name == "ESTABLISHED":
		load[0]++
	case c.state.name == "SYN_RECV":
		load[1]++
		load[2]++
	default:
		load[1]++
	}
	return load
}
