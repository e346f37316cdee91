// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
)

// Types of ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861).
const (
	ICMPEchoReply            uint8 = 0
	ICMPUnreachable          uint8 = 3
	ICMPEchoRequest          uint8 = 8
	ICMPTimeExceeded         uint8 = 11
	ICMPv6TooBig             uint8 = 2
	ICMPv6EchoRequest        uint8 = 128
	ICMPv6EchoReply          uint8 = 129
	ICMPv6NeighbourSolicit   uint8 = 135
	ICMPv6NeighbourAdvertise uint8 = 136
)

const icmpLength = 4

// ICMP is what all messages of ICMP begin with; the rest is Payload.
type ICMP struct {
	Type     uint8
	Code     uint8
	Checksum uint16 // 0: the right one
}

func (i ICMP) header(at place) []byte {
	b := []byte{i.Type, i.Code, 0, 0}
	right := ^fold(sum(sum(0, b), at.body))
	binary.BigEndian.PutUint16(b[2:], either(i.Checksum, right))
	return b
}

func (i ICMP) String() string { return fmt.Sprintf("icmp type %d code %d", i.Type, i.Code) }

func parseICMP(b []byte) (part, error) {
	if len(b) < icmpLength {
		return part{}, short("icmp", len(b), icmpLength)
	}
	i := ICMP{Type: b[0], Code: b[1], Checksum: binary.BigEndian.Uint16(b[2:])}
	return part{i, icmpLength, len(b), nil}, nil
}

// ICMPv6 is what all messages of ICMPv6 begin with (RFC 4443 section 2.1). Neighbour discovery
// follows as a layer, everything else as Payload.
type ICMPv6 struct {
	Type     uint8 // 0: that of the next layer
	Code     uint8
	Checksum uint16 // 0: the right one
}

func (i ICMPv6) header(at place) []byte {
	b := []byte{either(i.Type, icmpv6Type(at.inner)), i.Code, 0, 0}
	binary.BigEndian.PutUint16(b[2:], either(i.Checksum, transportChecksum(at, ProtocolICMPv6, b)))
	return b
}

func (i ICMPv6) String() string { return fmt.Sprintf("icmpv6 type %d code %d", i.Type, i.Code) }

func parseICMPv6(b []byte) (part, error) {
	if len(b) < icmpLength {
		return part{}, short("icmpv6", len(b), icmpLength)
	}
	i := ICMPv6{Type: b[0], Code: b[1], Checksum: binary.BigEndian.Uint16(b[2:])}
	return part{i, icmpLength, len(b), icmpv6Decoder(i.Type)}, nil
}

func icmpv6Type(l Layer) uint8 {
	switch l.(type) {
	case NeighbourSolicitation:
		return ICMPv6NeighbourSolicit
	case NeighbourAdvertisement:
		return ICMPv6NeighbourAdvertise
	}
	return 0
}

func icmpv6Decoder(kind uint8) decoder {
	switch kind {
	case ICMPv6NeighbourSolicit:
		return parseNeighbourSolicitation
	case ICMPv6NeighbourAdvertise:
		return parseNeighbourAdvertisement
	}
	return nil
}
