// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// inUse is what others than Apply are told of a service: the tables, since an inner map is opened with CAP_SYS_ADMIN
// only, and where its servers are, since to find that out takes reading all there is. What they are told is not changed
// any more.
type inUse struct {
	service model.ServiceKey
	slots   []pathSlot
	servers []placed // by id; some may be gone
}

// placed is a server of a service, and its place in the maps.
type placed struct {
	id  uint32
	key model.ServerKey
}

func (d *Dataplane) tell(service model.ServiceKey, entry *serviceEntry) {
	use := inUse{service: service, slots: entry.slots}
	for key, server := range entry.servers {
		use.servers = append(use.servers, placed{server.id, key})
	}
	slices.SortFunc(use.servers, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
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

// serversInUse are those of all services.
func (d *Dataplane) serversInUse() (ids []uint32, servers []model.ServiceServer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, use := range d.inUse {
		for _, server := range use.servers {
			ids, servers = append(ids, server.id), append(servers, model.ServiceServer{Service: use.service, Server: server.key})
		}
	}
	return ids, servers
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
