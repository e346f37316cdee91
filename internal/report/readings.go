// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"net/netip"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Readings are the numbers that the maps held at one moment, and how notices fared. What a map does not hold is absent.
type Readings struct {
	Conns      uint64 // entries in the connection table
	ConnSize   uint64 // entries that it has room for
	ConnMemory uint64 // bytes that it takes
	ConnKept   Kept
	Servers    map[model.ServiceServer]ServerReading
	Services   map[model.ServiceKey]Counts
	Rates      Estimates
	Verdicts   []VerdictCount          // in the order of the path, those that are 0 too
	Notices    []NoticeCount           // in the order of the configuration
	VRRP       map[string]PacketCounts // by the name of the virtual router
	Mastered   map[string]uint64       // the same: how often it became master
	BFD        BFDReadings
	Sync       SyncReadings
}

// Kept is a size that the connection table was to get when the daemon started, and did not.
type Kept struct {
	Size uint64
	Why  string // "": it got what it was to get
}

// Counts grow from the moment at which the service or server was added.
type Counts struct {
	Connections uint64 // that were begun
	PacketsIn   uint64 // from clients
	BytesIn     uint64 // of IP packets
	PacketsOut  uint64 // to clients; NAT only, other answers do not pass here
	BytesOut    uint64
}

// PacketCounts are the adverts of a virtual router, or the packets of a BFD session, since the daemon began to run it.
type PacketCounts struct {
	Sent      uint64
	Unsent    uint64            // that the kernel did not take
	Received  uint64            // those that counted
	Discarded map[string]uint64 // by why they did not
}

func (c PacketCounts) clone() PacketCounts {
	c.Discarded = maps.Clone(c.Discarded)
	return c
}

// ServerReading is what the maps say of one server.
type ServerReading struct {
	Active     uint64 // connections that are established
	Inactive   uint64 // all others that live, UDP too
	HalfOpen   uint64 // those of Inactive whose handshake is not done; approximate
	Persistent uint64 // clients whose connections go to it (templates), which are no connections
	Full       bool   // it takes no new ones, for its thresholds
	Counts
}

// VerdictCount is one way in which packets leave the path, and how many did.
type VerdictCount struct {
	Name  string
	Help  string
	Count uint64
}

// NoticeCount is how one notice fares.
type NoticeCount struct {
	Notice  model.Notice
	Sent    uint64 // messages
	Failed  uint64 // attempts
	Dropped uint64 // events that nobody is told of
	Waiting int    // events
	Error   string // of the last attempt, on one line; "": it went well
}

// Connection is one entry of the connection table. NAT's way back is not listed apart. A template's client
// is what its clients have in common, without a port.
type Connection struct {
	Protocol model.Protocol
	Client   netip.AddrPort
	Virtual  netip.AddrPort // what the client asked for
	Server   netip.AddrPort
	State    string        // in LVS's words: ESTABLISHED, SYN_RECV, UDP, …
	Expires  time.Duration // from now, if no packet comes
}
