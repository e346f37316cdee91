// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"slices"
)

// inUse is what Explain is told of a service: the tables, since an inner map is opened with CAP_SYS_ADMIN
// only, and the servers, since there are many of others. What it is told is not changed any more.
type inUse struct {
	slots   []pathSlot
	servers []uint32 // by id; some may be gone
}

func (d *Dataplane) tell(entry *serviceEntry) {
	use := inUse{slots: entry.slots}
	for _, server := range entry.servers {
		use.servers = append(use.servers, server.id)
	}
	slices.Sort(use.servers)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inUse[entry.id()] = use
}

func (d *Dataplane) untell(entry *serviceEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.inUse, entry.id())
}

func (d *Dataplane) told(service pathService) (inUse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	use, found := d.inUse[serviceID{service.Id, service.Generation}]
	if !found {
		return use, ErrChanging
	}
	return use, nil
}

func (e *serviceEntry) id() serviceID { return serviceID{e.value.Id, e.value.Generation} }

// readServer reads the record of one place; the zero record is that of a place no server ever had.
func (d *Dataplane) readServer(id uint32) (server pathServer, err error) {
	var record uint64
	if err := d.path.Servers.Lookup(id, &record); err != nil {
		return server, fmt.Errorf("read server %d: %w", id, err)
	}
	if err := d.path.Records.Lookup(uint32(record), &server); err != nil {
		return server, fmt.Errorf("read record %d of server %d: %w", record, id, err)
	}
	return server, nil
}
