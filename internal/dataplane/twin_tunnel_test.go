// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// encapsulate puts the packet, as it is in out, into another one (RFC 2003, RFC 2473, RFC 4213), and
// returns that: what follows the Ethernet header.
func encapsulate(p parsed, out []byte, to model.ServerWant) []byte {
	class, id, df := p.innerFields(out)
	source := tunnelSource(to, p.flow.hash())
	body, protocol := tunnelled(p, out[p.ip:p.end()], source, to)
	var outer packet.Layer = packet.IPv6{
		Source: source, Destination: to.Key.Address, HopLimit: 64, TrafficClass: class, Next: protocol,
	}
	if to.Key.Address.Is4() {
		outer = packet.IPv4{
			Source: source, Destination: to.Key.Address, TTL: 64, TOS: class, ID: id, Flags: df, Protocol: protocol,
		}
	}
	return packet.Build(outer, packet.Payload(body), packet.Trailer(out[p.end():]))
}

// tunnelled is what the outer IP packet carries, and its protocol.
func tunnelled(p parsed, inner []byte, source netip.Addr, to model.ServerWant) ([]byte, packet.Protocol) {
	switch to.Tunnel.Type {
	case model.GRE:
		return gre(p, inner, to.Tunnel.Checksum), 47
	case model.GUE:
		return gue(p, inner, source, to), packet.ProtocolUDP
	}
	return inner, p.innerProtocol()
}

// innerProtocol is the number of the tunnelled packet's IP version.
func (p parsed) innerProtocol() packet.Protocol {
	if p.isIPv4() {
		return packet.ProtocolIPv4
	}
	return packet.ProtocolIPv6
}

// gre is RFC 2784 section 2.
func gre(p parsed, inner []byte, withChecksum bool) []byte {
	etherType := packet.EtherTypeIPv6
	if p.isIPv4() {
		etherType = packet.EtherTypeIPv4
	}
	if !withChecksum {
		return append(binary.BigEndian.AppendUint16([]byte{0, 0}, etherType), inner...)
	}
	b := binary.BigEndian.AppendUint16([]byte{0x80, 0}, etherType)
	b = slices.Concat(b, make([]byte, 4), inner)
	binary.BigEndian.PutUint16(b[4:], packet.Checksum(b))
	return b
}

// gue is UDP with a port by the flow, for whoever spreads the server's work by it, and a header of
// variant 0.
func gue(p parsed, inner []byte, source netip.Addr, to model.ServerWant) []byte {
	length := 8 + 4 + len(inner)
	b := binary.BigEndian.AppendUint16(nil, 0xc000|uint16(p.flow.hash()&0x3fff))
	b = binary.BigEndian.AppendUint16(b, to.Tunnel.Port)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0, 0, byte(p.innerProtocol()), 0, 0)
	b = append(b, inner...)
	if to.Tunnel.Checksum {
		binary.BigEndian.PutUint16(b[6:], udpChecksum(source, to.Key.Address, b))
	}
	return b
}

// udpChecksum is that of a datagram whose own field is zero.
func udpChecksum(source, destination netip.Addr, datagram []byte) uint16 {
	pseudo := slices.Concat(source.AsSlice(), destination.AsSlice())
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(datagram)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, 17)
	if sum := packet.Checksum(append(pseudo, datagram...)); sum != 0 {
		return sum
	}
	return 0xffff // 0 would mean: none
}

// innerFields are what the outer header takes over.
func (p parsed) innerFields(out []byte) (class uint8, id uint16, flags uint8) {
	b := out[p.ip:]
	if !p.isIPv4() {
		return b[0]<<4 | b[1]>>4, 0, packet.DontFragment
	}
	if b[6]&0x40 != 0 {
		return b[1], 0, packet.DontFragment
	}
	return b[1], binary.BigEndian.Uint16(b[4:]), 0
}

// tunnelSource is the outer source: the host's, or one of a prefix, by the flow.
func tunnelSource(to model.ServerWant, hash uint32) netip.Addr {
	prefix := to.Tunnel.Source
	if !prefix.IsValid() {
		return to.Source
	}
	b := prefix.Masked().Addr().AsSlice()
	host := min(len(b)*8-prefix.Bits(), 32)
	mask := uint32(uint64(1)<<host - 1)
	last := b[len(b)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)&^mask|hash&mask)
	out, _ := netip.AddrFromSlice(b)
	return out
}

// hash spreads flows. It need not be strong, but the same everywhere.
func (f flow) hash() uint32 {
	source, destination := f.source.Addr().As16(), f.destination.Addr().As16()
	b := slices.Concat(source[:], destination[:])
	b = binary.BigEndian.AppendUint16(b, f.source.Port())
	b = binary.BigEndian.AppendUint16(b, f.destination.Port())
	b = binary.LittleEndian.AppendUint32(b, uint32(f.protocol))
	h := uint32(0x9e3779b9)
	for ; len(b) > 0; b = b[4:] {
		h ^= binary.LittleEndian.Uint32(b)
		h *= 0x85ebca6b
		h ^= h >> 15
	}
	return h
}
