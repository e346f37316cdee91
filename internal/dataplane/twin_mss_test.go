// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// mostTCPOptions is how many options of a SYN are looked at.
const mostTCPOptions = 10

// clampMSS lowers what a SYN offers to the service's limit.
func (p parsed) clampMSS(out []byte, limit uint16) {
	if limit == 0 || p.isLater() || p.flow.protocol != model.TCP || p.flags&packet.SYN == 0 {
		return
	}
	header := out[p.l4 : p.l4+int(out[p.l4+12]>>4)*4]
	for n, at := 0, 20; n < mostTCPOptions && at < len(header) && header[at] != 0; n++ {
		if header[at] == 1 {
			at++
			continue
		}
		if at+1 >= len(header) || header[at+1] < 2 || at+int(header[at+1]) > len(header) {
			return
		}
		if header[at] == 2 && header[at+1] == 4 && binary.BigEndian.Uint16(header[at+2:]) > limit {
			writeMSS(header, at+2, limit)
		}
		at += int(header[at+1])
	}
}

// writeMSS changes the value at an offset, which may be odd: then it is in two words of the checksum.
func writeMSS(header []byte, at int, value uint16) {
	words := header[at&^1 : (at+3)&^1]
	old := slices.Clone(words)
	binary.BigEndian.PutUint16(header[at:], value)
	update(header[16:], old, words)
}
