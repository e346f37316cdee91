// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"
	"unsafe"

	"github.com/weir-lb/weir/internal/model"
)

// parseEvent reads a struct event; false: a kind that this version does not know.
func parseEvent(raw []byte) (model.Hop, bool) {
	var e pathEvent
	if len(raw) < int(unsafe.Sizeof(e)) {
		return model.Hop{}, false
	}
	e.Kind = binary.NativeEndian.Uint32(raw)
	e.Ifindex = binary.NativeEndian.Uint32(raw[4:])
	for i := range e.Address.Word {
		e.Address.Word[i] = binary.NativeEndian.Uint32(raw[8+4*i:])
	}
	if pathEventKind(e.Kind) != pathEventKindEVENT_NO_NEIGHBOUR {
		return model.Hop{}, false
	}
	return model.Hop{Link: int(e.Ifindex), Address: fromAddr(e.Address)}, true
}
