// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// Connection is one entry of the connection table; a NAT pair is one.
type Connection struct {
	Protocol   model.Protocol
	Client     netip.AddrPort
	Virtual    netip.AddrPort
	Server     netip.AddrPort
	Forwarding model.Forwarding
	State      string
	Expires    time.Duration
}

// dumpChunk is how many entries are copied in one call.
const dumpChunk = 4096

// Connections calls yield for each entry until it returns false. Entries that come and go
// meanwhile may be missing or not.
func (d *Dataplane) Connections(yield func(Connection) bool) error {
	keys, values := make([]pathFlow, dumpChunk), make([]pathConn, dumpChunk)
	var cursor ebpf.MapBatchCursor
	now := d.now()
	for {
		n, err := d.path.Conns.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read connections: %w", err)
		}
		for i := range n {
			if c, ok := d.connection(keys[i], values[i], now); ok && !yield(c) {
				return nil
			}
		}
		if err != nil {
			return nil
		}
	}
}

var connStates = map[pathConnState]string{
	pathConnStateCONN_NONE:        "NONE",
	pathConnStateCONN_SYN_RECV:    "SYN_RECV",
	pathConnStateCONN_ESTABLISHED: "ESTABLISHED",
	pathConnStateCONN_FIN_WAIT:    "FIN_WAIT",
	pathConnStateCONN_TIME_WAIT:   "TIME_WAIT",
	pathConnStateCONN_CLOSE:       "CLOSE",
	pathConnStateCONN_UDP:         "UDP",
}

// connection reads an entry; false: it is the way back of a NAT pair.
func (d *Dataplane) connection(key pathFlow, value pathConn, now uint32) (Connection, bool) {
	if pathConnFlag(value.State>>8)&pathConnFlagCONN_REVERSE != 0 {
		return Connection{}, false
	}
	state := pathConnState(value.State & 0xff)
	c := Connection{
		Protocol:   model.Protocol(key.Protocol),
		Client:     netip.AddrPortFrom(fromAddr(key.Source), fromPort(key.SourcePort)),
		Virtual:    netip.AddrPortFrom(fromAddr(key.Destination), fromPort(key.DestinationPort)),
		Forwarding: fromForwarding(pathForwarding(value.Forwarding)),
		State:      connStates[state],
		Expires:    d.expiry.expires(state, d.lastSeen(key, value), now),
	}
	port := value.OtherPort
	if port == 0 {
		port = key.DestinationPort // DR, TUN and local keep the port
	}
	c.Server = netip.AddrPortFrom(fromAddr(value.Other), fromPort(port))
	return c, true
}

// lastSeen: a NAT pair lives by its younger half.
func (d *Dataplane) lastSeen(key pathFlow, value pathConn) uint32 {
	if value.OtherPort == 0 {
		return value.Seen
	}
	reverse := pathFlow{
		Source: value.Other, SourcePort: value.OtherPort,
		Destination: key.Source, DestinationPort: key.SourcePort,
		Protocol: key.Protocol,
	}
	var other pathConn
	if err := d.path.Conns.Lookup(&reverse, &other); err != nil || int32(other.Seen-value.Seen) < 0 {
		return value.Seen
	}
	return other.Seen
}

func fromForwarding(f pathForwarding) model.Forwarding {
	for method, value := range toForwarding {
		if value == f {
			return method
		}
	}
	return 0
}

// Usage is how full the connection table was at the last sweep; a NAT pair has two entries.
func (d *Dataplane) Usage() (used, size uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used, uint64(d.path.Conns.MaxEntries())
}
