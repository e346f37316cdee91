// SPDX-License-Identifier: Apache-2.0

// Package model holds the nouns of weir and nothing that acts: what is wanted (Spec), what was
// observed (Seen), and what the kernel shall hold (Desired). Values of these types are never
// changed once they were handed on. Read service.go first, then spec.go, seen.go, desired.go.
package model

// Spec is what the operator wants, free of any host's detail.
type Spec struct {
	Revision   uint64      // counts the changes since the daemon's start; 0: not accepted by a daemon yet
	Interfaces []Interface // empty: those that hold a VIP's subnet or the route to a server
	Services   []Service

	MaintenanceDir string // whose files name servers and services in maintenance; "": there is none

	Connections Connections
	API         API
	Notify      []Notice // who is told of what happens
	Aliases     Aliases  // from which checks through virtual addresses take theirs

	BFD            []BFDSession
	VirtualRouters []VirtualRouter // empty: this is the only director
	Sync           Sync            // of its connections with other directors
}

// Interface is a network interface on which packets are balanced.
type Interface struct {
	Name string
	XDP  XDPMode
}

// API says where the daemon listens for its own command line.
type API struct {
	Unix string // path of the socket; "" means weir.sock in the --run directory
}

// XDPMode is the way in which the program is attached to an interface.
type XDPMode uint8

const (
	XDPAuto    XDPMode = iota // native where the driver can, generic otherwise
	XDPNative                 // in the driver, or not at all
	XDPGeneric                // after the driver, on any interface
)

var xdpModes = map[XDPMode]string{XDPAuto: "auto", XDPNative: "native", XDPGeneric: "generic"}

func (m XDPMode) String() string { return xdpModes[m] }

// ParseXDPMode is the inverse of XDPMode.String.
func ParseXDPMode(s string) (XDPMode, bool) {
	for m, name := range xdpModes {
		if name == s {
			return m, true
		}
	}
	return 0, false
}

// ServerAddresses returns every server address of every service once, in the order of their appearance.
func (s Spec) ServerAddresses() []Addr {
	var out []Addr
	known := map[Addr]bool{}
	for _, service := range s.Services {
		for _, server := range service.Servers {
			if a := server.Key.Address; !known[a] {
				known[a] = true
				out = append(out, a)
			}
		}
	}
	return out
}
