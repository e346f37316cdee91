// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/binary"
	"net/netip"
)

// Version 0 is what kernels before 2.6.39 speak, and later ones that are told to (sysctl sync_version). It is read
// only: of those that speak it who does not read version 1, too, is fifteen years old.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Count of entr. |    Sync id    |             Size              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       0       |   Protocol    |         Client's port         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Virtual port          |         Server's port         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    IPv4 addresses of client, service and server: 12 bytes     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Flags             |             State             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Sequence numbers in their host's order, if flagsSequence  |
const (
	headLength0 = 4
	size0       = 24
)

// parse0 reads a message of version 0, which begins with its count: one without entries is none of it.
func parse0(b []byte) (message, Reason) {
	m := message{syncID: b[1]}
	rest := b[headLength0:]
	for range b[0] {
		if len(rest) < size0 {
			return message{}, ReasonCount
		}
		e, why := parseEntry0(rest[:size0])
		if why != Taken {
			return message{}, why
		}
		rest = rest[size0:]
		if e.flags&flagsSequence != 0 {
			if len(rest) < sequenceLength {
				return message{}, ReasonEntry
			}
			rest = rest[sequenceLength:]
		}
		m.entries = append(m.entries, e)
	}
	if len(rest) > 0 {
		return message{}, ReasonCount
	}
	return m, Taken
}

func parseEntry0(b []byte) (entry, Reason) {
	if b[0] != 0 {
		return entry{}, ReasonType
	}
	end := func(port, address int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[address:])), binary.BigEndian.Uint16(b[port:]))
	}
	e := entry{
		protocol: b[1],
		client:   end(2, 8),
		virtual:  end(4, 12),
		server:   end(6, 16),
		flags:    flags(binary.BigEndian.Uint16(b[20:])),
		state:    binary.BigEndian.Uint16(b[22:]),
	}
	if mark, ok := markOf(e.virtual); ok && e.protocol == 0 {
		e.mark = mark
	}
	return e, Taken
}
