// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// How many services, and servers of all services, the maps have room for.
const (
	maxServices = uint32(pathLimitMAX_SERVICES)
	maxServers  = uint32(pathLimitMAX_SERVERS)
)

// tables is what the maps hold: read from them once, then kept beside them while writes succeed.
type tables struct {
	services   map[model.ServiceKey]*serviceEntry
	keys       keys
	vips       addressCounts
	natServers addressCounts
	hosts      addressCounts
	directors  map[pathDirectorKey]uint64
	serviceIDs ids
	serverIDs  ids
	records    records
	freed      map[uint32]bool // places whose servers were removed
	looked     bool            // at all that are free
}

type serviceEntry struct {
	value    pathService
	timeouts pathTimeouts
	template pathTemplate
	slots    []pathSlot // as they lie in the map; empty: there is no table yet
	heads    []pathSlot // of what is wanted: makeHeads
	servers  map[model.ServerKey]*serverEntry
}

type serverEntry struct {
	id    uint32
	value pathServer
}

// readTables reads everything back, as after a restart.
func (d *Dataplane) readTables() (*tables, error) {
	t := &tables{
		services:   map[model.ServiceKey]*serviceEntry{},
		serviceIDs: newIDs(maxServices),
		serverIDs:  newIDs(maxServers),
		freed:      map[uint32]bool{},
	}
	byID, err := d.readServices(t)
	if err != nil {
		return nil, fmt.Errorf("read services: %w", err)
	}
	if t.records, err = d.readRecords(); err != nil {
		return nil, fmt.Errorf("read servers: %w", err)
	}
	if err := d.readServerEntries(t, byID); err != nil {
		return nil, err
	}
	return t, d.readAddresses(t)
}

func (d *Dataplane) readServices(t *tables) (map[uint32]*serviceEntry, error) {
	byID := map[uint32]*serviceEntry{}
	timeouts, err := readArray[pathTimeouts](d.path.Timeouts)
	if err != nil {
		return nil, err
	}
	templates, err := readArray[pathTemplate](d.path.Templates)
	if err != nil {
		return nil, err
	}
	if t.keys, err = d.readKeys(); err != nil {
		return nil, err
	}
	for _, value := range t.keys.services() {
		entry := &serviceEntry{
			value: value, timeouts: timeouts[value.Id], template: templates[value.Id],
			servers: map[model.ServerKey]*serverEntry{},
		}
		t.services[firstKey(value)] = entry
		t.serviceIDs.keep(value.Id)
		byID[value.Id] = entry
	}
	return byID, d.readAllSlots(byID)
}

// readAllSlots reads several at once: before Linux 6.8 each look into a map of maps waits for a grace period of RCU.
// A map inside another one is opened with CAP_SYS_ADMIN only. Without it all tables are made anew.
func (d *Dataplane) readAllSlots(byID map[uint32]*serviceEntry) error {
	if !d.mayReadSlots(byID) {
		return nil
	}
	var group errgroup.Group
	group.SetLimit(servicesTogether)
	for id, entry := range byID {
		group.Go(func() (err error) {
			entry.slots, err = d.readSlots(id)
			return err
		})
	}
	return group.Wait()
}

// mayReadSlots tries until one is there: what holds for it holds for all.
func (d *Dataplane) mayReadSlots(byID map[uint32]*serviceEntry) bool {
	for id := range byID {
		if slots, err := d.readSlots(id); slots != nil || err != nil {
			return !errors.Is(err, unix.EPERM)
		}
	}
	return true
}

func (d *Dataplane) readSlots(id uint32) ([]pathSlot, error) {
	var inner *ebpf.Map
	err := d.path.Slots.Lookup(id, &inner)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("slots of %d: %w", id, err)
	}
	defer inner.Close()
	blocks, err := readArray[pathSlotBlock](inner)
	var slots []pathSlot
	for _, block := range blocks {
		slots = append(slots, block.Slot[:]...)
	}
	return slots, err
}

// readServerEntries finds the service of each server. One whose service is gone was being removed when
// the daemon died: it is removed now.
func (d *Dataplane) readServerEntries(t *tables, byID map[uint32]*serviceEntry) error {
	servers, err := d.readServers()
	if err != nil {
		return err
	}
	for id, value := range servers {
		if value.Generation == 0 {
			continue
		}
		service := byID[value.Service]
		if service == nil || service.value.Generation != value.ServiceGeneration {
			if err := d.putRecord(&t.records, uint32(id), freePlace(value)); err != nil {
				return err
			}
			continue
		}
		service.servers[serverKey(value)] = &serverEntry{id: uint32(id), value: value}
		t.serverIDs.keep(uint32(id))
	}
	return nil
}

func (d *Dataplane) readAddresses(t *tables) (err error) {
	if t.vips, err = readAddresses(d.path.Vips); err != nil {
		return fmt.Errorf("read vips: %w", err)
	}
	if t.natServers, err = readAddresses(d.path.NatServers); err != nil {
		return fmt.Errorf("read nat_servers: %w", err)
	}
	if t.hosts, err = readAddresses(d.path.Hosts); err != nil {
		return fmt.Errorf("read hosts: %w", err)
	}
	if t.directors, err = readMap[pathDirectorKey, uint64](d.path.Directors); err != nil {
		return fmt.Errorf("read directors: %w", err)
	}
	return nil
}
