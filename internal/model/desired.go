// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"time"
)

// Desired is what the kernel shall hold. It is made by plan.Make alone.
type Desired struct {
	Address   AddressWant
	Dataplane DataplaneWant
	Standings map[ServiceKey]Standing
	Ramps     map[ServiceServer]time.Time // until when servers that came back have less than their weight
	Ejections map[ServiceServer]Ejection
	Resting   map[ServiceServer]Rest // who is in maintenance; without a server: all of a service
	VRRP      []VRRPWant             // in the order of the Spec
	BFD       []BFDWant              // in the order of the Spec
	Sync      SyncWant
	Problems  []Problem // what keeps the Spec from being served as it is written
}

// Problem is something that a person must know, and the way out.
type Problem struct {
	What string
	Why  string
	Fix  string
}

// AddressWant is what internal/address makes true.
type AddressWant struct {
	VIPs       []VIP
	Routers    map[string]bool // the virtual routers whose addresses are among them
	Routes     []RouteWant     // of virtual routers
	Neighbours []Hop           // kept resolved by the kernel (managed entries)
	Forward4   []string        // interfaces on which IPv4 forwarding is on: bpf_fib_lookup refuses without it
	Forward6   []string        // the same of IPv6
	OwnARP     []string        // interfaces that answer ARP for their own addresses alone: a virtual MAC has others of this host
	RxVLANOff  []string        // interfaces whose driver must leave VLAN tags in the frame, where the program looks
	Detours    []DetourWant
	Aliases    []netip.Prefix // ranges that lead nowhere but by a detour
	Closed     []ClosedAddress
}

// ClosedAddress is an address whose host takes what is sent to its services, and nothing else (RFC 9568 section 6.1:
// Accept_Mode is false).
type ClosedAddress struct {
	Address  Addr
	Services []ServiceKey
}

// VIP is a virtual address that the host holds.
type VIP struct {
	Address   netip.Addr
	Interface string // "lo": it has no connected route, so nobody is told about it
	MAC       MAC    // where it is, on a device of its own upon the interface; zero: at the interface's
	Bits      int    // of the subnet that comes with it, as keepalived's virtual_ipaddress has it; 0: none, it is a /32 or /128
}

// RouteWant is a route that this host shall have, as long as nobody else has put one in its place. It has an interface.
type RouteWant struct {
	VirtualRoute
	Router string // the virtual router's name
}

// DataplaneWant is what internal/dataplane makes true.
type DataplaneWant struct {
	Revision   uint64
	Interfaces []InterfaceWant
	Services   []ServiceWant
	Routers    map[string]bool      // the virtual routers whose services are served here
	Ceased     map[string]time.Time // until when others were master here, which may wait for their services to end
	Leased     map[Addr]string      // addresses of virtual routers, and whose: nobody is told where they are unless that is master
	Own        []Addr               // the host's addresses, which services of any destination leave alone; empty: there are none
	Detours    []DetourWant
}

// InterfaceWant is a program on an interface, or a VLAN device whose frames the program on its
// parent balances.
type InterfaceWant struct {
	Name   string
	Index  int
	MAC    MAC
	MTU    int // bytes of an IP packet
	XDP    XDPMode
	Parent int    // index of the interface below a VLAN device, which has no program of its own; 0: it is none
	VLAN   uint16 // its tag

	VirtualMACs []MAC // of virtual routers: frames to them are this host's, too
}

// ServiceWant is a service as the maps hold it.
type ServiceWant struct {
	Key         ServiceKey
	Also        []ServiceKey
	Scheduler   Scheduler
	Flags       SchedulerFlags
	Serving     bool   // false: packets to it pass to the kernel (a backup does not balance)
	Lingers     bool   // but not yet those of clients who do not know who is master now; they go where they belong, or by hash
	MSS         uint16 // largest MSS that a SYN may offer; 0: as it came
	Timeouts    Timeouts
	Persistence Persistence
	Reuse       Reuse   // 0: ReuseClosed
	Unknown     Unknown // 0: ForwardUnknown
	OnePacket   bool
	HalfOpen    int // the most connections that may wait for their client's second packet; 0: no limit
	Servers     []ServerWant
}

// Keys are all that the service has, the one first by which it is known.
func (w ServiceWant) Keys() []ServiceKey { return append([]ServiceKey{w.Key}, w.Also...) }

// ServerWant is a server as the maps hold it.
type ServerWant struct {
	Key        ServerKey
	Forwarding Forwarding
	Tunnel     Tunnel
	Weight     uint16
	Absent     bool // out of reach, while others are not: what is dealt out among servers goes to these
	Thresholds Thresholds
	Leaving    Leaving // what becomes of its connections, the service having it no more; 0: it stays
	Local      bool    // the address is the host's own: packets pass to the kernel
	Link       int     // index of the interface towards it, of the parent where that is a VLAN device; 0: no way to it
	VLAN       uint16  // tag of its frames; 0: none
	Next       Addr    // the neighbour towards it
	MAC        MAC     // of Next; zero: unknown yet
	SourceMAC  MAC     // of the interface
	Source     Addr    // the host's address towards it: outer source of TUN
	MTU        int     // of the way to it: the interface's, or less where a router said so
}
