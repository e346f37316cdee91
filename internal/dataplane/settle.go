// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// settle clears the counts of a place that no server has, and takes from its last service what it still
// counts as half open there (bpf/end.bpf.c).
func (d *Dataplane) settle(place uint32) error {
	if _, err := d.ender.settle.Run(&ebpf.RunOptions{Context: place}); err != nil {
		return fmt.Errorf("clear the load of place %d: %w", place, err)
	}
	return nil
}

// settleFree does so where it must be done: of servers that were just removed, or by a daemon that died
// before it came to this, or that a CPU had found before they went. Each Apply looks anew.
func (d *Dataplane) settleFree() error {
	loads, err := readArray[pathLoad](d.path.Loads)
	if err != nil {
		return fmt.Errorf("read loads: %w", err)
	}
	for id, load := range loads {
		if load.HalfOpen == 0 || d.tables.serverIDs.taken[uint32(id)] {
			continue
		}
		if err := d.settle(uint32(id)); err != nil {
			return err
		}
	}
	return nil
}
