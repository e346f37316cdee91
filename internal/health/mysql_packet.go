// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// mysqlPacket is what is left of a packet. Who takes more than there is gets less.
type mysqlPacket []byte

func (p *mysqlPacket) take(n int) []byte {
	n = min(n, len(*p))
	out := (*p)[:n]
	*p = (*p)[n:]
	return out
}

func (p *mysqlPacket) byte() (byte, bool) {
	out := p.take(1)
	if len(out) == 0 {
		return 0, false
	}
	return out[0], true
}

// number is of so many bytes, the lowest first.
func (p *mysqlPacket) number(size int) uint32 {
	var out [4]byte
	copy(out[:size], p.take(size))
	return binary.LittleEndian.Uint32(out[:])
}

// word goes as far as a NUL, or the end.
func (p *mysqlPacket) word() string {
	before, after, _ := bytes.Cut(*p, []byte{0})
	*p = after
	return string(before)
}

// length is one as Protocol::LengthEncodedInteger has it. None is longer than three bytes here.
func (p *mysqlPacket) length() (int, bool) {
	first, ok := p.byte()
	switch {
	case !ok || first > 0xfd || first == mysqlFile:
		return 0, false
	case first < mysqlFile:
		return int(first), true
	}
	size := int(first) - 0xfa // 0xfc: two bytes, 0xfd: three
	if len(*p) < size {
		return 0, false
	}
	return int(p.number(size)), true
}

// fault is an ERR_Packet: a number, perhaps an SQL state, and text.
func (p mysqlPacket) fault() error {
	const state = 6 // bytes
	p.take(1 + 2)
	if len(p) >= state && p[0] == '#' {
		p.take(state)
	}
	return fmt.Errorf("mysql: %s", shown(string(p)))
}
