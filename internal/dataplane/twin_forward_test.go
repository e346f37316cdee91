// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// forward sends a client's packet to the connection's server.
func (t *twin) forward(p parsed, c *twinConn) outcome {
	to, here := c.server.want, c.server.service.chosen(p)
	room := to.MTU - overhead(c)
	switch {
	case to.Local:
		c.server.countIn(p)
		return p.ends(local)
	case here != nil:
		here.countIn(p)
		return p.ends(local)
	case p.quote == nil && p.hop().mac == to.MAC && to.Next == to.Key.Address:
		return p.ends(martian)
	case p.ttl <= 1:
		return p.expired(p.to)
	case to.Link == 0:
		return p.ends(noRoute)
	case to.MAC == model.MAC{}:
		return p.ends(noNeighbour)
	case p.length > room:
		return p.tooLarge(p.to, room)
	case p.isUnsummable(c):
		return p.ends(fragmentSCTP)
	}
	c.server.countIn(p)
	v, out := send(p, c)
	return outcome{verdict: v, out: p.link(out, to.MAC, to.SourceMAC, to.VLAN), egress: to.Link}
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
	if c.forwarding != model.TUN {
		return 0
	}
	return c.server.want.Tunnel.Overhead(c.server.want.Key.Address)
}

// send returns what the server gets, but for the Ethernet header.
func send(p parsed, c *twinConn) (verdict, []byte) {
	out := slices.Clone(p.frame)
	p.lowerTTL(out)
	v := map[model.Forwarding]verdict{model.DR: dr, model.TUN: tun, model.NAT: natIn}[c.forwarding]
	if p.quote != nil {
		v = icmpIn
	} else {
		p.clampMSS(out, c.server.service.want.MSS)
	}
	switch c.forwarding {
	case model.TUN:
		return v, encapsulate(p, out, c.server.want)
	case model.NAT:
		p.toServer(out, p.flow.destination, c.fromServer.source)
	}
	return v, out[p.ip:]
}

// toServer translates what a client sent.
func (p parsed) toServer(out []byte, from, to netip.AddrPort) {
	if p.quote != nil {
		p.translateError(out, p.destinationAt()[0], p.quotedSource(), from, to)
		return
	}
	p.translate(out, p.destinationAt(), from, to)
}

// toClient translates what a server sent, or a router on the way to it.
func (p parsed) toClient(out []byte, from, to netip.AddrPort) {
	if p.quote != nil {
		p.translateError(out, p.sourceAt()[0], p.quotedDestination(), from, to)
		return
	}
	p.translate(out, p.sourceAt(), from, to)
}

// answer sends a server's packet to the connection's client.
func (t *twin) answer(p parsed, c *twinConn) outcome {
	if !c.server.gone && c.server.want.Leaving > model.Drain {
		return p.ends(serverLeft)
	}
	if v := t.first(p); v != undecided {
		return p.ends(v)
	}
	if p.quote == nil {
		t.see(p, c, false)
	}
	service := c.toService.destination
	egress, ours := t.interfaces[c.client.way]
	switch {
	case p.ttl <= 1:
		return p.expired(service.Addr())
	case !ours:
		return p.ends(noRoute)
	case p.length > egress.MTU:
		return p.tooLarge(service.Addr(), egress.MTU)
	case p.isUnsummable(c):
		return p.ends(fragmentSCTP)
	}
	out := slices.Clone(p.frame)
	if !c.server.gone {
		c.server.countOut(p)
		if p.quote == nil {
			p.clampMSS(out, c.server.service.want.MSS)
		}
	}
	p.lowerTTL(out)
	p.toClient(out, p.flow.source, service)
	v := natOut
	if p.quote != nil {
		v = icmpOut
	}
	out = p.link(out[p.ip:], c.client.mac, egress.MAC, c.client.vlan)
	return outcome{verdict: v, out: out, egress: c.client.ifindex}
}

// countOut counts a server's packet for it and its service.
func (s *twinServer) countOut(p parsed) {
	for _, n := range []*counters{&s.counters, &s.service.counters} {
		n.PacketsOut++
		n.BytesOut += uint64(p.length)
	}
}

// link puts a packet into a frame with the tag of the way on; priority and drop eligibility are those
// of the tag that the packet came with.
func (p parsed) link(body []byte, to, from model.MAC, vlan uint16) []byte {
	out := slices.Concat(to[:], from[:])
	if vlan != 0 {
		out = binary.BigEndian.AppendUint16(out, packet.EtherTypeVLAN)
		out = binary.BigEndian.AppendUint16(out, vlan|p.tci()&0xf000)
	}
	etherType := packet.EtherTypeIPv6
	if body[0]>>4 == 4 {
		etherType = packet.EtherTypeIPv4
	}
	return append(binary.BigEndian.AppendUint16(out, etherType), body...)
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

// sourceAt and destinationAt are where an address and its port stand in the frame.
func (p parsed) sourceAt() [2]int {
	if p.isIPv4() {
		return [2]int{p.ip + 12, p.l4}
	}
	return [2]int{p.ip + 8, p.l4}
}

func (p parsed) destinationAt() [2]int {
	if p.isIPv4() {
		return [2]int{p.ip + 16, p.l4 + 2}
	}
	return [2]int{p.ip + 24, p.l4 + 2}
}

// translate writes another address and port and carries the change into the checksums. A later
// fragment has neither port nor checksum.
func (p parsed) translate(out []byte, at [2]int, from, to netip.AddrPort) {
	oldAddress, newAddress := from.Addr().AsSlice(), to.Addr().AsSlice()
	copy(out[at[0]:], newAddress)
	if p.isIPv4() {
		update(out[p.ip+10:], oldAddress, newAddress)
	}
	if p.isLater() {
		return
	}
	before := slices.Clone(out[p.l4:p.end()])
	binary.BigEndian.PutUint16(out[at[1]:], to.Port())
	switch p.flow.protocol {
	case model.TCP:
		update(out[p.l4+16:], endpoint(from), endpoint(to))
	case model.UDP:
		updateUDP(out[p.l4+6:], endpoint(from), endpoint(to))
	case model.SCTP:
		updateSCTP(before, out[p.l4:p.end()])
	}
}

// endpoint is an address and a port as they stand in packets.
func endpoint(a netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(a.Addr().AsSlice(), a.Port())
}

func update(checksum, old, new []byte) {
	sum := packet.Update(binary.BigEndian.Uint16(checksum), old, new)
	binary.BigEndian.PutUint16(checksum, sum)
}

// updateUDP: 0 means that the sender computed no checksum; what becomes 0 is sent as 0xffff (RFC 768).
func updateUDP(checksum, old, new []byte) {
	if checksum[0] == 0 && checksum[1] == 0 {
		return
	}
	update(checksum, old, new)
	if checksum[0] == 0 && checksum[1] == 0 {
		copy(checksum, []byte{0xff, 0xff})
	}
}

// updateSCTP changes the CRC32c by as much as the right one changes, so that a wrong one stays wrong
// (RFC 9260 section 6.8).
func updateSCTP(before, after []byte) {
	field := binary.LittleEndian.Uint32(after[8:])
	binary.LittleEndian.PutUint32(after[8:], field^rightCRC(before)^rightCRC(after))
}

// rightCRC is the CRC32c of an SCTP packet, whatever stands in its field.
func rightCRC(b []byte) uint32 {
	b = slices.Clone(b)
	copy(b[8:12], []byte{0, 0, 0, 0})
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}
