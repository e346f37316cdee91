// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// batch is how many elements of an array map are copied in one call. Linux copies so those of arrays since 5.6, those
// of per-CPU arrays since 5.13.
const batch = 1024

// dear is what a call for one element costs: that of copying five or six, and some more are memory that nobody asked for.
const dear = 4

// readArray reads a whole array map.
func readArray[V any](m *ebpf.Map) ([]V, error) {
	out := make([]V, m.MaxEntries())
	err := eachElement(m, m.MaxEntries(), func(index uint32, values []V) bool {
		out[index] = values[0]
		return true
	})
	return out, err
}

// readSome reads these elements of an array map, in this order.
func readSome[V any](m *ebpf.Map, indexes []uint32) ([]V, error) {
	out := make([]V, len(indexes))
	return out, someElements(m, indexes, func(i int, values []V) { out[i] = values[0] })
}

// readFirst reads the first elements of an array map.
func readFirst[V any](m *ebpf.Map, n uint32) ([]V, error) {
	out := make([]V, n)
	return out, eachElement(m, n, func(index uint32, values []V) bool {
		out[index] = values[0]
		return true
	})
}

// putFirst writes the first elements of an array map.
func putFirst[V any](m *ebpf.Map, values []V) error {
	keys := make([]uint32, len(values))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := m.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("write %s: %w", m, err)
	}
	return nil
}

// someElements calls visit for each of these elements, which differ, with the place of its index among them. Where they
// lie close together, all up to the last one are read.
func someElements[V any](m *ebpf.Map, indexes []uint32, visit func(i int, values []V)) error {
	if len(indexes) == 0 {
		return nil
	}
	end := slices.Max(indexes) + 1
	if int(end) > dear*len(indexes) {
		return eachByItself(m, indexes, visit)
	}
	places := make([]int, end) // counted from 1
	for i, index := range indexes {
		places[index] = i + 1
	}
	return eachElement(m, end, func(index uint32, values []V) bool {
		if place := places[index]; place > 0 {
			visit(place-1, values)
		}
		return true
	})
}

func eachByItself[V any](m *ebpf.Map, indexes []uint32, visit func(i int, values []V)) error {
	n, err := perElement(m)
	if err != nil {
		return err
	}
	values := make([]V, n)
	var out any = &values[0]
	if isPerCPU(m) {
		out = &values
	}
	for i, index := range indexes {
		if err := m.Lookup(index, out); err != nil {
			return fmt.Errorf("element %d: %w", index, err)
		}
		visit(i, values)
	}
	return nil
}

// eachElement calls yield for the first elements of an array map, those below end, until it returns false. The values
// are gone when it returns.
func eachElement[V any](m *ebpf.Map, end uint32, yield func(index uint32, values []V) bool) error {
	n, err := perElement(m)
	if err != nil {
		return err
	}
	size := min(end, batch)
	keys, values := make([]uint32, size), make([]V, int(size)*n)
	var cursor ebpf.MapBatchCursor
	for next := uint32(0); next < end; {
		got, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i, key := range keys[:got] {
			if key < end && !yield(key, values[i*n:(i+1)*n]) {
				return nil
			}
		}
		if err != nil {
			return nil
		}
		next += uint32(got)
	}
	return nil
}

// perElement is how many values an element has: one for each CPU, or one.
func perElement(m *ebpf.Map) (int, error) {
	if !isPerCPU(m) {
		return 1, nil
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("number of CPUs: %w", err)
	}
	return cpus, nil
}

func isPerCPU(m *ebpf.Map) bool { return m.Type() == ebpf.PerCPUArray }
