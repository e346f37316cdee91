// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// Tables are those by which a director picks servers, one of each service. A change of a service's pool is
// another table in its place, so who looks often enough sees each change.
type Tables struct {
	outer  *ebpf.Map
	places []uint32 // of the services that there were when it was opened
}

// Tables opens them. Whoever gets it closes it.
func (d *Director) Tables() (*Tables, error) {
	pins, err := filepath.Glob(filepath.Join(d.BPFFS, "maps", "slots*"))
	if err != nil || len(pins) != 1 {
		return nil, fmt.Errorf("%s: tables of slots: %d are pinned: %w", d.Name, len(pins), err)
	}
	t := &Tables{}
	if t.outer, err = ebpf.LoadPinnedMap(pins[0], &ebpf.LoadPinOptions{ReadOnly: true}); err != nil {
		return nil, fmt.Errorf("%s: tables of slots: %w", d.Name, err)
	}
	for place := range t.outer.MaxEntries() {
		var id uint32
		if t.outer.Lookup(place, &id) == nil {
			t.places = append(t.places, place)
		}
	}
	return t, nil
}

// Now says which tables there are, by numbers that the kernel gives out.
func (t *Tables) Now() ([]uint32, error) {
	now := make([]uint32, len(t.places))
	for i, place := range t.places {
		if err := t.outer.Lookup(place, &now[i]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("table of slots %d: %w", place, err)
		}
	}
	return now, nil
}

func (t *Tables) Close() error { return t.outer.Close() }
