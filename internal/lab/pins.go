// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// PinnedEntries counts what is in a map of the director's daemon. The map is the one whose pin has
// this name, or begins with it and _.
func (d *Director) PinnedEntries(name string) (int, error) {
	at := filepath.Join(d.BPFFS, "maps", name)
	pins, err := filepath.Glob(at + "_*")
	if err != nil || len(pins) != 1 {
		pins = []string{at}
	}
	m, err := ebpf.LoadPinnedMap(pins[0], &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return 0, fmt.Errorf("%s: map %s: %w", d.Name, name, err)
	}
	defer m.Close()
	n := 0
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	each := m.Iterate()
	for each.Next(&key, &value) {
		n++
	}
	return n, each.Err()
}

// MapMemory is what all maps of the director's daemon take of the kernel's memory, in bytes.
func (d *Director) MapMemory() (int, error) {
	n, err := MapMemory(filepath.Join(d.BPFFS, "maps"))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.Name, err)
	}
	return n, nil
}

// MapMemory is what all maps that are pinned in a directory take of the kernel's memory, in bytes.
func MapMemory(dir string) (sum int, err error) {
	pins, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return 0, err
	}
	if len(pins) == 0 {
		return 0, fmt.Errorf("%s: no maps are pinned", dir)
	}
	for _, pin := range pins {
		n, err := mapMemory(pin)
		if err != nil {
			return 0, fmt.Errorf("map %s: %w", filepath.Base(pin), err)
		}
		sum += n
	}
	return sum, nil
}

func mapMemory(pin string) (int, error) {
	m, err := ebpf.LoadPinnedMap(pin, &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	bytes, known := info.Memlock()
	if !known && m.Type() == ebpf.LPMTrie {
		return 0, nil // it is empty, and the kernel names no size of what has none
	}
	if !known {
		return 0, errors.New("the kernel does not say how large it is")
	}
	return int(bytes), nil
}
