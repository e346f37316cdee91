// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// piece is which part of a packet a fragment is.
type piece struct {
	key    fragmentKey
	offset int // in bytes
	length int // of what it has of the packet, in bytes
	more   bool
}

// fragmentKey is what the fragments of one packet have in common.
type fragmentKey struct {
	source, destination netip.Addr
	id                  uint32
	protocol            byte // IPv6: 0, because only the first fragment can be trusted to say it
}

// twinFragment is a packet of which not all fragments have passed yet.
type twinFragment struct {
	known    bool // the first fragment came, so ports and protocol are known
	ports    [2]uint16
	protocol model.Protocol
	blocks   map[int]bool // of 8 bytes, that were there
	sent     int          // blocks that were sent on
	end      int          // blocks of the whole packet; 0: the last fragment was not seen yet
	poisoned bool
	aside    bool // the first one passed to the kernel, which needs all of it
}

// isLater: the fragment has no transport header.
func (p parsed) isLater() bool { return p.piece != nil && p.piece.offset > 0 }

func (p *parsed) ipv4Fragment() verdict {
	b := p.frame[p.ip:]
	word := binary.BigEndian.Uint16(b[6:])
	switch b[9] {
	case 6, 17, 132:
	default:
		return noService
	}
	p.piece = &piece{
		key:    fragmentKey{p.from, p.to, uint32(binary.BigEndian.Uint16(b[4:])), b[9]},
		offset: int(word&0x1fff) * 8,
		length: p.end() - p.l4,
		more:   word&0x2000 != 0,
	}
	switch {
	case p.piece.lies(20):
		p.piece = nil
		return malformed
	case p.piece.rewritesTCP(b[9]):
		return fragmentTiny
	case p.isLater():
		return undecided
	}
	return p.transport(b[9])
}

// ipv6Fragment reads the fragment header at l4. What is no part of anything (RFC 6946) is whole.
func (p *parsed) ipv6Fragment() verdict {
	b := p.frame[p.l4:p.end()]
	word := binary.BigEndian.Uint16(b[2:])
	offset, more := int(word&0xfff8), word&1 != 0
	if offset == 0 && !more {
		return undecided
	}
	p.piece = &piece{
		key:    fragmentKey{p.from, p.to, binary.BigEndian.Uint32(b[4:]), 0},
		offset: offset, length: len(b) - 8, more: more,
	}
	switch {
	case p.piece.lies(p.l4 - p.ip - 40): // the length of an IPv6 packet is that of its payload
		p.piece = nil
		return malformed
	case p.isLater() && b[0] == 58:
		return icmp
	case p.piece.rewritesTCP(b[0]):
		return fragmentTiny
	}
	return undecided
}

// lies: there is no such part of a packet whose length counts so many bytes of headers.
func (f *piece) lies(header int) bool {
	return f.length == 0 || (f.more && f.length%8 != 0) || f.offset+f.length+header > 65535
}

// rewritesTCP: flags could come anew with the second block (RFC 3128).
func (f *piece) rewritesTCP(protocol byte) bool { return protocol == 6 && f.offset == 8 }

// later is for fragments that have no ports of their own.
func (t *twin) later(p parsed) outcome {
	f := t.fragments[p.piece.key]
	if f != nil && f.aside {
		return p.ends(noService)
	}
	if f == nil || !f.known {
		return t.hold(p, f)
	}
	if v := t.pass(f, p.piece); v != undecided {
		return p.ends(v)
	}
	p.flow = flow{netip.AddrPortFrom(p.from, f.ports[0]), netip.AddrPortFrom(p.to, f.ports[1]), f.protocol}
	c := t.connOf(p.flow)
	if c == nil {
		return p.ends(fragmentOrphan)
	}
	return t.connected(p, c)
}

// hold is for a fragment that came before its first one; the daemon keeps it.
func (t *twin) hold(p parsed, f *twinFragment) outcome {
	if !t.mayHave(p.from, p.to) && !t.isNATServer(p.from) {
		return p.ends(noService)
	}
	if f == nil {
		t.fragments[p.piece.key] = newFragment()
	}
	return p.ends(fragmentHeld)
}

func newFragment() *twinFragment { return &twinFragment{blocks: map[int]bool{}} }

// first is for the first fragment of a packet of a connection: it decides for the others.
func (t *twin) first(p parsed) verdict {
	if p.piece == nil || p.isLater() {
		return undecided
	}
	f := t.fragments[p.piece.key]
	if f == nil {
		f = newFragment()
		t.fragments[p.piece.key] = f
	}
	if !f.known || f.aside {
		f.known, f.protocol, f.aside = true, p.flow.protocol, false
		f.ports = [2]uint16{p.flow.source.Port(), p.flow.destination.Port()}
	}
	return t.pass(f, p.piece)
}

// aside: a first fragment that passed takes the others with it, or they would wait for it.
func (t *twin) aside(p parsed, v verdict) {
	if p.piece == nil || p.isLater() || v == local || !slices.Contains(passes, v) {
		return
	}
	if !t.mayHave(p.from, p.to) && !t.isNATServer(p.from) {
		return
	}
	f := t.fragments[p.piece.key]
	if f == nil {
		f = newFragment()
		t.fragments[p.piece.key] = f
	}
	f.known, f.aside = true, true
}

// isUnsummable: NAT would change the port of an SCTP packet, and so its checksum by what is in later
// fragments too.
func (p parsed) isUnsummable(c *twinConn) bool {
	return p.piece != nil && !p.isLater() && p.flow.protocol == model.SCTP && c.forwarding == model.NAT &&
		c.fromServer.source.Port() != c.toService.destination.Port()
}

// pass lets a fragment go on if nothing of it went on before, and it is a part of the same packet as
// the others (RFC 5722).
func (t *twin) pass(f *twinFragment, at *piece) verdict {
	if f.poisoned {
		return fragmentOverlap
	}
	begin, end := at.offset/8, (at.offset+at.length+7)/8
	before := f.mark(begin, end)
	f.poisoned = before > 0 && before < end-begin // all of it: merely sent twice
	if before > 0 {
		return fragmentOverlap
	}
	if !f.fits(end, at.more) {
		f.poisoned = true
		return fragmentOverlap
	}
	f.sent += end - begin
	if f.sent == f.end {
		delete(t.fragments, at.key)
	}
	return undecided
}

// mark notes blocks, and returns how many of them had been noted before.
func (f *twinFragment) mark(begin, end int) (before int) {
	for n := begin; n < end; n++ {
		if f.blocks[n] {
			before++
		}
		f.blocks[n] = true
	}
	return before
}

// fits: the fragment ends where the packet may.
func (f *twinFragment) fits(end int, more bool) bool {
	if !more && f.end == 0 {
		f.end = end
	}
	if !more {
		return f.end == end
	}
	return f.end == 0 || end <= f.end
}
