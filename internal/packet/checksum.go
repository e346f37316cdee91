// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// Checksum is the Internet checksum of b (RFC 1071).
func Checksum(b []byte) uint16 { return ^fold(sum(0, b)) }

// Update changes a checksum as the bytes that it covers change from old to new, of the same even
// length (RFC 1624 section 3, equation 3). A changed UDP checksum of 0 is to be sent as 0xffff.
func Update(checksum uint16, old, new []byte) uint16 {
	total := uint32(^checksum)
	for i := 0; i < len(old); i += 2 {
		total += uint32(^binary.BigEndian.Uint16(old[i:]))
	}
	return ^fold(sum(total, new))
}

// sum adds b to total as 16-bit numbers; an odd last byte is padded with zero. The sum of a whole
// packet stays below 2^32.
func sum(total uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		total += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		total += uint32(b[0]) << 8
	}
	return total
}

func fold(total uint32) uint16 {
	for total > 0xffff {
		total = total&0xffff + total>>16
	}
	return uint16(total)
}

// transportChecksum is the checksum of header and body of a transport protocol under the
// pseudo-header of the IP header around it (RFC 9293 section 3.1, RFC 8200 section 8.1).
func transportChecksum(at place, protocol Protocol, header []byte) uint16 {
	source, destination := addresses(at.outer)
	total := sum(sum(0, source.AsSlice()), destination.AsSlice())
	total += uint32(protocol) + uint32(len(header)+len(at.body))
	return ^fold(sum(sum(total, header), at.body))
}
