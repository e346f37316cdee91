// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
)

const udpLength = 8

// UDP is a UDP header (RFC 768).
type UDP struct {
	Source      uint16
	Destination uint16
	Length      uint16 // 0: header and body
	Checksum    uint16 // 0: the right one
	NoChecksum  bool   // the sender computed none: 0 on the wire
}

func (u UDP) header(at place) []byte {
	b := appendPorts(nil, u.Source, u.Destination)
	b = binary.BigEndian.AppendUint16(b, either(u.Length, uint16(udpLength+len(at.body))))
	b = binary.BigEndian.AppendUint16(b, 0)
	if !u.NoChecksum {
		right := either(transportChecksum(at, ProtocolUDP, b), 0xffff) // 0 would mean: none
		binary.BigEndian.PutUint16(b[6:], either(u.Checksum, right))
	}
	return b
}

func (u UDP) String() string { return fmt.Sprintf("udp %d > %d", u.Source, u.Destination) }

func parseUDP(b []byte) (part, error) {
	if len(b) < udpLength {
		return part{}, short("udp", len(b), udpLength)
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < udpLength || length > len(b) {
		return part{}, fmt.Errorf("udp: length %d, %d bytes there", length, len(b))
	}
	u := UDP{
		Source:      binary.BigEndian.Uint16(b),
		Destination: binary.BigEndian.Uint16(b[2:]),
		Length:      uint16(length),
		Checksum:    binary.BigEndian.Uint16(b[6:]),
	}
	u.NoChecksum = u.Checksum == 0
	return part{u, udpLength, length, portDecoder(u.Destination)}, nil
}
