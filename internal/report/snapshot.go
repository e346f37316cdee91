// SPDX-License-Identifier: Apache-2.0

// Package report says how things stand: Make turns what is wanted, what was seen and what the maps
// count into a Snapshot. It is pure; whoever looks (API, status, metrics) reads the Snapshot and
// nothing else. It does not know the wire's types, those are in api. Read snapshot.go, readings.go,
// then make.go.
package report

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Role is what this director is to its services.
type Role string

const (
	Single Role = "single" // it has no second director beside it
	Master Role = "master" // of all virtual routers
	Backup Role = "backup" // master of no virtual router: backup, in fault, or not begun
	Mixed  Role = "mixed"  // master of some
)

// Snapshot is how things stood at one moment. It is never changed once it was made.
type Snapshot struct {
	Taken       time.Time
	Revision    uint64 // of the newest configuration
	Applied     uint64 // the newest revision that is in the maps
	Role        Role
	Interfaces  []Interface // by name
	Connections Usage
	Services    []Service         // in the order of the configuration
	Servers     []Server          // service by service, in the order of the configuration, those last that are leaving
	Routers     []Router          // in the order of the configuration
	Sessions    []Session         // of BFD, in the order of the configuration
	Strangers   map[string]uint64 // packets of BFD for none of them, by why they did not count
	Peers       []Peer            // in the order of the configuration, directors of LVS last
	Verdicts    []VerdictCount
	Notices     []NoticeCount   // in the order of the configuration
	Events      []model.Event   // the oldest first
	Problems    []model.Problem // empty: all is as it is wanted
}

// Usage is how full the connection table is.
type Usage struct {
	Used        uint64
	Size        uint64
	MemoryBytes uint64 // of the kernel's, whatever is used
}

// HighPercent is where the table's use becomes a problem: what is left is there for a surge.
const HighPercent = 80

// Percent is how much is used, rounded down.
func (u Usage) Percent() uint64 {
	if u.Size == 0 {
		return 0
	}
	return u.Used * 100 / u.Size
}

// Interface is a network interface and the program on it.
type Interface struct {
	Name   string
	XDP    string // "native", "generic", or "none"
	Reason string // why it is not native, and by whose program a VLAN device is balanced; else ""
}

// Service is a service and what it has done.
type Service struct {
	Name      string
	Key       model.ServiceKey
	Also      []model.ServiceKey
	Scheduler model.Scheduler
	MSS       uint16 // largest MSS that a SYN may offer; 0: as it came
	Servers   int    // how many it has, without those that are leaving
	Up        int    // how many of them take new connections
	Sorry     string // name of its sorry service; "": it has none
	Active    uint64
	Inactive  uint64
	Counts    Counts
	Rates     *Rates // nil: not known yet
	Answers   bool   // its servers' answers pass here, so that packets_out means something
}

// Keys are all that the service has, the one first by which it is known.
func (s Service) Keys() []model.ServiceKey { return append([]model.ServiceKey{s.Key}, s.Also...) }

// Server is a real server of one service and what it has done.
type Server struct {
	Service    string // name of its service
	ServiceKey model.ServiceKey
	Key        model.ServerKey
	Forwarding model.Forwarding
	Tunnel     model.Tunnel // of forwarding method TUN
	Local      bool         // the address is the host's own: packets pass to its own stack
	Rests      bool         // it is in maintenance
	Sorry      bool         // it takes connections only while no other server of its service does
	LentBy     string       // name of the sorry service that it belongs to; "": it is the service's own
	Weight     uint16       // as the config has it
	Effective  *uint16      // the one in use; nil: Weight
	State      State
	Reason     string // why it is not up; or what its checks said of its weight, or a router of the way to it; else ""
	Reading    ServerReading
	Rates      *Rates // nil: not known yet
}

// Answers tells whether the server's answers pass through this director.
func (s Server) Answers() bool { return s.Forwarding == model.NAT && !s.Local }

// State says whether a server takes new connections.
type State string

// The states of a server. What is unreachable is not called quiesced, whatever its weight.
const (
	Up          State = "up"
	Quiesced    State = "quiesced"    // weight 0, or in maintenance: it keeps its connections and gets no new ones
	Full        State = "full"        // it has reached its upper threshold, and not fallen from it yet
	Unreachable State = "unreachable" // no route to it, or its MAC is not known
	Down        State = "down"        // its checks get bad answers, or none
	Waiting     State = "waiting"     // its checks have no good answer yet
	Standby     State = "standby"     // a sorry server, or one of the sorry service, while others take connections; others, while the quorum is lost and it does
	Panic       State = "panic"       // its checks get bad answers, and it takes connections all the same: too few others do
	Leaving     State = "leaving"     // removed, with connections left
)
