// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// forward sends a client's packet to the connection's server.
func (t *twin) forward(p parsed, c *twinConn) outcome {
	to := c.server.want
	switch {
	case to.Local:
		c.server.countIn(p)
		return p.ends(local)
	case p.ttl <= 1:
		return p.ends(ttlExceeded)
	case to.Link == 0:
		return p.ends(noRoute)
	case to.MAC == model.MAC{}:
		return p.ends(noNeighbour)
	case p.length+overhead(c) > to.MTU:
		return p.ends(tooBig)
	}
	c.server.countIn(p)
	v, out := send(p, c)
	copy(out, to.MAC[:])
	copy(out[6:], to.SourceMAC[:])
	return outcome{verdict: v, out: out, egress: to.Link}
}

// countIn counts a client's packet for the server and its service.
func (s *twinServer) countIn(p parsed) {
	for _, n := range []*counters{&s.counters, &s.service.counters} {
		n.PacketsIn++
		n.BytesIn += uint64(p.length)
	}
}

// overhead is what the connection's method adds to a packet.
func overhead(c *twinConn) int {
	switch {
	case c.forwarding != model.TUN:
		return 0
	case c.server.want.Key.Address.Is4():
		return 20
	}
	return 40
}

// send returns the frame for the server, but for its MAC addresses.
func send(p parsed, c *twinConn) (verdict, []byte) {
	out := slices.Clone(p.frame)
	p.lowerTTL(out)
	switch c.forwarding {
	case model.TUN:
		return tun, encapsulate(p, out, c.server.want)
	case model.NAT:
		to := c.fromServer.source
		p.translate(out, p.destination(), p.flow.destination, to)
		return natIn, out
	}
	return dr, out
}

// answer sends a server's packet to the connection's client.
func (t *twin) answer(p parsed, c *twinConn) outcome {
	c.see(p, false)
	egress := t.interfaces[c.client.ifindex]
	switch {
	case p.ttl <= 1:
		return p.ends(ttlExceeded)
	case p.length > egress.MTU:
		return p.ends(tooBig)
	}
	if !c.server.gone {
		for _, n := range []*counters{&c.server.counters, &c.server.service.counters} {
			n.PacketsOut++
			n.BytesOut += uint64(p.length)
		}
	}
	out := slices.Clone(p.frame)
	p.lowerTTL(out)
	p.translate(out, p.source(), p.flow.source, c.toService.destination)
	copy(out, c.client.mac[:])
	copy(out[6:], egress.MAC[:])
	return outcome{verdict: natOut, out: out, egress: c.client.ifindex}
}

func (p parsed) lowerTTL(out []byte) {
	if !p.isIPv4() {
		out[p.ip+7]--
		return
	}
	old := [2]byte(out[p.ip+8:])
	out[p.ip+8]--
	update(out[p.ip+10:], old[:], out[p.ip+8:p.ip+10])
}

// source and destination are where an address and its port stand in the frame.
func (p parsed) source() [2]int {
	if p.isIPv4() {
		return [2]int{p.ip + 12, p.l4}
	}
	return [2]int{p.ip + 8, p.l4}
}

func (p parsed) destination() [2]int {
	if p.isIPv4() {
		return [2]int{p.ip + 16, p.l4 + 2}
	}
	return [2]int{p.ip + 24, p.l4 + 2}
}

// translate writes another address and port and carries the change into the checksums.
func (p parsed) translate(out []byte, at [2]int, from, to netip.AddrPort) {
	oldAddress, newAddress := from.Addr().AsSlice(), to.Addr().AsSlice()
	oldPort := binary.BigEndian.AppendUint16(nil, from.Port())
	newPort := binary.BigEndian.AppendUint16(nil, to.Port())
	copy(out[at[0]:], newAddress)
	copy(out[at[1]:], newPort)
	if p.isIPv4() {
		update(out[p.ip+10:], oldAddress, newAddress)
	}
	old, changed := slices.Concat(oldAddress, oldPort), slices.Concat(newAddress, newPort)
	if p.flow.protocol == model.TCP {
		update(out[p.l4+16:], old, changed)
		return
	}
	// In UDP 0 means that the sender computed none; what becomes 0 is sent as 0xffff (RFC 768).
	if checksum := out[p.l4+6:]; !isZero(checksum) {
		update(checksum, old, changed)
		if isZero(checksum) {
			copy(checksum, []byte{0xff, 0xff})
		}
	}
}

func isZero(checksum []byte) bool { return checksum[0] == 0 && checksum[1] == 0 }

func update(checksum, old, new []byte) {
	sum := packet.Update(binary.BigEndian.Uint16(checksum), old, new)
	binary.BigEndian.PutUint16(checksum, sum)
}

// encapsulate puts the packet into another one (RFC 2003, RFC 2473, RFC 4213).
func encapsulate(p parsed, out []byte, to model.ServerWant) []byte {
	inner := packet.Payload(out[p.ip : p.ip+p.length])
	link := packet.Ethernet{Type: packet.EtherTypeIPv6}
	protocol := packet.ProtocolIPv6
	if p.isIPv4() {
		protocol = packet.ProtocolIPv4
	}
	class, id, df := p.innerFields(out)
	var outer packet.Layer = packet.IPv6{
		Source: to.Source, Destination: to.Key.Address, HopLimit: 64, TrafficClass: class, Next: protocol,
	}
	if to.Key.Address.Is4() {
		link.Type = packet.EtherTypeIPv4
		outer = packet.IPv4{
			Source: to.Source, Destination: to.Key.Address, TTL: 64, TOS: class, ID: id, Flags: df, Protocol: protocol,
		}
	}
	return packet.Build(link, outer, inner, packet.Trailer(out[p.ip+p.length:]))
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
