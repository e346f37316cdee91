// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// Counts of a service or server since it was added. Bytes are of IP packets.
type Counts struct {
	Connections, PacketsIn, BytesIn, PacketsOut, BytesOut uint64
}

func (c Counts) plus(other Counts) Counts {
	return Counts{
		c.Connections + other.Connections, c.PacketsIn + other.PacketsIn, c.BytesIn + other.BytesIn,
		c.PacketsOut + other.PacketsOut, c.BytesOut + other.BytesOut,
	}
}

// ServerCounts are a server's counts and the connections that live on it.
type ServerCounts struct {
	Active, Inactive, HalfOpen uint64
	Persistent                 uint64 // templates, which are no connections
	Full                       bool   // it takes no new ones (thresholds)
	Signs                      Signs
	Counts
}

// Signs are what a server did with new connections since it was added: struct sign in bpf/types.h.
type Signs struct {
	Answered, Refused uint64
	Row               uint32 // refused since the last one that was answered
}

// Counters are read from the maps at one moment.
type Counters struct {
	Services map[model.ServiceKey]Counts
	Servers  map[model.ServiceServer]ServerCounts
}

// Counters reads what was counted of every service and server that is in the maps. A service has what
// its servers had, those too that it has no more.
func (d *Dataplane) Counters() (Counters, error) {
	out := Counters{Services: map[model.ServiceKey]Counts{}, Servers: map[model.ServiceServer]ServerCounts{}}
	services, err := d.serviceKeys()
	if err != nil {
		return out, err
	}
	if err := d.serviceCounters(out, services); err != nil {
		return out, err
	}
	return out, d.serverCounters(out, services)
}

// serviceCounters are what services have of servers that are gone.
func (d *Dataplane) serviceCounters(out Counters, services map[serviceID]model.ServiceKey) error {
	var blocks []uint32
	var keys []model.ServiceKey
	for id, key := range services {
		blocks, keys = append(blocks, id.id), append(keys, key)
	}
	counts, err := d.sums(blocks)
	for i, key := range keys {
		out.Services[key] = counts[i]
	}
	return err
}

func (d *Dataplane) serverCounters(out Counters, services map[serviceID]model.ServiceKey) error {
	places, err := d.places(services)
	if err != nil {
		return err
	}
	counts, err := d.serverCounts(places)
	if err != nil {
		return err
	}
	for i, p := range places {
		out.Services[p.service] = out.Services[p.service].plus(counts[i].Counts)
		if p.server.Generation != 0 {
			out.Servers[model.ServiceServer{Service: p.service, Server: serverKey(p.server)}] = counts[i]
		}
	}
	return nil
}

// place is where a server of these services is counted, or was.
type place struct {
	id      uint32
	service model.ServiceKey
	server  pathServer
}

// places are in the order of their ids.
func (d *Dataplane) places(services map[serviceID]model.ServiceKey) ([]place, error) {
	servers, err := d.readServers()
	var out []place
	for id, server := range servers {
		if service, ok := services[serviceID{server.Service, server.ServiceGeneration}]; ok {
			out = append(out, place{uint32(id), service, server})
		}
	}
	return out, err
}

func (d *Dataplane) serverCounts(places []place) ([]ServerCounts, error) {
	var ids, blocks []uint32
	for _, p := range places {
		ids, blocks = append(ids, p.id), append(blocks, maxServices+p.id)
	}
	loads, err := readSome[pathLoad](d.path.Loads, ids)
	if err != nil {
		return nil, fmt.Errorf("read loads: %w", err)
	}
	signs, err := d.signs(ids)
	if err != nil {
		return nil, err
	}
	counts, err := d.sums(blocks)
	var out []ServerCounts
	for i, l := range loads {
		out = append(out, ServerCounts{l.Active, l.Inactive, l.HalfOpen, l.Persistent, isFull(l, places[i].server), signs[i], counts[i]})
	}
	return out, err
}

// Signs reads those of every server that was in the maps at the last Apply, and nothing else: who wants them is in a
// hurry.
func (d *Dataplane) Signs() (map[model.ServiceServer]Signs, error) {
	ids, servers := d.serversInUse()
	signs, err := d.signs(ids)
	out := map[model.ServiceServer]Signs{}
	for i, s := range signs {
		out[servers[i]] = s
	}
	return out, err
}

// signs are those of these servers, in this order.
func (d *Dataplane) signs(ids []uint32) ([]Signs, error) {
	read, err := readSome[pathSign](d.path.Signs, ids)
	if err != nil {
		return nil, fmt.Errorf("read signs: %w", err)
	}
	var out []Signs
	for _, s := range read {
		out = append(out, Signs{s.Answered, s.Refused, s.Row})
	}
	return out, nil
}

// clearSigns makes a place ready for another server.
func (d *Dataplane) clearSigns(id uint32) error {
	if err := d.path.Signs.Put(id, pathSign{}); err != nil {
		return fmt.Errorf("clear signs of server %d: %w", id, err)
	}
	return nil
}

// isFull is server_full of bpf/service.h.
func isFull(load pathLoad, server pathServer) bool {
	limits := model.Thresholds{Upper: server.Upper, Lower: server.Lower}
	return load.Full >= uint64(server.Upper) && limits.Holds(load.Active+load.Inactive)
}

// clearServerCounters makes a place ready for another server. What the last one had, its service keeps.
// Nobody counts there any more: ids come again late.
func (d *Dataplane) clearServerCounters(id uint32) error {
	var last pathServer
	if err := d.path.Records.Lookup(d.tables.records.of[id], &last); err != nil {
		return fmt.Errorf("read record of server %d: %w", id, err)
	}
	counts, err := d.counts(maxServices + id)
	if err != nil {
		return err
	}
	if err := errors.Join(d.putCounts(maxServices+id, Counts{}), d.clearSigns(id)); err != nil {
		return err
	}
	for _, service := range d.tables.services {
		if service.value.Id == last.Service && service.value.Generation == last.ServiceGeneration {
			return d.carry(last.Service, counts)
		}
	}
	return nil
}

// carry adds to what a service has from servers that are gone.
func (d *Dataplane) carry(service uint32, counts Counts) error {
	before, err := d.counts(service)
	if err != nil {
		return err
	}
	return d.putCounts(service, before.plus(counts))
}

// counts sums what each CPU counted.
func (d *Dataplane) counts(index uint32) (Counts, error) {
	sums, err := d.sums([]uint32{index})
	return sums[0], err
}

// sums are the counts of these blocks, in this order.
func (d *Dataplane) sums(blocks []uint32) ([]Counts, error) {
	out := make([]Counts, len(blocks))
	err := someElements(d.path.Counters, blocks, func(i int, cpus []pathCounters) {
		for _, c := range cpus {
			out[i] = out[i].plus(Counts{c.Connections, c.PacketsIn, c.BytesIn, c.PacketsOut, c.BytesOut})
		}
	})
	if err != nil {
		return out, fmt.Errorf("read counters: %w", err)
	}
	return out, nil
}

// putCounts writes what no CPU counts in now.
func (d *Dataplane) putCounts(index uint32, c Counts) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("number of CPUs: %w", err)
	}
	values := make([]pathCounters, cpus)
	values[0] = pathCounters{
		Connections: c.Connections, PacketsIn: c.PacketsIn, BytesIn: c.BytesIn, PacketsOut: c.PacketsOut, BytesOut: c.BytesOut,
	}
	if err := d.path.Counters.Put(index, values); err != nil {
		return fmt.Errorf("write counters %d: %w", index, err)
	}
	return nil
}

// Verdict is an exit of the path and how often it was taken.
type Verdict struct {
	Name, Help string
	Count      uint64
}

// verdictText is what people read of a verdict.
type verdictText struct{ name, help string }

// Verdicts are the exits of the path in the order of bpf/types.h, those never taken too.
func (d *Dataplane) Verdicts() ([]Verdict, error) {
	var out []Verdict
	var errs []error
	for v := pathVerdictVERDICT_CONTINUE + 1; v < pathVerdictVERDICTS; v++ {
		var cpus []uint64
		errs = append(errs, d.path.Verdicts.Lookup(uint32(v), &cpus))
		var sum uint64
		for _, n := range cpus {
			sum += n
		}
		out = append(out, Verdict{verdictTexts[v].name, verdictTexts[v].help, sum})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("read verdicts: %w", err)
	}
	return out, nil
}
