// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// directory is by what the services and servers of a record are found here, whose ids are others on each director. It
// is read from the maps when they have changed.
type directory struct {
	revision  uint64 // of the maps, as Apply counts them
	places    uint64 // another one when a record may be found elsewhere than by the directory before
	keys      keys
	hosts     addressCounts
	servers   []pathServer
	byService map[serviceID][]uint32 // ids of servers
	byClients map[pathTemplate][]serviceID
	templates []pathTemplate
	timeouts  []pathTimeouts
}

// directoryNow is that of the maps as they are; the caller has the lock.
func (d *Dataplane) directoryNow() (*directory, error) {
	revision := d.applied.Load() // before the maps: what changes meanwhile is read by the next one
	if dir := d.syncer.directory; dir != nil && dir.revision == revision {
		return dir, nil
	}
	dir, err := d.readDirectory()
	if err != nil {
		return nil, err
	}
	dir.revision = revision
	dir.follow(d.syncer.directory)
	d.syncer.directory = dir
	return dir, nil
}

// follow takes the number of the places of the one before, nil: there is none, or the next.
func (dir *directory) follow(before *directory) {
	switch {
	case before == nil:
		dir.places = 1
	case dir.finds(before):
		dir.places = before.places
	default:
		dir.places = before.places + 1
	}
}

// finds says whether each record finds the same by both. What else changes of services and servers, as that they are
// served or where the way to them leads, changes no place.
func (dir *directory) finds(other *directory) bool {
	sameService := func(a, b pathService) bool { return a.Id == b.Id && a.Generation == b.Generation }
	return maps.EqualFunc(dir.keys.single, other.keys.single, sameService) &&
		maps.EqualFunc(dir.keys.parts, other.keys.parts, sameService) &&
		maps.Equal(dir.hosts, other.hosts) &&
		slices.EqualFunc(dir.servers, other.servers, func(a, b pathServer) bool { return foundBy(a) == foundBy(b) }) &&
		slices.Equal(dir.templates, other.templates)
}

// foundBy is what of a server a record is found by.
func foundBy(s pathServer) pathServer {
	if s.Generation == 0 {
		return pathServer{} // the place is free
	}
	return pathServer{
		Generation: s.Generation, Service: s.Service, ServiceGeneration: s.ServiceGeneration,
		Address: s.Address, Port: s.Port, Forwarding: s.Forwarding,
	}
}

func (d *Dataplane) readDirectory() (*directory, error) {
	keys, err := d.readKeys()
	if err != nil {
		return nil, err
	}
	services := keys.services()
	dir := &directory{keys: keys, byService: map[serviceID][]uint32{}, byClients: map[pathTemplate][]serviceID{}}
	if dir.hosts, err = readAddresses(d.path.Hosts); err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	if dir.servers, err = d.readServers(); err != nil {
		return nil, err
	}
	if dir.timeouts, err = readArray[pathTimeouts](d.path.Timeouts); err != nil {
		return nil, fmt.Errorf("read timeouts: %w", err)
	}
	if dir.templates, err = readArray[pathTemplate](d.path.Templates); err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	for id := range services {
		if t := dir.templates[id.id]; t.Generation == id.generation {
			dir.byClients[anyMask(t)] = append(dir.byClients[anyMask(t)], id)
		}
	}
	for id, s := range dir.servers {
		service := serviceID{s.Service, s.ServiceGeneration}
		if _, known := services[service]; known && s.Generation != 0 {
			dir.byService[service] = append(dir.byService[service], uint32(id))
		}
	}
	return dir, nil
}

// anyMask is what those services have in common that share their templates.
func anyMask(t pathTemplate) pathTemplate {
	t.Generation, t.Mask = 0, pathAddr{}
	return t
}

// arrival is a record as the program takes it, or why it is refused.
func (d *Dataplane) arrival(dir *directory, r model.Record) (a syncerArrival, why model.Refusal, err error) {
	if !isSane(r) {
		return a, model.RefusedMalformed, nil
	}
	var services []serviceID
	if r.IsTemplate() {
		services, why = dir.servicesOfTemplate(r), model.RefusedTemplate
	} else {
		services, err = d.servicesOf(dir, r)
		why = model.RefusedService
	}
	if len(services) == 0 || err != nil {
		return a, why, err
	}
	id, ok := dir.serverOf(services, r)
	if !ok {
		return a, model.RefusedServer, nil
	}
	server := dir.servers[id]
	a.setFlow(flowOfIdentity(r.Identity()))
	a.Server, a.ServerGeneration = id, server.Generation
	a.State, a.Flags = uint8(toConnState(r.State)), arrivalFlags(r)
	a.Idle = idleFor(dir.timeouts[server.Service], r, d.hz)
	return a, 0, nil
}

// isSane: what does not belong together is nobody's. No service has port 0, and a template has no client's port; a client
// may send from port 0, in UDP by right (RFC 768), else because somebody crafts it.
func isSane(r model.Record) bool {
	client, virtual := r.Client.Addr(), r.Virtual.Addr()
	if !client.IsValid() || !virtual.IsValid() || client.Is4() != virtual.Is4() || !r.Server.Addr().IsValid() {
		return false
	}
	if r.IsTemplate() {
		return r.Client.Port() == 0
	}
	known := r.Protocol == model.TCP || r.Protocol == model.SCTP || r.Protocol == model.UDP
	state := toConnState(r.State)
	return known && state != 0 && state != pathConnStateCONN_KEPT && r.Virtual.Port() != 0 &&
		(state == pathConnStateCONN_UDP) == (r.Protocol == model.UDP)
}

func toConnState(name string) pathConnState {
	for state, n := range connStates {
		if n == name {
			return state
		}
	}
	return 0
}

func arrivalFlags(r model.Record) uint16 {
	var flags pathConnFlag
	closes := r.Protocol != model.UDP
	for flag, is := range map[pathConnFlag]bool{
		pathConnFlagCONN_FIN_CLIENT: closes && r.ClientClosed,
		pathConnFlagCONN_FIN_SERVER: closes && r.ServerClosed,
		pathConnFlagCONN_SETTLED:    r.Settled,
		pathConnFlagCONN_PERSISTENT: r.Persistent,
	} {
		if is {
			flags |= flag
		}
	}
	return uint16(flags)
}

// servicesOfTemplate are those that know their clients again by it.
func (dir *directory) servicesOfTemplate(r model.Record) (out []serviceID) {
	key := flowOfIdentity(r.Identity())
	shared := pathTemplate{Address: key.Destination, Port: key.DestinationPort, Protocol: key.Protocol}
	for _, id := range dir.byClients[shared] {
		if masked(key.Source, dir.templates[id.id].Mask) == key.Source {
			out = append(out, id)
		}
	}
	return out
}

func masked(a, mask pathAddr) pathAddr {
	for i := range a.Word {
		a.Word[i] &= mask.Word[i]
	}
	return a
}

// servicesOf are the one that has the connection, and behind it those that share its templates: one of their servers
// may have it, too (bpf/template.h).
func (d *Dataplane) servicesOf(dir *directory, r model.Record) ([]serviceID, error) {
	service, err := d.serviceOf(model.Flow{Protocol: r.Protocol, Client: r.Client, Virtual: r.Virtual})
	if service == nil || err != nil {
		return nil, err
	}
	out := []serviceID{{service.Id, service.Generation}}
	if t := dir.templates[service.Id]; t.Generation == service.Generation && t.Port == 0 {
		out = append(out, dir.byClients[anyMask(t)]...)
	}
	return out, nil
}

// serverOf is the first one that a record may mean. By DR and TUN a server has the port that the client asked for.
func (dir *directory) serverOf(services []serviceID, r model.Record) (uint32, bool) {
	for _, service := range services {
		for _, id := range dir.byService[service] {
			s := dir.servers[id]
			if s.Address != toAddr(r.Server.Addr()) || fromForwarding(pathForwarding(s.Forwarding)) != r.Forwarding {
				continue
			}
			if r.Forwarding != model.NAT || r.Virtual.Port() == model.AnyPort || r.Server.Port() == portOf(s, r.Forwarding, r.Virtual.Port()) {
				return id, true
			}
		}
	}
	return 0, false
}

// idleFor is for how long nothing was seen of a connection that has so much time left, in jiffies. None has more than
// its service gives it here.
func idleFor(t pathTimeouts, r model.Record, hz uint32) uint32 {
	state := toConnState(r.State)
	if state == pathConnStateCONN_UDP && !r.Settled {
		state = pathConnStateCONN_UDP_UNSETTLED
	}
	timeout := time.Duration(t.Seconds[state]) * time.Second
	left := min(max(r.Left, 0), timeout)
	return uint32(uint64(timeout-left) / uint64(time.Millisecond) * uint64(hz) / 1000)
}
