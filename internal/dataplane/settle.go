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

// manyPlaces are so many that to read them one by one takes longer than to read all that there are.
const manyPlaces = 512

// settleFree does so where it must be done: of servers that were just removed, or by a daemon that died
// before it came to this, or that a CPU had found before they went. Each Apply looks anew at all places that
// were freed, the first one at all that are free.
func (d *Dataplane) settleFree() error {
	if !d.tables.looked || len(d.tables.freed) > manyPlaces {
		return d.settleAllFree()
	}
	for id := range d.tables.freed {
		var load pathLoad
		if err := d.path.Loads.Lookup(id, &load); err != nil {
			return fmt.Errorf("read load of place %d: %w", id, err)
		}
		if err := d.settleIf(id, load); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dataplane) settleAllFree() error {
	loads, err := readArray[pathLoad](d.path.Loads)
	if err != nil {
		return fmt.Errorf("read loads: %w", err)
	}
	for id, load := range loads {
		if d.tables.serverIDs.taken[uint32(id)] {
			continue
		}
		if err := d.settleIf(uint32(id), load); err != nil {
			return err
		}
	}
	d.tables.looked = true
	return nil
}

func (d *Dataplane) settleIf(place uint32, load pathLoad) error {
	if load.HalfOpen == 0 {
		return nil
	}
	return d.settle(place)
}
