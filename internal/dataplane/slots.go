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

// putSlots switches to new tables of slots with one write, if they differ from those in use.
func (d *Dataplane) putSlots(entry *serviceEntry, want model.ServiceWant) error {
	heads := makeHeads(entry, want.Servers)
	if slices.Equal(heads, entry.heads) {
		return nil
	}
	slots := append(slices.Clone(heads), makeHash(entry, want.Servers)...)
	if len(entry.slots) > 0 {
		slots[0].Generation = entry.slots[0].Generation
	}
	if !slices.Equal(slots, entry.slots) {
		if err := d.switchSlots(entry, slots); err != nil {
			return err
		}
	}
	entry.heads = heads
	return nil
}

func (d *Dataplane) switchSlots(entry *serviceEntry, slots []pathSlot) error {
	// Never used before, also where the tables in use could not be read: no position fits by chance.
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

// makeHeads is the first table in the form that bpf/sched.h walks, a head, then the servers; and the head
// of the second one, which follows from all this and costs more to make.
func makeHeads(entry *serviceEntry, wants []model.ServerWant) []pathSlot {
	table := sched.Make(wants)
	slots := []pathSlot{{Server: uint32(len(table.Slots)), Weight: table.Top, Divisor: table.Divisor}}
	for _, s := range table.Slots {
		slot := entry.slotOf(wants[s.Server])
		slot.Weight = s.Weight
		slots = append(slots, slot)
	}
	return append(slots, pathSlot{Server: uint32(sched.HashSize(wants))})
}

// makeHash is the second table, without its head.
func makeHash(entry *serviceEntry, wants []model.ServerWant) []pathSlot {
	var slots []pathSlot
	for _, server := range sched.MakeHash(wants) {
		slots = append(slots, entry.slotOf(wants[server]))
	}
	return slots
}

func (e *serviceEntry) slotOf(want model.ServerWant) pathSlot {
	server := e.servers[want.Key]
	return pathSlot{Server: server.id, Generation: server.value.Generation}
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
