// SPDX-License-Identifier: Apache-2.0

package lab

import (
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
