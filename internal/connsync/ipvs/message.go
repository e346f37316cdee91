// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"encoding/binary"
	"net/netip"
)

// message is a datagram of version 1, as ip_vs_sync.c draws it:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       0       |    Sync id    |             Size              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Count of entr. |    Version    |               0               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Entries, each from a multiple of 4 bytes on               |
type message struct {
	syncID  uint8
	entries []entry
}

// entry is a connection, or a template:
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| 0: v4, 1: v6  |   Protocol    |   0   |         Size          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                             Flags                             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             State             |         Client's port         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Virtual port          |         Server's port         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Firewall mark                         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 Timeout of its state, seconds                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Addresses of client, service and server, then options       |
type entry struct {
	protocol uint8
	flags    flags
	state    uint16
	client   netip.AddrPort
	virtual  netip.AddrPort
	server   netip.AddrPort
	mark     uint32
	timeout  uint32 // 0: that of its state, as the reader has it
	options  []option
}

// option is what an entry may have besides. Its data is the message's own.
type option struct {
	kind uint8
	data []byte
}

// flags are IP_VS_CONN_F_*.
type flags uint32

const (
	flagsForwarding   flags = 0x0007
	flagSync          flags = 0x0020 // its sender has it from another director
	flagNoOutput      flags = 0x0080 // the server's packets do not come by
	flagInactive      flags = 0x0100
	flagsSequence     flags = 0x0600
	flagNoClientPort  flags = 0x0800
	flagTemplate      flags = 0x1000
	flagNFCT          flags = 0x10000 // its sender has it in nf_conntrack, too
	forwardMasquerade flags = 0
	forwardTunnel     flags = 2
	forwardRoute      flags = 3
	flagsKnown              = flagsForwarding | flagSync | flagNoOutput | flagInactive | flagsSequence | flagNoClientPort | flagTemplate | flagNFCT
)

// The kinds of options (IPVS_OPT_*), and what they hold.
const (
	optionSequence = 1
	optionEngine   = 2    // data of a persistence engine
	optionName     = 3    // of the engine
	optional       = 0x40 // with any of them: who does not know it may go on

	sequenceLength = 24
	mostName       = 16
)

const (
	version1   = 1
	headLength = 8
	align      = 4  // bytes
	fixed      = 24 // bytes of an entry before its addresses
	size4      = fixed + 3*4
	size6      = fixed + 3*16
	sizeMask   = 0xfff
	sizeBits   = 12
	mostCount  = 255
)

// parse reads a message, or says why there is none. All of it is sound, or nothing is taken of it.
func parse(b []byte) (message, Reason) {
	switch {
	case len(b) < headLength0 || int(binary.BigEndian.Uint16(b[2:])) != len(b):
		return message{}, ReasonLength
	case b[0] != 0:
		return parse0(b)
	case len(b) < headLength:
		return message{}, ReasonLength
	case b[5] != version1 || b[6] != 0 || b[7] != 0:
		return message{}, ReasonVersion
	}
	m := message{syncID: b[1]}
	rest, why := b[headLength:], Taken
	for range b[4] {
		if rest, why = m.next(rest); why != Taken {
			return message{}, why
		}
	}
	if len(rest) > 0 {
		return message{}, ReasonCount
	}
	return m, Taken
}

// next reads an entry, and says what is left behind it.
func (m *message) next(b []byte) (rest []byte, why Reason) {
	if n := len(m.entries); n > 0 {
		if b, why = skipPadding(b, m.entries[n-1].padding()); why != Taken {
			return nil, why
		}
	}
	if len(b) == 0 {
		return nil, ReasonCount
	}
	size, why := measure(b)
	if why != Taken {
		return nil, why
	}
	e, why := parseEntry(b[:size])
	if why != Taken {
		return nil, why
	}
	m.entries = append(m.entries, e)
	return b[size:], Taken
}

func skipPadding(b []byte, n int) ([]byte, Reason) {
	for range min(n, len(b)) {
		if b[0] != 0 {
			return nil, ReasonPadding
		}
		b = b[1:]
	}
	return b, Taken
}

// measure is the size of an entry.
func measure(b []byte) (int, Reason) {
	if len(b) < fixed {
		return 0, ReasonEntry
	}
	field, least := binary.BigEndian.Uint16(b[2:]), size4
	switch {
	case field>>sizeBits != 0:
		return 0, ReasonVersion
	case b[0] == 1:
		least = size6
	case b[0] != 0:
		return 0, ReasonType
	}
	if size := int(field & sizeMask); size >= least && size <= len(b) {
		return size, Taken
	}
	return 0, ReasonEntry
}

// parseEntry reads an entry that measure has measured.
func parseEntry(b []byte) (entry, Reason) {
	port := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	e := entry{
		protocol: b[1],
		flags:    flags(binary.BigEndian.Uint32(b[4:])),
		state:    port(8),
		mark:     binary.BigEndian.Uint32(b[16:]),
		timeout:  binary.BigEndian.Uint32(b[20:]),
	}
	size := 4
	if b[0] == 1 {
		size = 16
	}
	rest := b[fixed:]
	for i, end := range []*netip.AddrPort{&e.client, &e.virtual, &e.server} {
		address, _ := netip.AddrFromSlice(rest[:size]) // 4 or 16 bytes are one
		*end, rest = netip.AddrPortFrom(address, port(10+2*i)), rest[size:]
	}
	var why Reason
	if e.options, why = parseOptions(rest); why != Taken {
		return entry{}, why
	}
	return e, Taken
}

func parseOptions(b []byte) (out []option, why Reason) {
	var seen [optionName + 1]bool
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || len(b) < 2+int(b[1]) {
			return nil, ReasonOption
		}
		o := option{b[0], b[2 : 2+b[1]]}
		if b = b[2+b[1]:]; !o.sound() {
			return nil, ReasonOption
		}
		if kind := o.kind &^ optional; int(kind) < len(seen) {
			if seen[kind] {
				return nil, ReasonOption
			}
			seen[kind] = true
		}
		out = append(out, o)
	}
	return out, Taken
}

// sound tells whether an option has a length that its kind may have.
func (o option) sound() bool {
	switch o.kind &^ optional {
	case optionSequence:
		return len(o.data) == sequenceLength
	case optionName:
		return len(o.data) <= mostName
	}
	return true
}

// known tells whether an option can be understood, or need not be.
func (o option) known() bool {
	switch o.kind &^ optional {
	case optionSequence, optionEngine, optionName:
		return true
	}
	return o.kind&optional != 0
}

func (e entry) has(kind uint8) bool {
	for _, o := range e.options {
		if o.kind&^optional == kind {
			return true
		}
	}
	return false
}

// size is that of an entry, in bytes.
func (e entry) size() int {
	size := size4
	if e.client.Addr().Is6() {
		size = size6
	}
	for _, o := range e.options {
		size += 2 + len(o.data)
	}
	return size
}

// padding is how many bytes come behind an entry, if another one does.
func (e entry) padding() int { return -e.size() & (align - 1) }

// append puts an entry behind others.
func (e entry) append(b []byte) []byte {
	family := byte(0)
	if e.client.Addr().Is6() {
		family = 1
	}
	b = append(b, family, e.protocol)
	b = binary.BigEndian.AppendUint16(b, uint16(e.size()))
	b = binary.BigEndian.AppendUint32(b, uint32(e.flags))
	b = binary.BigEndian.AppendUint16(b, e.state)
	for _, end := range []netip.AddrPort{e.client, e.virtual, e.server} {
		b = binary.BigEndian.AppendUint16(b, end.Port())
	}
	b = binary.BigEndian.AppendUint32(b, e.mark)
	b = binary.BigEndian.AppendUint32(b, e.timeout)
	for _, end := range []netip.AddrPort{e.client, e.virtual, e.server} {
		b = append(b, end.Addr().AsSlice()...)
	}
	for _, o := range e.options {
		b = append(append(b, o.kind, byte(len(o.data))), o.data...)
	}
	return b
}
