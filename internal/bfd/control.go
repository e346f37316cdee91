// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// control is a BFD Control packet (RFC 5880 section 4.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       My Discriminator                        |
//	|                      Your Discriminator                       |
//	|                Desired Min TX Interval, in µs                 |
//	|                Required Min RX Interval, in µs                |
//	|              Required Min Echo RX Interval, in µs             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type control struct {
	diag        diagnostic
	state       model.BFDState
	poll        bool // P: it is to be answered at once, by one with
	final       bool // F
	independent bool // C: its sender survives that its control plane ends
	demand      bool // D: its sender wants no more of them, as long as both are up
	multiplier  uint8
	mine, yours uint32
	minTx       time.Duration // its sender would send in this interval
	minRx       time.Duration // and can take packets in this one; 0: none at all
	minEcho     time.Duration // 0: its sender returns no echo
}

const (
	version      = 1
	headLength   = 24
	authLength   = 2 // the least that follows with authentication (section 4.1)
	hops         = 255
	authBit      = 1 << 2
	multipoint   = 1
	microseconds = time.Microsecond
)

// onWire is a state as a packet has it, by its index.
var onWire = [4]model.BFDState{model.BFDAdminDown, model.BFDDown, model.BFDInit, model.BFDUp}

func stateOnWire(s model.BFDState) byte {
	for code, state := range onWire {
		if state == s {
			return byte(code)
		}
	}
	return 0
}

// diagnostic is why a session came to its state (section 4.1).
type diagnostic uint8

const (
	diagNone      diagnostic = 0
	diagExpired   diagnostic = 1
	diagSignaled  diagnostic = 3
	diagPathDown  diagnostic = 5
	diagAdminDown diagnostic = 7
)

var diagnostics = [...]string{"no reason", "control detection time expired", "echo function failed", "neighbor signaled session down",
	"forwarding plane reset", "path down", "concatenated path down", "administratively down", "reverse concatenated path down"}

func (d diagnostic) String() string {
	if int(d) < len(diagnostics) {
		return diagnostics[d]
	}
	return fmt.Sprintf("diagnostic %d", uint8(d))
}

// parse reads a packet that came with a TTL or hop limit, or says why it does not count, whatever session it is for. It
// may be followed by more than it says that it is long.
func parse(b []byte, ttl int) (control, Reason) {
	switch {
	case ttl != hops:
		return control{}, ReasonTTL
	case len(b) < headLength:
		return control{}, ReasonLength
	case b[0]>>5 != version:
		return control{}, ReasonVersion
	case int(b[3]) < least(b[1]) || int(b[3]) > len(b):
		return control{}, ReasonLength
	}
	c := read(b)
	switch {
	case c.multiplier == 0:
		return control{}, ReasonMultiplier
	case b[1]&multipoint != 0:
		return control{}, ReasonMultipoint
	case c.mine == 0:
		return control{}, ReasonDiscriminator
	case c.yours == 0 && c.state != model.BFDDown && c.state != model.BFDAdminDown:
		return control{}, ReasonState
	case b[1]&authBit != 0:
		return control{}, ReasonAuth
	}
	return c, Taken
}

// least is how long a packet with these flags is at least.
func least(flags byte) int {
	if flags&authBit != 0 {
		return headLength + authLength
	}
	return headLength
}

func read(b []byte) control {
	interval := func(at int) time.Duration { return time.Duration(binary.BigEndian.Uint32(b[at:])) * microseconds }
	has := func(bit byte) bool { return b[1]&bit != 0 }
	return control{
		diag: diagnostic(b[0] & 0x1f), state: onWire[b[1]>>6],
		poll: has(1 << 5), final: has(1 << 4), independent: has(1 << 3), demand: has(1 << 1),
		multiplier: b[2], mine: binary.BigEndian.Uint32(b[4:]), yours: binary.BigEndian.Uint32(b[8:]),
		minTx: interval(12), minRx: interval(16), minEcho: interval(20),
	}
}

func (c control) bytes() []byte {
	flags := stateOnWire(c.state) << 6
	for bit, set := range map[byte]bool{1 << 5: c.poll, 1 << 4: c.final, 1 << 3: c.independent, 1 << 1: c.demand} {
		if set {
			flags |= bit
		}
	}
	b := []byte{version<<5 | byte(c.diag), flags, c.multiplier, headLength}
	b = binary.BigEndian.AppendUint32(b, c.mine)
	b = binary.BigEndian.AppendUint32(b, c.yours)
	for _, interval := range []time.Duration{c.minTx, c.minRx, c.minEcho} {
		b = binary.BigEndian.AppendUint32(b, uint32(interval/microseconds))
	}
	return b
}
