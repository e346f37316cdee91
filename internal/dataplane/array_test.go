// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
)

const arraySize = 2*batch + 100

// newArray has in each element its index: on the first CPU half of it, on the last one the rest, where each has a value.
func newArray(t *testing.T, kind ebpf.MapType) *ebpf.Map {
	t.Helper()
	NeedRoot(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: 4, ValueSize: 8, MaxEntries: arraySize})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	n, err := perElement(m)
	if err != nil {
		t.Fatal(err)
	}
	for index := range uint64(arraySize) {
		values := make([]uint64, n)
		values[0] += index / 2
		values[n-1] += index - index/2
		var value any = values[0]
		if isPerCPU(m) {
			value = values
		}
		if err := m.Put(uint32(index), value); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func total(values []uint64) (sum uint32) {
	for _, v := range values {
		sum += uint32(v)
	}
	return sum
}

// TestElementsAreReadInTheOrderAskedFor: whether they lie close together or not.
func TestElementsAreReadInTheOrderAskedFor(t *testing.T) {
	var all []uint32
	for index := range uint32(arraySize) {
		all = append(all, index)
	}
	slices.Reverse(all)
	for _, kind := range []ebpf.MapType{ebpf.Array, ebpf.PerCPUArray} {
		m := newArray(t, kind)
		for name, indexes := range map[string][]uint32{
			"none": nil, "the first": {0}, "the last": {arraySize - 1}, "close together": {7, 2, 5, 0},
			"far apart": {arraySize - 1, 3, batch}, "all": all, "most": all[batch/2:],
		} {
			got := make([]uint32, len(indexes))
			if err := someElements(m, indexes, func(i int, values []uint64) { got[i] = total(values) }); err != nil {
				t.Fatalf("%s, %s: %v", kind, name, err)
			}
			if !slices.Equal(got, indexes) {
				t.Errorf("%s, %s: got %v, want %v", kind, name, got, indexes)
			}
		}
	}
}

// TestReadingAnArrayEnds: at its end, where it is asked to, and when nobody wants more.
func TestReadingAnArrayEnds(t *testing.T) {
	for _, kind := range []ebpf.MapType{ebpf.Array, ebpf.PerCPUArray} {
		m := newArray(t, kind)
		for _, end := range []uint32{0, 1, batch, batch + 1, arraySize} {
			for _, enough := range []uint32{1, batch + 1, arraySize + 1} {
				var got uint32
				err := eachElement(m, end, func(index uint32, values []uint64) bool {
					if index != got || total(values) != index {
						t.Errorf("%s: element %d has %v, want element %d", kind, index, values, got)
					}
					got++
					return got < enough
				})
				if want := min(end, enough); err != nil || got != want {
					t.Errorf("%s: %d elements up to %d, enough %d: %v, want %d", kind, got, end, enough, err, want)
				}
			}
		}
	}
}

func TestWhatIsNotInAnArrayIsAnError(t *testing.T) {
	if _, err := readSome[uint64](newArray(t, ebpf.Array), []uint32{arraySize}); err == nil {
		t.Error("an element behind the last one was read")
	}
}
