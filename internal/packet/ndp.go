// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// Hop limit of all neighbour discovery: a smaller one came through a router and is not believed
// (RFC 4861 section 7.1).
const ndpHopLimit = 255

// Flags of an advertisement (RFC 4861 section 4.4).
const (
	flagRouter    = 1 << 7
	flagSolicited = 1 << 6
	flagOverride  = 1 << 5
)

// Options that name a link-layer address (RFC 4861 section 4.6.1).
const (
	optionSourceMAC = 1
	optionTargetMAC = 2
)

const (
	neighbourLength       = 20 // flags and target
	neighbourOptionLength = 8
)

// AllNodes is every IPv6 host on the link (RFC 4291 section 2.7.1).
var AllNodes = netip.MustParseAddr("ff02::1")

// NeighbourSolicitation asks for the MAC of an IPv6 address (RFC 4861 section 4.3). It follows ICMPv6.
type NeighbourSolicitation struct {
	Target    netip.Addr
	SourceMAC MAC // zero: without the option
}

// NeighbourAdvertisement tells the MAC of an IPv6 address (RFC 4861 section 4.4). It follows ICMPv6.
type NeighbourAdvertisement struct {
	Target    netip.Addr
	TargetMAC MAC // zero: without the option
	Router    bool
	Solicited bool
	Override  bool // what the neighbour knew before is to be forgotten
}

// UnsolicitedNA returns the frame that tells every host on the link that ip is at mac now
// (RFC 4861 section 7.2.6). ip is IPv6.
func UnsolicitedNA(mac [6]byte, ip netip.Addr) []byte {
	return Build(
		Ethernet{Destination: MulticastMAC(AllNodes), Source: mac},
		IPv6{Source: ip, Destination: AllNodes, HopLimit: ndpHopLimit},
		ICMPv6{},
		NeighbourAdvertisement{Target: ip, TargetMAC: mac, Override: true})
}

// SolicitedNode is the group in which whoever has an address hears questions for it (RFC 4291 section 2.7.1).
func SolicitedNode(address netip.Addr) netip.Addr {
	group, low := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff}).As16(), address.As16()
	copy(group[13:], low[13:])
	return netip.AddrFrom16(group)
}

// MulticastMAC is the Ethernet address of an IPv6 multicast group (RFC 2464 section 7).
func MulticastMAC(group netip.Addr) MAC {
	a := group.As16()
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

func (n NeighbourSolicitation) header(place) []byte {
	b := appendAddr6(make([]byte, 4), n.Target)
	return appendLinkOption(b, optionSourceMAC, n.SourceMAC)
}

func (n NeighbourSolicitation) String() string { return fmt.Sprintf("who-has %s", n.Target) }

func (n NeighbourAdvertisement) header(place) []byte {
	flags := flag(n.Router, flagRouter) | flag(n.Solicited, flagSolicited) | flag(n.Override, flagOverride)
	b := appendAddr6([]byte{flags, 0, 0, 0}, n.Target)
	return appendLinkOption(b, optionTargetMAC, n.TargetMAC)
}

func (n NeighbourAdvertisement) String() string {
	return fmt.Sprintf("%s is-at %s", n.Target, macString(n.TargetMAC))
}

// appendLinkOption adds an option of RFC 4861 section 4.6.1; its length is in units of 8 bytes.
func appendLinkOption(b []byte, kind byte, mac MAC) []byte {
	if mac == (MAC{}) {
		return b
	}
	return append(append(b, kind, 1), mac[:]...)
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func parseNeighbourSolicitation(b []byte) (part, error) {
	if len(b) < neighbourLength {
		return part{}, short("neighbour solicitation", len(b), neighbourLength)
	}
	n := NeighbourSolicitation{Target: neighbourTarget(b), SourceMAC: linkOption(b)}
	return wholeMessage(n, b)
}

func parseNeighbourAdvertisement(b []byte) (part, error) {
	if len(b) < neighbourLength {
		return part{}, short("neighbour advertisement", len(b), neighbourLength)
	}
	n := NeighbourAdvertisement{
		Target:    neighbourTarget(b),
		TargetMAC: linkOption(b),
		Router:    b[0]&flagRouter != 0,
		Solicited: b[0]&flagSolicited != 0,
		Override:  b[0]&flagOverride != 0,
	}
	return wholeMessage(n, b)
}

func neighbourTarget(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b[4:neighbourLength])) }

// linkOption is the address in the only option of a message; zero: there is none.
func linkOption(b []byte) MAC {
	if len(b) != neighbourLength+neighbourOptionLength {
		return MAC{}
	}
	return MAC(b[neighbourLength+2:])
}

// wholeMessage refuses a message of which l does not hold everything: other options, reserved bits.
func wholeMessage(l Layer, b []byte) (part, error) {
	if !bytes.Equal(l.header(place{}), b) {
		return part{}, errors.New("neighbour discovery: more than one link-layer address")
	}
	return part{l, len(b), len(b), nil}, nil
}
