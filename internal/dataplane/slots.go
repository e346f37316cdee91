// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// putSlots switches to a new table of slots with one write, if it differs from the one in use.
func (d *Dataplane) putSlots(entry *serviceEntry, want model.ServiceWant) error {
	slots := makeSlots(entry, want)
	if len(entry.slots) > 0 {
		slots[0].Generation = entry.slots[0].Generation
		if slices.Equal(slots, entry.slots) {
			return nil
		}
	}
	// Never used before, also where the table in use could not be read: no position fits by chance.
	generation, err := d.about.nextGeneration()
	if err != nil {
		return err
	}
	slots[0].Generation = generation
	inner, err := d.newSlots(slots)
	if err != nil {
		return err
	}
	defer inner.Close()
	if err := d.path.Slots.Put(entry.value.Id, inner); err != nil {
		return fmt.Errorf("slots: %w", err)
	}
	entry.slots = slots
	return nil
}

// makeSlots is the table in the form that bpf/sched.h walks: a head, then the servers.
func makeSlots(entry *serviceEntry, want model.ServiceWant) []pathSlot {
	table := sched.Make(want.Scheduler, want.Servers)
	slots := []pathSlot{{Server: uint32(len(table.Slots)), Weight: table.Top, Divisor: table.Divisor}}
	for _, s := range table.Slots {
		server := entry.servers[want.Servers[s.Server].Key]
		slots = append(slots, pathSlot{Server: server.id, Generation: server.value.Generation, Weight: s.Weight})
	}
	return slots
}

func (d *Dataplane) newSlots(slots []pathSlot) (*ebpf.Map, error) {
	spec := d.inner.Copy()
	spec.MaxEntries = uint32(len(slots))
	inner, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("slots: %w", err)
	}
	keys := make([]uint32, len(slots))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := inner.BatchUpdate(keys, slots, nil); err != nil {
		inner.Close()
		return nil, fmt.Errorf("slots: %w", err)
	}
	return inner, nil
}

// ignoreMissing: what shall be gone and is gone is as it should be.
func ignoreMissing(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}
