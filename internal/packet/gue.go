// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
)

// PortGUE is IANA's port for GUE. Parse takes what goes there for it.
const PortGUE uint16 = 6080

const (
	gueLength   = 4
	gueControl  = 1 << 5
	gueVariants = 3 << 6
	gueWords    = 0x1f
)

// GUE is a header of generic UDP encapsulation, variant 0 (draft-ietf-intarea-gue section 3.2). It
// stands behind a UDP header.
type GUE struct {
	Variant uint8    // 2 bits; Parse knows 0
	Control bool     // a control message, of type Next
	Next    Protocol // 0: that of the next layer
	Flags   uint16
	Private []byte // what the flags stand for, and private data; filled up to a multiple of 4
}

func (g GUE) header(at place) []byte {
	private := padded(g.Private, 0, 4)
	first := g.Variant<<6 | byte(len(private)/4)&gueWords
	if g.Control {
		first |= gueControl
	}
	b := []byte{first, byte(either(g.Next, protocolOf(at.inner)))}
	return append(binary.BigEndian.AppendUint16(b, g.Flags), private...)
}

func (g GUE) String() string { return fmt.Sprintf("gue flags %#04x", g.Flags) }

func parseGUE(b []byte) (part, error) {
	if len(b) < gueLength {
		return part{}, short("gue", len(b), gueLength)
	}
	size := gueLength + int(b[0]&gueWords)*4
	if b[0]&gueVariants != 0 {
		return part{}, fmt.Errorf("gue: variant %d", b[0]>>6)
	}
	if size > len(b) {
		return part{}, short("gue", len(b), size)
	}
	g := GUE{
		Control: b[0]&gueControl != 0,
		Next:    Protocol(b[1]),
		Flags:   binary.BigEndian.Uint16(b[2:]),
		Private: b[gueLength:size],
	}
	if g.Control {
		return part{g, size, len(b), nil}, nil
	}
	return part{g, size, len(b), protocolDecoder(g.Next)}, nil
}

// portDecoder knows what is behind a UDP header by its destination port.
func portDecoder(port uint16) decoder {
	if port == PortGUE {
		return parseGUE
	}
	return nil
}
