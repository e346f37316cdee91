// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"time"
)

// Addr is an IP address without a zone; IPv4 is never IPv4-mapped here.
type Addr = netip.Addr

// Seen is all that was observed and matters to the plan.
type Seen struct {
	Network     Network
	Attachments []Attachment     // by interface name
	PathMTUs    map[Addr]PathMTU // by the address of a TUN server: what routers said about the way to it
	Left        []Left           // in the order in which they left
	Health      map[CheckKey]Health
	Blocked     map[Detour]DetourWay        // those that were wanted and cannot be gone
	Signs       map[ServiceServer]Sign      // the bad ones
	InPool      map[ServiceServer]bool      // who got new connections by the last plan, or before the daemon's start; false: did not
	Entered     map[ServiceServer]time.Time // since when those in the pool are; absent: longer than this daemon remembers
	Standings   map[ServiceKey]Standing     // by the last plan
	Ejections   map[ServiceServer]Ejection  // by the last plan
	Maintenance MaintenanceFiles
	Claims      map[Addr]Claim             // of others to virtual addresses that this host holds
	VRRP        map[string]VRRPSeen        // by the name of the virtual router
	BFD         map[string]BFDSeen         // by the name of the session, of those of the last plan
	Ceased      map[string]time.Time       // until when those were master here that are not any more, by name
	Balanced    map[string]bool            // virtual routers whose services the data plane serves, by name
	Served      map[string]bool            // the same of those that it serves, or may serve still
	Held        map[string]bool            // those whose addresses are there, or may be
	Unrouted    map[RouteWant]RouteTrouble // those that were wanted last and are not there
	Processes   Processes
	Sync        SyncSeen
	PeerSince   map[Addr]time.Time // since when who connections are shared with is one, by the last plan
	TableHigh   bool               // the connection table is nearly full, or was and has not much room yet
	Applied     Applied
}

// Network is the host's network as far as it matters to weir: one consistent look.
type Network struct {
	Links      []Link              // by index
	Routes     map[Addr]Route      // the way to each followed address; absent: no route
	Neighbours map[Hop]MAC         // next hops whose MAC is known
	Following  []Addr              // the addresses that Routes speaks of
	Tracked    map[TrackRoute]bool // whether it is there; absent: nobody has looked
}

// MAC is an Ethernet address; the zero value means unknown.
type MAC [6]byte

// Link is a network interface of the host.
type Link struct {
	Name     string
	Index    int // never reused by the kernel while it runs, so a new index is a new interface
	MAC      MAC
	MTU      int // bytes of an IP packet
	Up       bool
	Loopback bool
	Parent   int            // index of the interface below a VLAN device; 0: it is none; ElsewhereParent: not to be seen
	VLAN     uint16         // its tag, 1..4094; 0 of a VLAN device: tagged in a way that is not 802.1Q's
	Prefixes []netip.Prefix // its addresses, each with the length of its subnet
}

// ElsewhereParent is the Parent of a VLAN device whose parent is in another network namespace.
const ElsewhereParent = -1

// Route is the way to an address.
type Route struct {
	Link    int  // index of the interface that leads there
	Gateway Addr // zero: the address itself is on the link
	Source  Addr // the host's own address on the way there
	Local   bool // the address is the host's own
	MTU     int  // where the route has one of its own; 0: that of the interface
}

// Hop is a next hop: an address on a link.
type Hop struct {
	Link    int
	Address Addr
}

// Claim is that another host says that it has an address.
type Claim struct {
	Interface string // by which it is heard
	MAC       MAC    // its own
}

// TooBig is what a router said: a packet of this host does not fit into the next link.
type TooBig struct {
	Router      Addr
	MTU         int  // of the next link; 0: the router did not say
	Source      Addr // of the packet, as are the following
	Destination Addr
	Protocol    uint8  // IANA's number
	Port        uint16 // destination port, of UDP
}

// PathMTU is the MTU of the way to an address, as a router told it.
type PathMTU struct {
	MTU    int
	Router Addr
	Until  time.Time // forgotten then: the way may be another one
}

// Attachment is a program on an interface.
type Attachment struct {
	Interface string
	Mode      XDPMode // XDPNative or XDPGeneric
	Reason    string  // why it is not native, or why there is none
	Attached  bool
}

// RouteTrouble is why a route is not there.
type RouteTrouble struct {
	Why   string
	Taken bool // somebody else's is there
}

// Processes is how those stand that are tracked.
type Processes struct {
	Stand  map[TrackProcess]ProcessStands // absent: nobody has looked
	Hidden string                         // why they cannot be seen, and stand as they did; "": they can
}

// ProcessStands is how many processes run, and whether those are enough, and have been for as long as it takes.
type ProcessStands struct {
	Count  int
	Enough bool
}

// Applied is what the targets made of the plan's last wish.
type Applied struct {
	Revision  uint64 // the newest revision that is in the maps
	Dataplane string // why the newest is not; "" when it is
	Address   string // the same of addresses and neighbours
}
