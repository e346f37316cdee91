// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// quote is the packet that an error of ICMP is about.
type quote struct {
	readable bool
	ip       int  // where its IP header begins in the frame
	l4       int  // where its transport header begins
	flow     flow // as quoted
}

// Least MTUs that a router may speak of; what is less is an attack (RFC 791 section 3.2, RFC 8200
// section 5).
const (
	leastMTU4 = 576
	leastMTU6 = 1280
)

// icmpHeader looks for errors of these types; everything else is the kernel's.
func (p *parsed) icmpHeader(errors ...byte) verdict {
	b := p.frame[p.l4:p.end()]
	if len(b) < 8 {
		return malformed
	}
	if !slices.Contains(errors, b[0]) {
		return icmp
	}
	p.quote = &quote{ip: p.l4 + 8}
	read := p.quoteIPv6
	if p.isIPv4() {
		read = p.quoteIPv4
	}
	protocol, ok := read(b[8:])
	switch {
	case ok && protocol != 6 && protocol != 17 && protocol != 132:
		return icmp
	case ok && p.quote.l4+8 <= p.end():
		p.quote.readable = true
		p.quote.flow.protocol = model.Protocol(protocol)
		p.quote.ports(p.frame[p.quote.l4:])
	}
	return undecided
}

// quoteIPv4 reads the quoted IP header and returns the protocol behind it, and its options, which need
// not be there; false: it cannot be told, or has no ports behind it.
func (p *parsed) quoteIPv4(b []byte) (protocol byte, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return 0, false
	}
	header := int(b[0]&0xf) * 4
	if header < 20 || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return 0, false
	}
	p.quote.between(netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])))
	p.quote.l4 = p.quote.ip + header
	return b[9], true
}

func (p *parsed) quoteIPv6(b []byte) (protocol byte, ok bool) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return 0, false
	}
	p.quote.between(netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])))
	next, at := b[6], 40
	for n := 0; isExtension(next); n++ {
		size, fits := extensionSize(next, b[at:])
		if n == mostExtensions || !fits {
			return 0, false
		}
		if next == 44 && binary.BigEndian.Uint16(b[at+2:])&0xfff8 != 0 {
			return 0, false
		}
		next, at = b[at], at+size
	}
	p.quote.l4 = p.quote.ip + at
	return next, true
}

func (q *quote) ports(b []byte) {
	q.flow.source = netip.AddrPortFrom(q.flow.source.Addr(), binary.BigEndian.Uint16(b))
	q.flow.destination = netip.AddrPortFrom(q.flow.destination.Addr(), binary.BigEndian.Uint16(b[2:]))
}

func (q *quote) between(source, destination netip.Addr) {
	q.flow.source, q.flow.destination = netip.AddrPortFrom(source, 0), netip.AddrPortFrom(destination, 0)
}

// icmpError brings an error to whoever sent what it quotes (RFC 5508 section 4, RFC 7690). The flow
// is that of packets which come from where the error comes from: the quoted one, turned round.
func (t *twin) icmpError(p parsed) outcome {
	q := p.quote.flow
	p.flow = flow{q.destination, q.source, q.protocol}
	if t.isVIP(p.to) {
		return t.errorToService(p)
	}
	return t.errorToClient(p)
}

func (t *twin) errorToService(p parsed) outcome {
	switch {
	case !p.quote.readable, p.flow.destination.Addr() != p.to:
		return p.ends(icmpNoConnection)
	case t.isMartian(p.from, p.to):
		return p.ends(martian)
	}
	c := t.conns[p.flow]
	if c == nil || p.flow == c.fromServer {
		return t.errorOfNone(p)
	}
	return t.errorOf(p, c)
}

// errorOfNone is for an error about no connection of this director. It may be of another one's, whose server is this host.
func (t *twin) errorOfNone(p parsed) outcome {
	s := t.service(p.flow)
	if s == nil {
		return p.ends(icmp)
	}
	switch {
	case p.lowMTU(), s.here() < 0:
		return p.ends(icmpNoConnection)
	case !s.want.Serving:
		return p.ends(notServing)
	}
	return t.sentHere(p, icmpNoConnection)
}

// errorOf brings an error to the server of a connection.
func (t *twin) errorOf(p parsed, c *twinConn) outcome {
	switch {
	case p.lowMTU():
		return p.ends(icmpLowMTU)
	case c.server.gone:
		return t.sentHere(p, serverGone)
	case !c.server.service.goesOn():
		return p.ends(notServing)
	case c.server.want.Leaving > model.Drain:
		return t.sentHere(p, serverLeft)
	}
	return t.forward(p, c)
}

func (t *twin) errorToClient(p parsed) outcome {
	c := t.connOf(p.flow)
	switch {
	case !p.quote.readable, c == nil, p.flow.destination.Addr() != p.to:
		return p.ends(icmp)
	case p.flow == c.toService: // of any destination
		return t.errorOf(p, c)
	case p.lowMTU():
		return p.ends(icmpLowMTU)
	}
	return t.answer(p, c)
}

// lowMTU: a router speaks of an MTU that no link has.
func (p parsed) lowMTU() bool {
	b := p.frame[p.l4:]
	if p.isIPv4() {
		return b[0] == 3 && b[1] == 4 && binary.BigEndian.Uint16(b[6:]) < leastMTU4
	}
	return b[0] == 2 && binary.BigEndian.Uint32(b[4:]) < leastMTU6
}

// translateError changes the address of the outer packet, and in the quoted one the address and port
// that its sender, or its receiver, has for the one who gets the error. The checksum of ICMP follows
// every byte that changed.
func (p parsed) translateError(out []byte, outer int, quoted [2]int, from, to netip.AddrPort) {
	oldAddress, newAddress := from.Addr().AsSlice(), to.Addr().AsSlice()
	before := slices.Clone(out[:p.end()])
	wasOuter := slices.Clone(out[outer : outer+len(newAddress)])
	copy(out[outer:], newAddress)
	copy(out[quoted[0]:], newAddress)
	binary.BigEndian.PutUint16(out[quoted[1]:], to.Port())
	if p.isIPv4() {
		update(out[p.ip+10:], wasOuter, newAddress)
		update(out[p.quote.ip+10:], oldAddress, newAddress)
	}
	p.updateQuoted(out, endpoint(from), endpoint(to))
	old, changed := before[p.l4+4:], slices.Clone(out[p.l4+4:p.end()])
	if !p.isIPv4() { // the pseudo-header
		old, changed = append(even(old), wasOuter...), append(even(changed), newAddress...)
	}
	update(out[p.l4+2:], even(old), even(changed))
}

// even fills bytes up to 16-bit words.
func even(b []byte) []byte {
	if len(b)%2 == 0 {
		return b
	}
	return append(slices.Clone(b), 0)
}

// updateQuoted keeps the quoted transport checksum, where it is quoted at all. That of SCTP does not
// cover addresses, and would need all of the packet.
func (p parsed) updateQuoted(out, old, changed []byte) {
	at := p.quote.l4
	switch {
	case p.flow.protocol == model.UDP:
		updateUDP(out[at+6:], old, changed)
	case p.flow.protocol == model.TCP && at+18 <= p.end():
		update(out[at+16:], old, changed)
	}
}

// The places in a quoted packet that translation changes.
func (p parsed) quotedSource() [2]int {
	if p.isIPv4() {
		return [2]int{p.quote.ip + 12, p.quote.l4}
	}
	return [2]int{p.quote.ip + 8, p.quote.l4}
}

func (p parsed) quotedDestination() [2]int {
	if p.isIPv4() {
		return [2]int{p.quote.ip + 16, p.quote.l4 + 2}
	}
	return [2]int{p.quote.ip + 24, p.quote.l4 + 2}
}
