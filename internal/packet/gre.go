// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
)

// ProtocolGRE is the number of GRE in an IP header.
const ProtocolGRE Protocol = 47

// Flags of a GRE header: which fields follow (RFC 2784, RFC 2890).
const (
	GREChecksum uint16 = 0x8000
	GREKey      uint16 = 0x2000
	GRESequence uint16 = 0x1000
)

const (
	greLength  = 4
	greField   = 4      // each field that a flag stands for
	greRouting = 0x4000 // of RFC 1701, with fields of a length of their own
	greVersion = 0x0007
)

// GRE is a header of generic routing encapsulation (RFC 2784 section 2.1, RFC 2890 section 2).
type GRE struct {
	Flags    uint16 // with all reserved bits
	Type     uint16 // as in Ethernet; 0: that of the next layer
	Checksum uint16 // with GREChecksum; 0: the right one
	Reserved uint16 // with GREChecksum
	Key      uint32 // with GREKey
	Sequence uint32 // with GRESequence
}

func (g GRE) header(at place) []byte {
	b := binary.BigEndian.AppendUint16(nil, g.Flags)
	b = binary.BigEndian.AppendUint16(b, either(g.Type, etherType(at.inner)))
	if g.has(GREChecksum) {
		b = binary.BigEndian.AppendUint32(b, uint32(g.Reserved)) // the checksum's place is zero
	}
	if g.has(GREKey) {
		b = binary.BigEndian.AppendUint32(b, g.Key)
	}
	if g.has(GRESequence) {
		b = binary.BigEndian.AppendUint32(b, g.Sequence)
	}
	if g.has(GREChecksum) {
		right := ^fold(sum(sum(0, b), at.body))
		binary.BigEndian.PutUint16(b[greLength:], either(g.Checksum, right))
	}
	return b
}

func (g GRE) has(flag uint16) bool { return g.Flags&flag != 0 }

func (g GRE) String() string { return fmt.Sprintf("gre flags %#04x", g.Flags) }

func (g GRE) length() int {
	size := greLength
	for _, flag := range []uint16{GREChecksum, GREKey, GRESequence} {
		if g.has(flag) {
			size += greField
		}
	}
	return size
}

func parseGRE(b []byte) (part, error) {
	if len(b) < greLength {
		return part{}, short("gre", len(b), greLength)
	}
	g := GRE{Flags: binary.BigEndian.Uint16(b), Type: binary.BigEndian.Uint16(b[2:])}
	if g.has(greRouting | greVersion) {
		return part{}, fmt.Errorf("gre: flags %#04x: routing, or another version", g.Flags)
	}
	size := g.length()
	if size > len(b) {
		return part{}, short("gre", len(b), size)
	}
	g.readFields(b[greLength:size])
	return part{g, size, len(b), etherDecoder(g.Type)}, nil
}

// readFields reads the fields that the flags stand for; they are there.
func (g *GRE) readFields(b []byte) {
	next := func() uint32 {
		field := binary.BigEndian.Uint32(b)
		b = b[greField:]
		return field
	}
	if g.has(GREChecksum) {
		field := next()
		g.Checksum, g.Reserved = uint16(field>>16), uint16(field)
	}
	if g.has(GREKey) {
		g.Key = next()
	}
	if g.has(GRESequence) {
		g.Sequence = next()
	}
}
