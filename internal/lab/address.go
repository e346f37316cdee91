// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"math/big"
	"net/netip"
)

// Family is a version of IP. Every lab speaks both.
type Family string

const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

// Families lists both, in the order in which they are shown.
func Families() []Family { return []Family{IPv4, IPv6} }

// Pair is what a node or the service has in each family.
type Pair struct{ IPv4, IPv6 netip.Addr }

// In is the address in one family.
func (p Pair) In(f Family) netip.Addr {
	if f == IPv6 {
		return p.IPv6
	}
	return p.IPv4
}

// of is the address in the family of a network.
func (p Pair) of(network netip.Prefix) netip.Addr {
	if network.Addr().Is6() {
		return p.IPv6
	}
	return p.IPv4
}

// Addresses are the networks of a lab.
type Addresses struct{ IPv4, IPv6 Networks }

// Networks are those of one family. Which of them a shape has is told in shape.go.
type Networks struct {
	Clients netip.Prefix // between the clients and the router
	Front   netip.Prefix // the LAN of router and directors; the VIP is in it
	Back    netip.Prefix // the LAN of servers that are not on the front LAN
}

// DefaultAddresses are those that are reserved for documentation.
func DefaultAddresses() Addresses {
	return Addresses{
		IPv4: Networks{
			Clients: netip.MustParsePrefix("198.51.100.0/24"),
			Front:   netip.MustParsePrefix("192.0.2.0/24"),
			Back:    netip.MustParsePrefix("203.0.113.0/24"),
		},
		IPv6: Networks{
			Clients: netip.MustParsePrefix("2001:db8:c::/64"),
			Front:   netip.MustParsePrefix("2001:db8:f::/64"),
			Back:    netip.MustParsePrefix("2001:db8:b::/64"),
		},
	}
}

// Numbers of hosts, the same in every network that a host has a part in.
const (
	routerHost   = 1  // the router; the inner router in the back network
	directorHost = 2  // the first director
	strangerHost = 4  // who has no part in anything
	innerHost    = 5  // the inner router in the front network
	vipHost      = 10 // the service
	serverHost   = 11 // the first server
	clientHost   = 11 // the first client
)

// subnet is one network in both families.
type subnet struct{ ipv4, ipv6 netip.Prefix }

func (a Addresses) clients() subnet { return subnet{a.IPv4.Clients, a.IPv6.Clients} }
func (a Addresses) front() subnet   { return subnet{a.IPv4.Front, a.IPv6.Front} }
func (a Addresses) back() subnet    { return subnet{a.IPv4.Back, a.IPv6.Back} }

// host is the addresses of a host by its number. People shall recognise it: host 11 is 192.0.2.11
// and 2001:db8::11, so the digits are read as hexadecimal ones in IPv6.
func (s subnet) host(number int) Pair {
	return Pair{IPv4: nth(s.ipv4, number), IPv6: nth(s.ipv6, sameDigits(number))}
}

// sameDigits is the number that looks in hexadecimal as this one does in decimal.
func sameDigits(number int) int {
	if number < 10 {
		return number
	}
	return sameDigits(number/10)<<4 | number%10
}

// on is a host's addresses with the length of the subnet, as an interface holds them.
func (s subnet) on(number int) []netip.Prefix {
	h := s.host(number)
	return []netip.Prefix{netip.PrefixFrom(h.IPv4, s.ipv4.Bits()), netip.PrefixFrom(h.IPv6, s.ipv6.Bits())}
}

// nth is the address with a number in a network.
func nth(p netip.Prefix, number int) netip.Addr {
	base := new(big.Int).SetBytes(p.Masked().Addr().AsSlice())
	sum := base.Add(base, big.NewInt(int64(number)))
	addr, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, p.Addr().BitLen()/8)))
	return addr
}

// check refuses networks that are of the wrong family, too small or in each other's way.
func (a Addresses) check(highest int) error {
	for _, s := range []subnet{a.clients(), a.front(), a.back()} {
		if !s.ipv4.Addr().Is4() || !s.ipv6.Addr().Is6() || s.ipv6.Addr().Is4In6() {
			return fmt.Errorf("networks %v and %v: one of IPv4 and one of IPv6 is needed", s.ipv4, s.ipv6)
		}
		beyond := s.host(highest + 1) // the last of IPv4 is the broadcast address
		if !s.ipv4.Contains(beyond.IPv4) || !s.ipv6.Contains(beyond.IPv6) {
			return fmt.Errorf("networks %v and %v: too small for host number %d", s.ipv4, s.ipv6, highest)
		}
	}
	for _, n := range []Networks{a.IPv4, a.IPv6} {
		if n.Clients.Overlaps(n.Front) || n.Clients.Overlaps(n.Back) || n.Front.Overlaps(n.Back) {
			return fmt.Errorf("networks %v, %v and %v overlap", n.Clients, n.Front, n.Back)
		}
	}
	return nil
}
