// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"net/netip"
)

// Via is whom a check asks.
type Via uint8

const (
	ViaDefault Via = iota // the virtual address where that can be, else the server
	ViaVIP                // the service's address, by the server's forwarding method
	ViaServer             // the server's own address
)

var vias = map[Via]string{ViaVIP: "vip", ViaServer: "server"}

func (v Via) String() string { return vias[v] }

// ParseVia is the inverse of Via.String.
func ParseVia(s string) (Via, bool) {
	for v, name := range vias {
		if name == s {
			return v, true
		}
	}
	return 0, false
}

// Detour is the way of a check to one server through a virtual address: the one that its clients' packets take.
// The zero value: there is none, the server is asked at its own address.
type Detour struct {
	Virtual    Addr
	Server     Addr
	Forwarding Forwarding
	Tunnel     Tunnel
}

// DetourWant is a detour as the kernel shall know it: what is sent to the alias goes to the virtual address at
// the server.
type DetourWant struct {
	Detour
	Alias  Addr   // zero: there can be none
	Why    string // there is no alias; "": the server is this host, and the virtual address leads there
	Direct bool   // of Why: there is a way to the server itself
	Link   int    // index of the interface towards the server
	Next   Addr   // the neighbour towards it
	Source Addr   // the host's address towards it
	MTU    int    // bytes of an IP packet to the alias
}

// DetourWay is how a detour is gone now.
type DetourWay struct {
	To  Addr   // what is dialled in place of the virtual address; of Why: the server itself, if there is a way to it
	Why string // it cannot be gone; "": it can
}

// Stops tells whether a check has to wait for its way, because nobody can be asked, or it shall ask nobody else.
func (w DetourWay) Stops(c Check) bool { return w.Why != "" && (c.Via == ViaVIP || !w.To.IsValid()) }

// Program is one of the kernel's.
type Program struct {
	FD int // of this process
	ID int // the kernel's own name for it
}

// Aliases are the ranges from which stand-ins are taken for virtual addresses at single servers.
type Aliases struct {
	V4, V6 netip.Prefix // zero: DefaultAliases
}

// DefaultAliases are nobody's on the Internet: half of what RFC 2544 has for benchmarks, and a local prefix (RFC 4193).
func DefaultAliases() Aliases { return defaultAliases }

var defaultAliases = Aliases{netip.MustParsePrefix("198.19.0.0/16"), netip.MustParsePrefix("fd77:6569:7200::/64")}

// Plain leaves out what is the default anyway.
func (a Aliases) Plain() Aliases {
	if a.V4 == defaultAliases.V4 {
		a.V4 = netip.Prefix{}
	}
	if a.V6 == defaultAliases.V6 {
		a.V6 = netip.Prefix{}
	}
	return a
}

// Written are those that are not the default.
func (a Aliases) Written() (out []netip.Prefix) {
	for _, p := range []netip.Prefix{a.V4, a.V6} {
		if p.IsValid() {
			out = append(out, p)
		}
	}
	return out
}

// Of is the range for a family.
func (a Aliases) Of(like Addr) netip.Prefix {
	if like.Is4() {
		return cmp.Or(a.V4, defaultAliases.V4)
	}
	return cmp.Or(a.V6, defaultAliases.V6)
}

// NoDetour says why a check of a server cannot go through its service's address, and the way out; "": it can.
func NoDetour(service ServiceKey, server Server, ask Ask) (why, fix string) {
	const direct = `write "via: server", or leave it out`
	switch {
	case server.Forwarding == NAT:
		return "a server by nat does not have the service's address", direct
	case service.IsAnyDestination():
		return "a service of any destination has no address of its own", direct
	case service.Address.Is4() != server.Key.Address.Is4():
		return fmt.Sprintf("%s and %s are of two families", service.Address, server.Key.Address), direct
	case server.Forwarding == TUN && server.Tunnel.Checksum:
		return "tunnels with checksums are for the packets of clients only", direct + `; or leave "checksum:" out`
	case !detours(ask):
		return ask.Kind() + " asks the server itself", direct
	}
	return "", ""
}

// detours: these dial TCP or UDP by themselves, and nothing else.
func detours(ask Ask) bool {
	switch ask.(type) {
	case AskTCP, AskHTTP, AskTLS, AskExpect, AskSMTP, AskIMAP, AskPOP3, AskFTP, AskSSH, AskRedis, AskDNS, AskUDP,
		AskGRPC, AskMySQL, AskPostgreSQL, AskLDAP, AskRADIUS, AskSIP:
		return true
	}
	return false
}
