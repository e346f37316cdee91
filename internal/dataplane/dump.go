// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Connection is one entry of the connection table; a NAT pair is one. A template of a persistent service is
// one, too: its state is model.Template, its client a masked address, and no port is port 0.
type Connection struct {
	Protocol   model.Protocol
	Client     netip.AddrPort
	Virtual    netip.AddrPort
	Server     netip.AddrPort
	Forwarding model.Forwarding
	State      string
	Expires    time.Duration
}

// word is the state of an entry: struct conn in bpf/types.h.
type word uint64

func (w word) state() pathConnState       { return pathConnState(w & 0xff) }
func (w word) has(flag pathConnFlag) bool { return pathConnFlag(w>>8)&flag != 0 }
func (w word) life() uint32               { return uint32(w >> 32) }
func (w word) isLive() bool               { return w.state() > pathConnStateCONN_COMING }
func (w word) isForward() bool            { return w.isLive() && !w.has(pathConnFlagCONN_REVERSE) }

// Connections calls yield for each connection until it returns false. Those that come and go
// meanwhile may be missing or not.
func (d *Dataplane) Connections(yield func(Connection) bool) error {
	read, err := d.reader()
	if err != nil {
		return err
	}
	return d.eachEntry(func(_ uint32, e pathConn) bool {
		return !word(e.Word).isForward() || yield(read(e))
	})
}

// reader makes connections of entries, with the servers that there are now.
func (d *Dataplane) reader() (func(pathConn) Connection, error) {
	servers, err := d.readServers()
	if err != nil {
		return nil, err
	}
	timeouts, err := readArray[pathTimeouts](d.path.Timeouts)
	if err != nil {
		return nil, fmt.Errorf("read timeouts: %w", err)
	}
	now := d.now()
	return func(e pathConn) Connection {
		server := servers[e.Server]
		c := connection(e, server)
		c.Expires = expires(timeouts[timeoutsOf(e, server)], e, now, d.hz)
		return c
	}, nil
}

// eachEntry calls yield for each entry of the table, free ones too, until it returns false.
func (d *Dataplane) eachEntry(yield func(position uint32, e pathConn) bool) error {
	err := eachElement(d.path.Conns, d.path.Conns.MaxEntries(), func(index uint32, e []pathConn) bool {
		return index%bucketSlots == 0 || yield(index, e[0])
	})
	if err != nil {
		return fmt.Errorf("read connections: %w", err)
	}
	return nil
}

var connStates = map[pathConnState]string{
	pathConnStateCONN_SYN_RECV:    "SYN_RECV",
	pathConnStateCONN_ESTABLISHED: "ESTABLISHED",
	pathConnStateCONN_FIN_WAIT:    "FIN_WAIT",
	pathConnStateCONN_TIME_WAIT:   "TIME_WAIT",
	pathConnStateCONN_CLOSE:       "CLOSE",
	pathConnStateCONN_UDP:         "UDP",
	pathConnStateCONN_TEMPLATE:    model.Template,
	pathConnStateCONN_KEPT:        model.Kept,
}

// connection reads an entry. Its server's place may be somebody else's: then nothing is known of it.
func connection(e pathConn, server pathServer) Connection {
	w := word(e.Word)
	c := Connection{
		Protocol:   model.Protocol(e.Protocol),
		Client:     addrPort(e.Source, e.SourcePort),
		Virtual:    addrPort(e.Destination, e.DestinationPort),
		Forwarding: fromForwarding(pathForwarding(e.Forwarding)),
		State:      connStates[w.state()],
	}
	if w.state() == pathConnStateCONN_TEMPLATE {
		c.Protocol &^= model.Protocol(pathLimitTEMPLATE_MARK)
		c.Forwarding = fromForwarding(pathForwarding(server.Forwarding))
	}
	if e.ServerGeneration != server.Generation && e.ServerGeneration != server.Was {
		return c
	}
	c.Server = netip.AddrPortFrom(fromAddr(server.Address), portOf(server, c.Forwarding, c.Virtual.Port()))
	return c
}

// portOf is the one that a server gets a connection at, which the client asked for at another one. DR, TUN and local
// keep it; a template for all ports is for none.
func portOf(server pathServer, forwarding model.Forwarding, asked uint16) uint16 {
	if forwarding == model.NAT && server.Port != 0 && asked != model.AnyPort {
		return fromPort(server.Port)
	}
	return asked
}
