// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// TooBig is what a router says that had to drop a packet because the next link is too narrow:
// "fragmentation needed and DF set" (RFC 1191 section 4), or "packet too big" (RFC 4443
// section 3.2).
type TooBig struct {
	MTU         int        // of the next link, in bytes of an IP packet; 0: the router is older than RFC 1191
	Source      netip.Addr // of the packet that was dropped, as are the following
	Destination netip.Addr
	Protocol    Protocol
	Port        uint16 // destination port; 0 where the protocol is not UDP
}

// ErrNotTooBig means a message of ICMP about something else.
var ErrNotTooBig = errors.New("icmp: not about a packet that is too big")

const (
	fragmentationNeeded = 4                 // code of ICMPUnreachable
	quoteAt             = 2 * icmpLength    // where the quoted packet begins
	quotedTransport     = 8                 // bytes of it that every router must quote: RFC 792
	fragmentOffset      = uint16(0x1fff)    // bits of an IPv4 header
	mtuBits             = uint32(1)<<31 - 1 // more is a lie, and no int everywhere
)

// ParseTooBig4 reads a message of ICMP, without the IP header around it. Its checksum must be right:
// the kernel hands messages to raw sockets before it looks.
func ParseTooBig4(b []byte) (TooBig, error) {
	if len(b) < quoteAt {
		return TooBig{}, short("icmp", len(b), quoteAt)
	}
	if b[0] != ICMPUnreachable || b[1] != fragmentationNeeded {
		return TooBig{}, ErrNotTooBig
	}
	if Checksum(b) != 0 {
		return TooBig{}, errors.New("icmp: the checksum is wrong")
	}
	return readQuote4(b[quoteAt:], int(binary.BigEndian.Uint16(b[6:])))
}

// ParseTooBig6 reads a message of ICMPv6, without the IP header around it. It leaves the checksum to
// the kernel, which drops what is wrong before a raw socket sees it (RFC 3542 section 3.1).
func ParseTooBig6(b []byte) (TooBig, error) {
	if len(b) < quoteAt {
		return TooBig{}, short("icmpv6", len(b), quoteAt)
	}
	if b[0] != ICMPv6TooBig { // its code is 0, and ignored by whoever receives it
		return TooBig{}, ErrNotTooBig
	}
	return readQuote6(b[quoteAt:], int(min(binary.BigEndian.Uint32(b[4:]), mtuBits)))
}

// readQuote4 does not compare the quoted length with what is there: routers quote as much as they
// like, and some of them a length of their own making (RFC 1191 section 5).
func readQuote4(b []byte, mtu int) (TooBig, error) {
	if len(b) < ipv4Length {
		return TooBig{}, short("quoted ipv4", len(b), ipv4Length)
	}
	size := int(b[0]&0xf) * 4
	if b[0]>>4 != 4 || size < ipv4Length {
		return TooBig{}, fmt.Errorf("quoted ipv4: version %d, header of %d bytes", b[0]>>4, size)
	}
	if binary.BigEndian.Uint16(b[6:])&fragmentOffset != 0 {
		return TooBig{}, errors.New("quoted ipv4: a later fragment")
	}
	return readQuotedTransport(b[min(size, len(b)):], TooBig{
		MTU:         mtu,
		Source:      netip.AddrFrom4([4]byte(b[12:16])),
		Destination: netip.AddrFrom4([4]byte(b[16:20])),
		Protocol:    Protocol(b[9]),
	})
}

// readQuote6 walks no extension headers: what is asked for, our own tunnels, has none.
func readQuote6(b []byte, mtu int) (TooBig, error) {
	if len(b) < ipv6Length {
		return TooBig{}, short("quoted ipv6", len(b), ipv6Length)
	}
	if b[0]>>4 != 6 {
		return TooBig{}, fmt.Errorf("quoted ipv6: version %d", b[0]>>4)
	}
	return readQuotedTransport(b[ipv6Length:], TooBig{
		MTU:         mtu,
		Source:      netip.AddrFrom16([16]byte(b[8:24])),
		Destination: netip.AddrFrom16([16]byte(b[24:40])),
		Protocol:    Protocol(b[6]),
	})
}

func readQuotedTransport(b []byte, said TooBig) (TooBig, error) {
	if len(b) < quotedTransport {
		return TooBig{}, short("quoted packet", len(b), quotedTransport)
	}
	if said.Protocol == ProtocolUDP {
		said.Port = binary.BigEndian.Uint16(b[2:])
	}
	return said, nil
}
