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

// layouts are the types that lie in maps that are kept forever. The kernel compares sizes only: two
// fields that changed places would pass, so names and offsets of all fields go into the hash.
var layouts = []any{
	pathBucket{}, pathConn{}, pathReverse{}, pathServiceKey{}, pathRangeKey{}, pathTemplate{}, pathService{}, pathServer{}, pathSlot{}, pathSlotBlock{}, pathInterface{},
	pathLoad{}, pathCounters{}, pathVlanKey{}, pathTimeouts{},
}

// layoutHash stands for the layout of all maps of a program that outlive its version.
func layoutHash(spec *ebpf.CollectionSpec) [sha256.Size]byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		if keepOf(name) == forever {
			hashMap(h, name, spec.Maps[name])
		}
	}
	for _, v := range layouts {
		hashType(h, reflect.TypeOf(v))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// layoutName is the pin of a map that another version may lay out otherwise: each has its own, and
// after a way back finds what it left.
func layoutName(name string, m *ebpf.MapSpec) string {
	h := sha256.New()
	hashMap(h, name, m)
	switch name {
	case "verdicts":
		for v := range pathVerdictVERDICTS {
			fmt.Fprintln(h, verdictTexts[v].name) // its place is its index
		}
	case "signs":
		hashType(h, reflect.TypeOf(pathSign{}))
	case "nearest":
		hashType(h, reflect.TypeOf(pathNearKey{}))
		hashType(h, reflect.TypeOf(pathNear{}))
	case "near_sets":
		hashType(h, reflect.TypeOf(pathNearKey{}))
		hashType(h, reflect.TypeOf(pathNearSet{}))
	case "questions":
		hashType(h, reflect.TypeOf(pathFlow{}))
		hashType(h, reflect.TypeOf(pathQuestion{}))
	case "directors":
		hashType(h, reflect.TypeOf(pathDirectorKey{}))
	case "fragments":
		hashType(h, reflect.TypeOf(pathFragmentKey{}))
		hashType(h, reflect.TypeOf(pathFragment{}))
	}
	return fmt.Sprintf("%s_%x", name, h.Sum(nil))[:len(name)+1+layoutDigits]
}

// layoutDigits: the kernel knows 15 bytes of a map's name.
const layoutDigits = 5

func hashMap(h hash.Hash, name string, m *ebpf.MapSpec) {
	fmt.Fprintf(h, "%s %s %d %d %d %d\n", name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
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
