// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// TCPFlags are the low 12 bits of the word that begins with the data offset: control bits and,
// above them, reserved ones.
type TCPFlags uint16

// Control bits (RFC 9293 section 3.1).
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String writes flags as tcpdump does: "S.", "F."; "none" when there are none.
func (f TCPFlags) String() string {
	var s strings.Builder
	for i, letter := range "FSRP.UEW" {
		if f&(1<<i) != 0 {
			s.WriteRune(letter)
		}
	}
	return either(s.String(), "none")
}

const tcpLength = 20

// TCP is a TCP header (RFC 9293 section 3.1).
type TCP struct {
	Source      uint16
	Destination uint16
	Seq         uint32
	Ack         uint32
	DataOffset  uint8 // in units of 4 bytes; 0: the header with its options
	Flags       TCPFlags
	Window      uint16
	Checksum    uint16 // 0: the right one
	Urgent      uint16
	Options     []byte // filled up to a multiple of 4
}

func (t TCP) header(at place) []byte {
	options := padded(t.Options, 0, 4)
	offset := either(t.DataOffset, uint8((tcpLength+len(options))/4))
	b := appendPorts(nil, t.Source, t.Destination)
	b = binary.BigEndian.AppendUint32(b, t.Seq)
	b = binary.BigEndian.AppendUint32(b, t.Ack)
	b = binary.BigEndian.AppendUint16(b, uint16(offset)<<12|uint16(t.Flags)&0xfff)
	b = binary.BigEndian.AppendUint16(b, t.Window)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Urgent)) // the checksum's place is zero
	b = append(b, options...)
	binary.BigEndian.PutUint16(b[16:], either(t.Checksum, transportChecksum(at, ProtocolTCP, b)))
	return b
}

func (t TCP) String() string {
	return fmt.Sprintf("tcp %d > %d %s seq %d ack %d", t.Source, t.Destination, t.Flags, t.Seq, t.Ack)
}

func parseTCP(b []byte) (part, error) {
	if len(b) < tcpLength {
		return part{}, short("tcp", len(b), tcpLength)
	}
	word := binary.BigEndian.Uint16(b[12:])
	size := int(word>>12) * 4
	if size < tcpLength || size > len(b) {
		return part{}, fmt.Errorf("tcp: header of %d bytes, %d there", size, len(b))
	}
	t := TCP{
		Source:      binary.BigEndian.Uint16(b),
		Destination: binary.BigEndian.Uint16(b[2:]),
		Seq:         binary.BigEndian.Uint32(b[4:]),
		Ack:         binary.BigEndian.Uint32(b[8:]),
		DataOffset:  uint8(word >> 12),
		Flags:       TCPFlags(word & 0xfff),
		Window:      binary.BigEndian.Uint16(b[14:]),
		Checksum:    binary.BigEndian.Uint16(b[16:]),
		Urgent:      binary.BigEndian.Uint16(b[18:]),
		Options:     b[tcpLength:size],
	}
	return part{t, size, len(b), nil}, nil
}

func appendPorts(b []byte, source, destination uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, source), destination)
}
