// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Protocol is IANA's number of what an IP packet carries.
type Protocol uint8

// Protocols and IPv6 extension headers.
const (
	ProtocolHopByHop   Protocol = 0
	ProtocolICMP       Protocol = 1
	ProtocolIPv4       Protocol = 4 // IPv4 in a tunnel
	ProtocolTCP        Protocol = 6
	ProtocolUDP        Protocol = 17
	ProtocolIPv6       Protocol = 41 // IPv6 in a tunnel
	ProtocolRouting    Protocol = 43
	ProtocolFragment   Protocol = 44
	ProtocolESP        Protocol = 50
	ProtocolAH         Protocol = 51
	ProtocolICMPv6     Protocol = 58
	ProtocolNoNext     Protocol = 59
	ProtocolDstOptions Protocol = 60
	ProtocolSCTP       Protocol = 132
	ProtocolMobility   Protocol = 135
	ProtocolHIP        Protocol = 139
	ProtocolShim6      Protocol = 140
)

// Flags of an IPv4 header.
const (
	MoreFragments uint8 = 1 << iota
	DontFragment
	Evil // reserved (RFC 3514 has a use for it)
)

const ipv4Length = 20

// IPv4 is an IPv4 header (RFC 791 section 3.1).
type IPv4 struct {
	Source      netip.Addr
	Destination netip.Addr
	TTL         uint8
	TOS         uint8
	ID          uint16
	Flags       uint8
	Offset      uint16   // of a fragment, in units of 8 bytes
	Protocol    Protocol // 0: that of the next layer
	Length      uint16   // 0: header and body
	Checksum    uint16   // 0: the right one
	Options     []byte   // filled up to a multiple of 4
}

func (ip IPv4) header(at place) []byte {
	options := padded(ip.Options, 0, 4)
	size := ipv4Length + len(options)
	b := make([]byte, size)
	b[0], b[1] = byte(4<<4|size/4), ip.TOS
	binary.BigEndian.PutUint16(b[2:], either(ip.Length, uint16(size+len(at.body))))
	binary.BigEndian.PutUint16(b[4:], ip.ID)
	binary.BigEndian.PutUint16(b[6:], uint16(ip.Flags)<<13|ip.Offset&0x1fff)
	b[8], b[9] = ip.TTL, byte(either(ip.Protocol, protocolOf(at.inner)))
	appendAddr4(appendAddr4(b[:12], ip.Source), ip.Destination)
	copy(b[ipv4Length:], options)
	binary.BigEndian.PutUint16(b[10:], either(ip.Checksum, Checksum(b)))
	return b
}

func (ip IPv4) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "ipv4 %s > %s ttl %d", ip.Source, ip.Destination, ip.TTL)
	if ip.Flags&MoreFragments != 0 || ip.Offset != 0 {
		fmt.Fprintf(&s, " fragment %d at %d", ip.ID, int(ip.Offset)*8)
	}
	return s.String()
}

func parseIPv4(b []byte) (part, error) {
	if len(b) < ipv4Length {
		return part{}, short("ipv4", len(b), ipv4Length)
	}
	size, length := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>4 != 4 || size < ipv4Length {
		return part{}, fmt.Errorf("ipv4: version %d, header of %d bytes", b[0]>>4, size)
	}
	if length < size || length > len(b) {
		return part{}, fmt.Errorf("ipv4: total length %d, header of %d, %d bytes there", length, size, len(b))
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	ip := IPv4{
		Source:      netip.AddrFrom4([4]byte(b[12:16])),
		Destination: netip.AddrFrom4([4]byte(b[16:20])),
		TTL:         b[8],
		TOS:         b[1],
		ID:          binary.BigEndian.Uint16(b[4:]),
		Flags:       uint8(fragment >> 13),
		Offset:      fragment & 0x1fff,
		Protocol:    Protocol(b[9]),
		Length:      uint16(length),
		Checksum:    binary.BigEndian.Uint16(b[10:]),
		Options:     b[ipv4Length:size],
	}
	next := protocolDecoder(ip.Protocol)
	if ip.Flags&MoreFragments != 0 || ip.Offset != 0 || ip.Protocol == ProtocolHopByHop {
		next = nil // a fragment's body is a part of something; IPv4 has no extension headers
	}
	return part{ip, size, length, next}, nil
}

// protocolOf is what names a layer in the IP header; 0: nothing does.
func protocolOf(l Layer) Protocol {
	switch l := l.(type) {
	case TCP:
		return ProtocolTCP
	case UDP:
		return ProtocolUDP
	case SCTP:
		return ProtocolSCTP
	case ICMP:
		return ProtocolICMP
	case ICMPv6:
		return ProtocolICMPv6
	case IPv4:
		return ProtocolIPv4
	case IPv6:
		return ProtocolIPv6
	case Extension:
		return l.Kind
	case Fragment:
		return ProtocolFragment
	case GRE:
		return ProtocolGRE
	}
	return 0
}

func protocolDecoder(p Protocol) decoder {
	switch p {
	case ProtocolTCP:
		return parseTCP
	case ProtocolUDP:
		return parseUDP
	case ProtocolSCTP:
		return parseSCTP
	case ProtocolICMP:
		return parseICMP
	case ProtocolICMPv6:
		return parseICMPv6
	case ProtocolIPv4:
		return parseIPv4
	case ProtocolIPv6:
		return parseIPv6
	case ProtocolGRE:
		return parseGRE
	}
	return nil
}

// addresses are those of the innermost IP header. (A routing header's last address, which
// RFC 8200 section 8.1 wants in the pseudo-header, is not looked for.)
func addresses(outer []Layer) (source, destination netip.Addr) {
	for i := len(outer) - 1; i >= 0; i-- {
		switch ip := outer[i].(type) {
		case IPv4:
			return ip.Source, ip.Destination
		case IPv6:
			return ip.Source, ip.Destination
		}
	}
	return source, destination
}

// appendAddr4 adds an IPv4 address; the zero Addr is 0.0.0.0.
func appendAddr4(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	four := a.As4()
	return append(b, four[:]...)
}

// padded fills b up so that before+len is a multiple of unit.
func padded(b []byte, before, unit int) []byte {
	missing := (unit - (before+len(b))%unit) % unit
	return append(b[:len(b):len(b)], make([]byte, missing)...)
}
