// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"crypto/sha256"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
)

// sumOf is the layout of one type.
func sumOf(v any) [sha256.Size]byte {
	h := sha256.New()
	hashType(h, reflect.TypeOf(v))
	return [sha256.Size]byte(h.Sum(nil))
}

type (
	end        struct{ Port, Spare uint16 }
	swappedEnd struct{ Spare, Port uint16 }
)

func TestLayoutHashKnowsEveryField(t *testing.T) {
	hashes := map[[sha256.Size]byte]string{}
	for name, v := range map[string]any{
		"as it was":             struct{ Server, Service uint32 }{},
		"two fields swapped":    struct{ Service, Server uint32 }{},
		"another type":          struct{ Server, Service int32 }{},
		"a hole":                struct{ Server, _, Service uint32 }{},
		"nested":                struct{ End end }{},
		"nested fields swapped": struct{ End swappedEnd }{},
	} {
		if other, ok := hashes[sumOf(v)]; ok {
			t.Errorf("%q has the hash of %q", name, other)
		}
		hashes[sumOf(v)] = name
	}
}

func TestLayoutHashKnowsEveryPinnedMap(t *testing.T) {
	load := func() *ebpf.CollectionSpec {
		spec, err := loadPath()
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
	was := layoutHash(load())
	for name, c := range map[string]struct {
		change  func(map[string]*ebpf.MapSpec)
		another bool
	}{
		"nothing":     {func(map[string]*ebpf.MapSpec) {}, false},
		"not pinned":  {func(m map[string]*ebpf.MapSpec) { m[".rodata"].ValueSize++ }, false},
		"value size":  {func(m map[string]*ebpf.MapSpec) { m["conns"].ValueSize++ }, true},
		"type":        {func(m map[string]*ebpf.MapSpec) { m["conns"].Type = ebpf.LRUHash }, true},
		"entries":     {func(m map[string]*ebpf.MapSpec) { m["servers"].MaxEntries++ }, true},
		"counted":     {func(m map[string]*ebpf.MapSpec) { m["verdicts"].MaxEntries++ }, false},
		"one more":    {func(m map[string]*ebpf.MapSpec) { m["more"] = &ebpf.MapSpec{Name: "more", Type: ebpf.Hash} }, true},
		"one is gone": {func(m map[string]*ebpf.MapSpec) { delete(m, "vips") }, true},
	} {
		spec := load()
		c.change(spec.Maps)
		if another := layoutHash(spec) != was; another != c.another {
			t.Errorf("%s: another hash is %t, want %t", name, another, c.another)
		}
	}
}

func TestAMapOfAnotherLayoutHasAPinOfItsOwn(t *testing.T) {
	spec, err := loadPath()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"verdicts", "fragments"} {
		m := spec.Maps[name]
		was := layoutName(name, m)
		if len(was) > 15 || was != layoutName(name, m) {
			t.Errorf("%s is pinned as %q", name, was)
		}
		m.MaxEntries++
		if is := layoutName(name, m); is == was {
			t.Errorf("%s with more entries is pinned as %q still", name, is)
		}
	}
}
