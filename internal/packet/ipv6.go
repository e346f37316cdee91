// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

const (
	ipv6Length      = 40
	extensionLength = 8
)

// IPv6 is an IPv6 header (RFC 8200 section 3).
type IPv6 struct {
	Source       netip.Addr
	Destination  netip.Addr
	HopLimit     uint8
	TrafficClass uint8
	FlowLabel    uint32   // 20 bits
	Next         Protocol // 0: that of the next layer
	Length       uint16   // 0: the body
}

func (ip IPv6) header(at place) []byte {
	b := binary.BigEndian.AppendUint32(nil, 6<<28|uint32(ip.TrafficClass)<<20|ip.FlowLabel&0xfffff)
	b = binary.BigEndian.AppendUint16(b, either(ip.Length, uint16(len(at.body))))
	b = append(b, byte(either(ip.Next, protocolOf(at.inner))), ip.HopLimit)
	return appendAddr6(appendAddr6(b, ip.Source), ip.Destination)
}

func (ip IPv6) String() string {
	return fmt.Sprintf("ipv6 %s > %s hop %d", ip.Source, ip.Destination, ip.HopLimit)
}

func parseIPv6(b []byte) (part, error) {
	if len(b) < ipv6Length {
		return part{}, short("ipv6", len(b), ipv6Length)
	}
	first, length := binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint16(b[4:]))
	if first>>28 != 6 {
		return part{}, fmt.Errorf("ipv6: version %d", first>>28)
	}
	if ipv6Length+length > len(b) {
		return part{}, fmt.Errorf("ipv6: payload of %d bytes, %d there", length, len(b)-ipv6Length)
	}
	ip := IPv6{
		Source:       netip.AddrFrom16([16]byte(b[8:24])),
		Destination:  netip.AddrFrom16([16]byte(b[24:40])),
		HopLimit:     b[7],
		TrafficClass: uint8(first >> 20),
		FlowLabel:    first & 0xfffff,
		Next:         Protocol(b[6]),
		Length:       uint16(length),
	}
	return part{ip, ipv6Length, ipv6Length + length, nextDecoder(ip.Next)}, nil
}

// Extension is an extension header of the common form (RFC 8200 section 4, RFC 6564), or an
// authentication header (RFC 4302 section 2), which counts its length in another unit.
type Extension struct {
	Kind Protocol // its own number, which the header before it names
	Next Protocol // 0: that of the next layer
	Body []byte   // what follows the length byte, filled up to the unit
}

func (e Extension) header(at place) []byte {
	body := padded(e.Body, 2, e.unit())
	body = append(body, make([]byte, max(0, extensionLength-2-len(body)))...)
	length := (len(body) + 2 - extensionLength) / e.unit()
	return append([]byte{byte(either(e.Next, protocolOf(at.inner))), byte(length)}, body...)
}

func (e Extension) String() string { return fmt.Sprintf("extension %d", e.Kind) }

func (e Extension) unit() int {
	if e.Kind == ProtocolAH {
		return 4
	}
	return 8
}

func parseExtension(kind Protocol) decoder {
	return func(b []byte) (part, error) {
		if len(b) < extensionLength {
			return part{}, short("extension header", len(b), extensionLength)
		}
		e := Extension{Kind: kind, Next: Protocol(b[0])}
		size := extensionLength + int(b[1])*e.unit()
		if size > len(b) {
			return part{}, short("extension header", len(b), size)
		}
		e.Body = b[2:size]
		return part{e, size, len(b), nextDecoder(e.Next)}, nil
	}
}

// Fragment is the fragment header of IPv6 (RFC 8200 section 4.5).
type Fragment struct {
	Next     Protocol // 0: that of the next layer
	Reserved uint8
	Offset   uint16 // in units of 8 bytes
	Flags    uint8  // MoreFragments; two bits above it are reserved
	ID       uint32
}

func (f Fragment) header(at place) []byte {
	b := []byte{byte(either(f.Next, protocolOf(at.inner))), f.Reserved}
	b = binary.BigEndian.AppendUint16(b, f.Offset<<3|uint16(f.Flags)&7)
	return binary.BigEndian.AppendUint32(b, f.ID)
}

func (f Fragment) String() string {
	return fmt.Sprintf("fragment %d at %d", f.ID, int(f.Offset)*8)
}

func parseFragment(b []byte) (part, error) {
	if len(b) < extensionLength {
		return part{}, short("fragment header", len(b), extensionLength)
	}
	offset := binary.BigEndian.Uint16(b[2:])
	f := Fragment{
		Next:     Protocol(b[0]),
		Reserved: b[1],
		Offset:   offset >> 3,
		Flags:    uint8(offset & 7),
		ID:       binary.BigEndian.Uint32(b[4:]),
	}
	return part{f, extensionLength, len(b), nil}, nil
}

// nextDecoder is protocolDecoder with IPv6's extension headers.
func nextDecoder(p Protocol) decoder {
	switch p {
	case ProtocolHopByHop, ProtocolRouting, ProtocolAH, ProtocolDstOptions,
		ProtocolMobility, ProtocolHIP, ProtocolShim6:
		return parseExtension(p)
	case ProtocolFragment:
		return parseFragment
	}
	return protocolDecoder(p)
}

// appendAddr6 adds an IPv6 address; the zero Addr is ::.
func appendAddr6(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		a = netip.IPv6Unspecified()
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}
