// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-lb/weir/internal/model"
)

// ErrFull means that a map has no room for another service or server.
var ErrFull = errors.New("no room")

// Apply makes the maps and the attached programs equal to want. It may be called again with the
// same want at any time, and writes only what differs. One service's trouble does not keep the
// others from being served.
//
// Order of writes: what is pointed at before what points at it, the reverse on removal. The tables
// are complete before a program is attached.
func (d *Dataplane) Apply(ctx context.Context, want model.DataplaneWant) error {
	services := d.applyServices(ctx, want.Services, want.Own)
	if services != nil {
		d.tables = nil // what was remembered of the maps may be wrong: read it again next time
	}
	d.syncer.wake()
	return errors.Join(services, d.applyLeases(want.Leased), d.applyDetours(want.Detours), d.applyInterfaces(want.Interfaces))
}

func (d *Dataplane) applyServices(ctx context.Context, wants []model.ServiceWant, own []model.Addr) error {
	defer d.applied.Add(1)
	if d.tables == nil {
		t, err := d.readTables()
		if err != nil {
			return err
		}
		d.tables = t
	}
	wants = d.tables.withoutStrangers(wants)
	errs := []error{d.applyDirectors(wants)} // of servers that are known, before a way to them is
	for together := range slices.Chunk(wants, servicesTogether) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, d.putServices(together))
	}
	errs = append(errs, d.removeServices(wants), d.removeKeys(wants), d.applyAddresses(wants, own), d.applyDirectors(wants), d.settleFree())
	return errors.Join(errs...)
}

// servicesTogether is how many services are written together: so many threads wait for the kernel at most.
const servicesTogether = 64

// change is a service that is being written.
type change struct {
	want  model.ServiceWant
	entry *serviceEntry
	table slotSwitch
	err   error
}

// putServices writes how long connections live, and by what clients are known again, then servers, then the table that names them, then the
// service. Then no new connection goes to the servers that leave: they are told so, and those that nobody
// names any more are taken away.
//
// With each switch to another table the kernel waits, until no program looks at the one before any more: once for all
// that are switched at the same time. A thousand services one after the other would take half a minute.
func (d *Dataplane) putServices(wants []model.ServiceWant) error {
	changes := make([]change, len(wants))
	var switches sync.WaitGroup
	for i, want := range wants {
		c := &changes[i]
		c.want = want
		if c.err = d.beginService(c); c.err == nil && c.table.inner != nil {
			switches.Go(func() { c.err = d.switchSlots(c.entry.value.Id, c.table) })
		}
	}
	switches.Wait()
	var errs []error
	for _, c := range changes {
		if c.err == nil {
			c.err = d.endService(c)
		}
		if c.err != nil {
			errs = append(errs, fmt.Errorf("service %s: %w", c.want.Key, c.err))
		}
	}
	return errors.Join(errs...)
}

// beginService is what comes before the switch to its table.
func (d *Dataplane) beginService(c *change) (err error) {
	if c.entry, err = d.serviceEntry(c.want.Key); err != nil {
		return err
	}
	if err := d.putServiceTimeouts(c.entry, c.want); err != nil {
		return err
	}
	template := c.template()
	if err := d.putTemplate(c.entry, template, template.Generation != 0); err != nil {
		return err
	}
	if err := d.putServers(c.entry, c.want, func(w model.ServerWant) bool { return !isLeaving(w) }); err != nil {
		return err
	}
	c.table, err = d.makeSlots(c.entry, c.want)
	return err
}

// endService is what comes behind it.
func (d *Dataplane) endService(c change) error {
	c.entry.heads, c.entry.slots = c.table.heads, c.table.slots
	d.tell(c.want.Key, c.entry)
	if err := d.putServiceValue(c.entry, c.want); err != nil {
		return err
	}
	if err := d.putTemplate(c.entry, c.template(), true); err != nil {
		return err
	}
	if err := d.putServers(c.entry, c.want, isLeaving); err != nil {
		return err
	}
	return d.removeServers(c.entry, c.want.Servers)
}

func (c *change) template() pathTemplate { return toTemplate(c.want, c.entry.value.Generation) }

func isLeaving(w model.ServerWant) bool { return w.Leaving != 0 }

// putServers writes those of the servers that are meant.
func (d *Dataplane) putServers(entry *serviceEntry, want model.ServiceWant, meant func(model.ServerWant) bool) error {
	for _, server := range want.Servers {
		if !meant(server) {
			continue
		}
		if err := d.putServer(entry, server, want); err != nil {
			return fmt.Errorf("server %s: %w", server.Key, err)
		}
	}
	return nil
}

// serviceEntry finds the service's place, or gives it one.
func (d *Dataplane) serviceEntry(key model.ServiceKey) (*serviceEntry, error) {
	if entry := d.tables.services[key]; entry != nil {
		return entry, nil
	}
	id, ok := d.tables.serviceIDs.take()
	if !ok {
		return nil, fmt.Errorf("%w: %d services are the most", ErrFull, maxServices)
	}
	generation, err := d.about.nextGeneration()
	if err != nil {
		return nil, err
	}
	if err := d.path.Positions.Put(id, uint64(0)); err != nil {
		return nil, fmt.Errorf("clear its position: %w", err)
	}
	if err := d.putCounts(id, Counts{}); err != nil {
		return nil, err
	}
	entry := &serviceEntry{servers: map[model.ServerKey]*serverEntry{}}
	entry.value = pathService{Id: id, Generation: generation}
	d.tables.services[key] = entry
	return entry, nil
}

func (d *Dataplane) putServiceValue(entry *serviceEntry, want model.ServiceWant) error {
	value := entry.value
	value.Scheduler = uint8(toScheduler[want.Scheduler])
	value.Flags, value.HalfOpen = serviceFlags(want), uint32(want.HalfOpen)
	value.First, value.Last = toServiceKey(want.Key), toPort(want.Key.Last)
	if err := d.putKeys(want.Keys(), value); err != nil {
		return err
	}
	entry.value = value
	return nil
}

// putTemplate: that there are none any more is said when the service is no more persistent.
func (d *Dataplane) putTemplate(entry *serviceEntry, value pathTemplate, due bool) error {
	if value == entry.template || !due {
		return nil
	}
	if err := d.path.Templates.Put(entry.value.Id, &value); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	entry.template = value
	return nil
}

func (d *Dataplane) putServer(service *serviceEntry, want model.ServerWant, of model.ServiceWant) error {
	entry := service.servers[want.Key]
	if entry == nil {
		fresh, err := d.newServer(service)
		if err != nil {
			return err
		}
		entry = fresh
	}
	value := toServer(want, of)
	value.Generation = entry.value.Generation
	value.Service = service.value.Id
	value.ServiceGeneration = service.value.Generation
	if value == entry.value {
		return nil
	}
	if err := d.putRecord(&d.tables.records, entry.id, value); err != nil {
		return err
	}
	entry.value = value
	service.servers[want.Key] = entry
	return nil
}

// newServer is a place with clean counts; connections of whoever had it before know another generation.
func (d *Dataplane) newServer(service *serviceEntry) (*serverEntry, error) {
	id, ok := d.tables.serverIDs.take()
	if !ok {
		return nil, fmt.Errorf("%w: %d servers of all services are the most", ErrFull, maxServers)
	}
	generation, err := d.about.nextGeneration()
	if err != nil {
		return nil, err
	}
	if err := d.settle(id); err != nil {
		return nil, err
	}
	delete(d.tables.freed, id)
	if err := d.clearServerCounters(id); err != nil {
		return nil, err
	}
	return &serverEntry{id: id, value: pathServer{Generation: generation}}, nil
}

func (d *Dataplane) removeServers(entry *serviceEntry, wants []model.ServerWant) error {
	wanted := map[model.ServerKey]bool{}
	for _, want := range wants {
		wanted[want.Key] = true
	}
	for key, server := range entry.servers {
		if wanted[key] {
			continue
		}
		if err := d.putRecord(&d.tables.records, server.id, freePlace(server.value)); err != nil {
			return fmt.Errorf("remove server %s: %w", key, err)
		}
		d.tables.serverIDs.free(server.id)
		d.tables.freed[server.id] = true
		delete(entry.servers, key)
	}
	return nil
}

// freePlace is what is still told of a server that is gone: to which address its last connections went,
// and whose its counts are.
func freePlace(s pathServer) pathServer {
	return pathServer{
		Was: s.Generation, Address: s.Address, Port: s.Port, Forwarding: s.Forwarding,
		Service: s.Service, ServiceGeneration: s.ServiceGeneration,
	}
}

// removeServices takes away the services that are not wanted, when those that are have taken over their keys:
// first the service, so that nothing new begins, then its table, then its servers.
func (d *Dataplane) removeServices(wants []model.ServiceWant) error {
	wanted := map[model.ServiceKey]bool{}
	for _, want := range wants {
		wanted[want.Key] = true
	}
	var errs []error
	for key, entry := range d.tables.services {
		if wanted[key] {
			continue
		}
		if err := d.removeService(key, entry); err != nil {
			errs = append(errs, fmt.Errorf("remove service %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Dataplane) removeService(key model.ServiceKey, entry *serviceEntry) error {
	if err := d.removeKeysOf(entry.value); err != nil {
		return err
	}
	if err := ignoreMissing(d.path.Slots.Delete(entry.value.Id)); err != nil {
		return err
	}
	if err := d.removeServers(entry, nil); err != nil {
		return err
	}
	d.untell(entry)
	d.tables.serviceIDs.free(entry.value.Id)
	delete(d.tables.services, key)
	return nil
}

// applyAddresses tells the path which addresses are services', which are NAT servers', and which a service
// of any destination leaves alone: the latter first, since by its address such a service begins.
func (d *Dataplane) applyAddresses(wants []model.ServiceWant, own []model.Addr) error {
	if err := applyAddresses(d.path.Hosts, d.tables.hosts, hosts(wants, own)); err != nil {
		return fmt.Errorf("host %w", err)
	}
	if err := applyAddresses(d.path.Vips, d.tables.vips, countVIPs(wants)); err != nil {
		return fmt.Errorf("vip %w", err)
	}
	if err := applyAddresses(d.path.NatServers, d.tables.natServers, countNATServers(wants)); err != nil {
		return fmt.Errorf("nat server %w", err)
	}
	return nil
}
