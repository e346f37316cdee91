// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// parsed is a packet whose headers are all there and do not lie about their lengths.
type parsed struct {
	frame   []byte
	ifindex int
	tagged  bool
	ip      int // where the IP header begins
	l4      int // where the transport header begins
	length  int // of the IP packet
	ttl     uint8
	flow    flow
	flags   packet.TCPFlags
}

func (p parsed) ends(v verdict) outcome { return outcome{verdict: v, out: p.frame} }

func (p parsed) hop() twinHop { return twinHop{p.ifindex, model.MAC(p.frame[6:12])} }

func (p parsed) isIPv4() bool { return p.flow.source.Addr().Is4() }

func (t *twin) parse(ifindex int, frame []byte) (parsed, verdict) {
	p := parsed{frame: frame, ifindex: ifindex}
	etherType, ok := p.ethernet()
	if !ok || (etherType != packet.EtherTypeIPv4 && etherType != packet.EtherTypeIPv6) {
		return p, notIP
	}
	if ours, ok := t.interfaces[ifindex]; !ok || model.MAC(frame[:6]) != ours.MAC {
		return p, otherHost
	}
	parseIP := p.ipv4
	if etherType == packet.EtherTypeIPv6 {
		parseIP = p.ipv6
	}
	destination, v := parseIP()
	switch v {
	case malformed, fragment, extensionHeader:
		if !t.isVIP(destination) {
			v = noService
		}
	}
	return p, v
}

func (t *twin) isVIP(a netip.Addr) bool {
	for key := range t.services {
		if key.Address == a {
			return true
		}
	}
	return false
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

func (p *parsed) ipv4() (netip.Addr, verdict) {
	b := p.frame[p.ip:]
	if len(b) < 20 {
		return netip.Addr{}, notIP
	}
	source, destination := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	header := int(b[0]&0xf) * 4
	p.length, p.ttl, p.l4 = int(binary.BigEndian.Uint16(b[2:])), b[8], p.ip+header
	switch {
	case b[0]>>4 != 4, header < 20, p.length < header, p.length > len(b):
		return destination, malformed
	case binary.BigEndian.Uint16(b[6:])&0x3fff != 0: // more fragments, or an offset
		return destination, fragment
	case b[9] == 1:
		return destination, icmp
	}
	return destination, p.transport(b[9], source, destination)
}

func (p *parsed) ipv6() (netip.Addr, verdict) {
	b := p.frame[p.ip:]
	if len(b) < 40 {
		return netip.Addr{}, notIP
	}
	source, destination := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	p.length, p.ttl, p.l4 = 40+int(binary.BigEndian.Uint16(b[4:])), b[7], p.ip+40
	if source.Is4In6() || destination.Is4In6() {
		return destination, noService // nobody has such an address on the wire; the kernel drops it
	}
	if b[0]>>4 != 6 || p.length > len(b) {
		return destination, malformed
	}
	switch b[6] {
	case 44:
		return destination, fragment
	case 0, 43, 51, 60, 135, 139, 140:
		return destination, extensionHeader
	case 58:
		return destination, icmp
	}
	return destination, p.transport(b[6], source, destination)
}

// transport reads the ports of what lies within the IP packet; what the frame has beyond does not count.
func (p *parsed) transport(protocol byte, source, destination netip.Addr) verdict {
	b := p.frame[p.l4 : p.ip+p.length]
	switch protocol {
	case 6:
		if len(b) < 20 || int(b[12]>>4)*4 < 20 || int(b[12]>>4)*4 > len(b) {
			return malformed
		}
		p.flags = packet.TCPFlags(b[13])
	case 17:
		if len(b) < 8 || binary.BigEndian.Uint16(b[4:]) < 8 || int(binary.BigEndian.Uint16(b[4:])) > len(b) {
			return malformed
		}
	default:
		return noService
	}
	p.flow = flow{
		source:      netip.AddrPortFrom(source, binary.BigEndian.Uint16(b)),
		destination: netip.AddrPortFrom(destination, binary.BigEndian.Uint16(b[2:])),
		protocol:    model.Protocol(protocol),
	}
	return undecided
}
