// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Types of SCTP chunks that begin or end an association (RFC 9260 section 3.2).
const (
	ChunkData             uint8 = 0
	ChunkInit             uint8 = 1
	ChunkInitAck          uint8 = 2
	ChunkAbort            uint8 = 6
	ChunkShutdown         uint8 = 7
	ChunkShutdownAck      uint8 = 8
	ChunkShutdownComplete uint8 = 14
)

const (
	sctpLength  = 12
	chunkLength = 4
)

// SCTP is the common header of SCTP (RFC 9260 section 3.1). Chunks follow.
type SCTP struct {
	Source      uint16
	Destination uint16
	Tag         uint32 // verification tag
	Checksum    uint32 // 0: the right one
}

func (s SCTP) header(at place) []byte {
	b := appendPorts(nil, s.Source, s.Destination)
	b = binary.BigEndian.AppendUint32(b, s.Tag)
	b = append(b, 0, 0, 0, 0)
	right := ChecksumSCTP(append(b, at.body...))
	binary.LittleEndian.PutUint32(b[8:], either(s.Checksum, right))
	return b
}

func (s SCTP) String() string {
	return fmt.Sprintf("sctp %d > %d tag %d", s.Source, s.Destination, s.Tag)
}

// ChecksumSCTP is the CRC32c of an SCTP packet, whatever its field holds (RFC 9260 section 6.8). It
// stands there in little-endian order (appendix A).
func ChecksumSCTP(b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:8])
	sum = crc32.Update(sum, table, make([]byte, 4))
	return crc32.Update(sum, table, b[sctpLength:])
}

func parseSCTP(b []byte) (part, error) {
	if len(b) < sctpLength {
		return part{}, short("sctp", len(b), sctpLength)
	}
	s := SCTP{
		Source:      binary.BigEndian.Uint16(b),
		Destination: binary.BigEndian.Uint16(b[2:]),
		Tag:         binary.BigEndian.Uint32(b[4:]),
		Checksum:    binary.LittleEndian.Uint32(b[8:]),
	}
	if len(b) == sctpLength {
		return part{s, sctpLength, len(b), nil}, nil
	}
	return part{s, sctpLength, len(b), parseChunk}, nil
}

// Chunk is what every chunk begins with (RFC 9260 section 3.2). What it holds, its padding and the
// chunks behind it are Payload.
type Chunk struct {
	Type   uint8
	Flags  uint8
	Length uint16 // 0: header and body, so this is the only chunk
}

func (c Chunk) header(at place) []byte {
	length := either(c.Length, uint16(chunkLength+len(at.body)))
	return binary.BigEndian.AppendUint16([]byte{c.Type, c.Flags}, length)
}

func (c Chunk) String() string { return fmt.Sprintf("chunk type %d", c.Type) }

func parseChunk(b []byte) (part, error) {
	if len(b) < chunkLength {
		return part{}, short("chunk", len(b), chunkLength)
	}
	c := Chunk{Type: b[0], Flags: b[1], Length: binary.BigEndian.Uint16(b[2:])}
	if c.Length < chunkLength || int(c.Length) > len(b) {
		return part{}, fmt.Errorf("chunk: length %d, %d bytes there", c.Length, len(b))
	}
	return part{c, chunkLength, len(b), nil}, nil
}
