// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"reflect"
	"slices"

	"github.com/cilium/ebpf"
)

// pinFormat is the version of what lies under --bpffs and how. It goes up when code that reads
// older pins must know; a mere change of a struct is told by layoutHash.
const pinFormat = 1

// layouts are the types that lie in pinned maps. The kernel compares sizes only: two fields that
// changed places would pass, so names and offsets of all fields go into the hash.
var layouts = []any{
	pathFlow{}, pathConn{}, pathServiceKey{}, pathService{}, pathServer{}, pathSlot{}, pathInterface{},
	pathLoad{}, pathCounters{}, pathEvent{},
}

// layoutHash stands for the layout of all pinned maps of a program.
func layoutHash(spec *ebpf.CollectionSpec) [sha256.Size]byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		if m := spec.Maps[name]; pinned(m) {
			fmt.Fprintf(h, "%s %s %d %d %d %d\n", name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
		}
	}
	for v := range pathVerdictVERDICTS {
		fmt.Fprintln(h, verdictTexts[v].name) // its place is its index in a map
	}
	for _, v := range layouts {
		hashType(h, reflect.TypeOf(v))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func hashType(h hash.Hash, t reflect.Type) {
	fmt.Fprintf(h, "%s %d\n", t.Name(), t.Size())
	for i := range t.NumField() {
		f := t.Field(i)
		fmt.Fprintf(h, " %s %s %d\n", f.Name, f.Type, f.Offset)
		if f.Type.Kind() == reflect.Struct && f.Type.NumField() > 0 {
			hashType(h, f.Type)
		}
	}
}
