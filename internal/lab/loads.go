// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// Loads are how many connections a director counts with its servers: what is known at any moment, at the cost of a few
// looks into a map.
type Loads struct{ counts *ebpf.Map }

// loadPlaces is how many servers are looked at, the first ones: more than a lab's services have.
const loadPlaces = 64

// Loads opens them. Whoever gets it closes it.
func (d *Director) Loads() (*Loads, error) {
	pins, err := filepath.Glob(filepath.Join(d.BPFFS, "maps", "loads*"))
	if err != nil || len(pins) != 1 {
		return nil, fmt.Errorf("%s: loads of servers: %d are pinned: %w", d.Name, len(pins), err)
	}
	counts, err := ebpf.LoadPinnedMap(pins[0], &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("%s: loads of servers: %w", d.Name, err)
	}
	return &Loads{counts}, nil
}

// Established is how many connections are by now.
func (l *Loads) Established() (sum int, err error) {
	for place := range uint32(loadPlaces) {
		var load struct{ Active, Inactive, HalfOpen, Persistent, Full uint64 } // struct load of bpf/types.h
		if err := l.counts.Lookup(place, &load); err != nil {
			return 0, fmt.Errorf("load of server %d: %w", place, err)
		}
		sum += int(load.Active)
	}
	return sum, nil
}

func (l *Loads) Close() error { return l.counts.Close() }
