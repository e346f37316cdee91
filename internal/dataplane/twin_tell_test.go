// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/packet"
)

// mostQuoted is how much of a packet an error quotes: the error has at most 576 bytes in IPv4 (RFC
// 1812 section 4.3.2.3), and at most 1280 in IPv6 (RFC 4443 section 3.1).
const (
	mostQuoted4 = 576 - 20 - 8
	mostQuoted6 = 1280 - 40 - 8
)

// expired ends a packet whose TTL does not reach further. The sender hears of it from the address
// that it knows.
func (p parsed) expired(from netip.Addr) outcome {
	if p.isSilent() {
		return p.ends(ttlExceeded)
	}
	if p.isIPv4() {
		return p.tell(ttlTold, from, packet.ICMP{Type: 11}, 0)
	}
	return p.tell(ttlTold, from, packet.ICMPv6{Type: 3}, 0)
}

// tooLarge ends a packet that does not fit the way on, if it has at most mtu bytes.
func (p parsed) tooLarge(from netip.Addr, mtu int) outcome {
	mayBeCut := p.isIPv4() && p.frame[p.ip+6]&0x40 == 0 // DF
	if p.isSilent() || mayBeCut {
		return p.ends(tooBig)
	}
	if p.isIPv4() {
		return p.tell(tooBigTold, from, packet.ICMP{Type: 3, Code: 4}, mtu)
	}
	return p.tell(tooBigTold, from, packet.ICMPv6{Type: 2}, mtu)
}

// isSilent: nobody is told of an error about an error, or about a later fragment (RFC 1122 section
// 3.2.2).
func (p parsed) isSilent() bool { return p.quote != nil || p.isLater() }

// tell sends an error of ICMP back to where the frame came from, with the tag that it has.
func (p parsed) tell(v verdict, from netip.Addr, header packet.Layer, mtu int) outcome {
	most := mostQuoted6
	var ip packet.Layer = packet.IPv6{Source: from, Destination: p.from, HopLimit: 64, Next: packet.ProtocolICMPv6}
	if p.isIPv4() {
		most = mostQuoted4
		ip = packet.IPv4{Source: from, Destination: p.from, TTL: 64, TOS: 0xc0, Protocol: packet.ProtocolICMP}
	}
	rest := binary.BigEndian.AppendUint32(nil, uint32(mtu))
	rest = append(rest, p.frame[p.ip:p.ip+min(p.length, most)]...)
	link := slices.Concat(p.frame[6:12], p.frame[:6], p.frame[12:p.ip])
	return outcome{
		verdict: v, egress: p.in.ifindex,
		out: append(link, packet.Build(ip, header, packet.Payload(rest))...),
	}
}
