// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"
	"unsafe"

	"github.com/weir-lb/weir/internal/model"
)

// Hears is who is told what the path asks for, and what it sees.
type Hears struct {
	Unresolved func(model.Hop) // a packet was dropped for want of a neighbour
	Refused    func()          // a server has refused connections
}

// tell hands an event on. One of a kind that this version does not know is nobody's.
func (h Hears) tell(raw []byte) {
	e, ok := parseEvent(raw)
	switch kind := pathEventKind(e.Kind); {
	case !ok:
	case kind == pathEventKindEVENT_NO_NEIGHBOUR:
		h.Unresolved(model.Hop{Link: int(e.Ifindex), Address: fromAddr(e.Address)})
	case kind == pathEventKindEVENT_REFUSED:
		h.Refused()
	}
}

// parseEvent reads a struct event.
func parseEvent(raw []byte) (e pathEvent, ok bool) {
	if len(raw) < int(unsafe.Sizeof(e)) {
		return e, false
	}
	e.Kind = binary.NativeEndian.Uint32(raw)
	e.Ifindex = binary.NativeEndian.Uint32(raw[4:])
	for i := range e.Address.Word {
		e.Address.Word[i] = binary.NativeEndian.Uint32(raw[8+4*i:])
	}
	return e, true
}
