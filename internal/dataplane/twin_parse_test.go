// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// parsed is a packet whose headers are all there and do not lie about their lengths.
type parsed struct {
	frame    []byte
	in       way // how it came
	tagged   bool
	ip       int // where the IP header begins
	l4       int // where the transport header begins, or what a later fragment has of it
	length   int // of the IP packet
	ttl      uint8
	from, to netip.Addr
	flow     flow // an error of ICMP and a later fragment have none: it is found out
	flags    packet.TCPFlags
	data     bool   // a TCP segment with data
	piece    *piece // of a fragmented packet; nil: it is whole
	quote    *quote // of an error of ICMP; nil: it is none
}

func (p parsed) ends(v verdict) outcome { return outcome{verdict: v, out: p.frame} }

func (p parsed) hop() twinHop { return twinHop{p.in, model.MAC(p.frame[6:12])} }

func (p parsed) isIPv4() bool { return p.from.Is4() }

// end is where the IP packet ends; the frame may be longer.
func (p parsed) end() int { return p.ip + p.length }

// ipv4End is where the IPv4 header ends.
func (p parsed) ipv4End() int { return p.ip + int(p.frame[p.ip]&0xf)*4 }

func (t *twin) parse(ifindex int, frame []byte) (parsed, verdict) {
	p := parsed{frame: frame, in: way{ifindex: ifindex}}
	etherType, ok := p.ethernet()
	if ok && etherType == packet.EtherTypeARP {
		return p, t.asksARP(p)
	}
	if !ok || (etherType != packet.EtherTypeIPv4 && etherType != packet.EtherTypeIPv6) {
		return p, notIP
	}
	v := t.arrive(&p)
	if v == otherHost && etherType == packet.EtherTypeIPv6 {
		return p, t.asksMulticast(p)
	}
	if v != undecided {
		return p, v
	}
	v = p.network(etherType)
	if v == icmp && !p.isIPv4() && p.piece == nil {
		return p, t.solicits(p.frame[p.l4:], icmp)
	}
	switch v {
	case malformed, fragmentTiny, extensionHeaders, sourceRoute:
		if !t.mayHave(p.from, p.to) {
			v = noService
		}
	}
	return p, v
}

func (p *parsed) network(etherType uint16) verdict {
	if etherType == packet.EtherTypeIPv4 {
		return p.ipv4()
	}
	return p.ipv6()
}

// ethernet returns the type of what is inside, under at most one tag.
func (p *parsed) ethernet() (uint16, bool) {
	if len(p.frame) < 14 {
		return 0, false
	}
	p.ip = 14
	etherType := binary.BigEndian.Uint16(p.frame[12:])
	if etherType != packet.EtherTypeVLAN && etherType != packet.EtherTypeQinQ {
		return etherType, true
	}
	if len(p.frame) < 18 {
		return 0, false
	}
	p.ip, p.tagged = 18, true
	return binary.BigEndian.Uint16(p.frame[16:]), true
}

// arrive says by which of our interfaces the frame came, if by any.
func (t *twin) arrive(p *parsed) verdict {
	if _, ours := t.interfaces[p.in]; !ours {
		return otherHost
	}
	if p.tagged {
		p.in.vlan = p.tci() & 0xfff
	}
	device, ours := t.interfaces[p.in]
	switch {
	case p.tagged && binary.BigEndian.Uint16(p.frame[12:]) == packet.EtherTypeQinQ, !ours:
		return otherVLAN
	case model.MAC(p.frame[:6]) != device.MAC && !slices.Contains(device.VirtualMACs, model.MAC(p.frame[:6])):
		return otherHost
	}
	return undecided
}

// tci is the tag: id, drop eligibility and priority.
func (p parsed) tci() uint16 {
	if !p.tagged {
		return 0
	}
	return binary.BigEndian.Uint16(p.frame[14:])
}

func (p *parsed) ipv4() verdict {
	b := p.frame[p.ip:]
	if len(b) < 20 {
		return notIP
	}
	p.from, p.to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	header := int(b[0]&0xf) * 4
	p.length, p.ttl, p.l4 = int(binary.BigEndian.Uint16(b[2:])), b[8], p.ip+header
	if b[0]>>4 != 4 || header < 20 || p.length < header || p.length > len(b) {
		return malformed
	}
	if v := ipv4Options(b[20:header]); v != undecided {
		return v
	}
	isFragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0 // more to come, or an offset
	switch {
	case b[9] == 1 && isFragment:
		return icmp
	case b[9] == 1:
		return p.icmpHeader(3, 11, 12)
	case isFragment:
		return p.ipv4Fragment()
	}
	return p.transport(b[9])
}

// ipv4Options finds options that lie about their lengths, and source routes (RFC 791 section 3.1).
func ipv4Options(b []byte) verdict {
	for len(b) > 0 && b[0] != 0 {
		if b[0] == 1 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return malformed
		}
		if b[0] == 131 || b[0] == 137 {
			return sourceRoute
		}
		b = b[b[1]:]
	}
	return undecided
}

func (p *parsed) ipv6() verdict {
	b := p.frame[p.ip:]
	if len(b) < 40 {
		return notIP
	}
	p.from, p.to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	p.length, p.ttl = 40+int(binary.BigEndian.Uint16(b[4:])), b[7]
	if p.from.Is4In6() || p.to.Is4In6() {
		return noService // nobody has such an address on the wire; the kernel drops it
	}
	if b[0]>>4 != 6 || p.length > len(b) {
		return malformed
	}
	protocol, v := p.extensions(b[6])
	switch {
	case v != undecided, p.isLater():
		return v
	case protocol == 58 && p.piece != nil:
		return icmp
	case protocol == 58:
		return p.icmpHeader(1, 2, 3, 4)
	}
	return p.transport(protocol)
}

// transport reads the ports of what lies within the IP packet; what the frame has beyond does not count.
func (p *parsed) transport(protocol byte) verdict {
	b := p.frame[p.l4:p.end()]
	var v verdict
	switch protocol {
	case 6:
		v = p.tcp(b)
	case 17:
		v = p.udp(b)
	case 132:
		v = p.sctp(b)
	default:
		return noService
	}
	if v == undecided {
		p.flow = flow{
			source:      netip.AddrPortFrom(p.from, binary.BigEndian.Uint16(b)),
			destination: netip.AddrPortFrom(p.to, binary.BigEndian.Uint16(b[2:])),
			protocol:    model.Protocol(protocol),
		}
	}
	return v
}

// cutShort is the verdict on a transport header that is not all there: somebody cut a first
// fragment so that it does not say what it is (RFC 1858, RFC 7112).
func (p *parsed) cutShort() verdict {
	if p.piece != nil {
		return fragmentTiny
	}
	return malformed
}

func (p *parsed) tcp(b []byte) verdict {
	if len(b) < 20 {
		return p.cutShort()
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return p.cutShort()
	}
	p.flags, p.data = packet.TCPFlags(b[13]), header < len(b)
	return undecided
}

func (p *parsed) udp(b []byte) verdict {
	if len(b) < 8 {
		return p.cutShort()
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < 8 || (p.piece == nil && length > len(b)) {
		return malformed
	}
	return undecided
}

// sctp needs the header and that of the first chunk, which says what TCP says by flags (RFC 9260
// section 3.2).
func (p *parsed) sctp(b []byte) verdict {
	if len(b) < 16 {
		return p.cutShort()
	}
	switch b[12] {
	case packet.ChunkInit:
		p.flags = packet.SYN
	case packet.ChunkInitAck:
		p.flags = packet.SYN | packet.ACK
	case packet.ChunkAbort, packet.ChunkShutdownComplete:
		p.flags = packet.RST
	case packet.ChunkShutdown, packet.ChunkShutdownAck:
		p.flags = packet.FIN | packet.ACK
	default:
		p.flags = packet.ACK
	}
	return undecided
}
