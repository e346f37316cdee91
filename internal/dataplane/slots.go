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

// slotSwitch is the switch to other tables of slots.
type slotSwitch struct {
	heads, slots []pathSlot
	inner        *ebpf.Map // nil: those in use are the same
}

// makeSlots makes tables of slots, if they differ from those in use.
func (d *Dataplane) makeSlots(entry *serviceEntry, want model.ServiceWant) (slotSwitch, error) {
	heads := makeHeads(entry, want)
	if slices.Equal(heads, entry.heads) {
		return slotSwitch{heads: entry.heads, slots: entry.slots}, nil
	}
	slots := whole(append(slices.Clone(heads), makeHash(entry, want)...))
	if len(entry.slots) > 0 {
		slots[0].Generation = entry.slots[0].Generation
	}
	if slices.Equal(slots, entry.slots) {
		return slotSwitch{heads: heads, slots: slots}, nil
	}
	// Never used before, also where the tables in use could not be read: no position fits by chance.
	generation, err := d.about.nextGeneration()
	if err != nil {
		return slotSwitch{}, err
	}
	slots[0].Generation = generation
	inner, err := d.newSlots(slots)
	return slotSwitch{heads, slots, inner}, err
}

// switchSlots switches to new tables with one write.
func (d *Dataplane) switchSlots(service uint32, s slotSwitch) error {
	defer s.inner.Close()
	if err := d.path.Slots.Put(service, s.inner); err != nil {
		return fmt.Errorf("slots: %w", err)
	}
	return nil
}

// makeHeads is all but the last of the tables, in the form of bpf/slots.h: a head, the servers that
// schedulers walk, another head, the buckets of a scheduler that has them. The consistent hash behind
// them follows from all this and costs more to make.
func makeHeads(entry *serviceEntry, want model.ServiceWant) []pathSlot {
	table := sched.Make(want.Scheduler, want.Servers)
	slots := []pathSlot{{Server: uint32(len(table.Slots)), Weight: table.Top, Divisor: table.Divisor}}
	for _, s := range table.Slots {
		slot := entry.slotOf(want.Servers[s.Server])
		slot.Weight = s.Weight
		slots = append(slots, slot)
	}
	slots = append(slots, pathSlot{Server: uint32(sched.HashSize(want.Scheduler, want.Servers)), Weight: uint32(len(table.Buckets))})
	for _, server := range table.Buckets {
		slot := entry.slotOf(want.Servers[server])
		slot.Weight = uint32(want.Servers[server].Weight)
		slots = append(slots, slot)
	}
	return slots
}

// makeHash is the consistent hash.
func makeHash(entry *serviceEntry, want model.ServiceWant) []pathSlot {
	var slots []pathSlot
	for _, server := range sched.MakeHash(want.Scheduler, want.Servers) {
		slot := entry.slotOf(want.Servers[server])
		slot.Weight = 1 // it takes connections, but for its thresholds
		slots = append(slots, slot)
	}
	return slots
}

func (e *serviceEntry) slotOf(want model.ServerWant) pathSlot {
	server := e.servers[want.Key]
	return pathSlot{Server: server.id, Generation: server.value.Generation}
}

// slotsTogether is how many slots an element of the map has.
const slotsTogether = int(pathLimitSLOTS_TOGETHER)

// whole fills the last element up.
func whole(slots []pathSlot) []pathSlot {
	for len(slots)%slotsTogether != 0 {
		slots = append(slots, pathSlot{})
	}
	return slots
}

func inBlocks(slots []pathSlot) []pathSlotBlock {
	blocks := make([]pathSlotBlock, len(slots)/slotsTogether)
	for i := range blocks {
		copy(blocks[i].Slot[:], slots[i*slotsTogether:])
	}
	return blocks
}

func (d *Dataplane) newSlots(slots []pathSlot) (*ebpf.Map, error) {
	blocks := inBlocks(slots)
	spec := d.inner.Copy()
	spec.MaxEntries = uint32(len(blocks))
	inner, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("slots: %w", err)
	}
	keys := make([]uint32, len(blocks))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := inner.BatchUpdate(keys, blocks, nil); err != nil {
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
