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
	for id, key := range services {
		if out.Services[key], err = d.counts(id.id); err != nil {
			return out, err
		}
	}
	return out, d.serverCounters(out, services)
}

func (d *Dataplane) serverCounters(out Counters, services map[serviceID]model.ServiceKey) error {
	servers, err := d.readServers()
	if err != nil {
		return err
	}
	for id, value := range servers {
		service, ok := services[serviceID{value.Service, value.ServiceGeneration}]
		if !ok {
			continue
		}
		counts, err := d.serverCounts(uint32(id), value)
		if err != nil {
			return err
		}
		out.Services[service] = out.Services[service].plus(counts.Counts)
		if value.Generation != 0 {
			out.Servers[model.ServiceServer{Service: service, Server: serverKey(value)}] = counts
		}
	}
	return nil
}

func (d *Dataplane) serverCounts(id uint32, server pathServer) (ServerCounts, error) {
	var load pathLoad
	if err := d.path.Loads.Lookup(id, &load); err != nil {
		return ServerCounts{}, fmt.Errorf("read load of server %d: %w", id, err)
	}
	signs, err := d.signs(id)
	if err != nil {
		return ServerCounts{}, err
	}
	counts, err := d.counts(maxServices + id)
	return ServerCounts{load.Active, load.Inactive, load.HalfOpen, load.Persistent, isFull(load, server), signs, counts}, err
}

func (d *Dataplane) signs(id uint32) (Signs, error) {
	var s pathSign
	if err := d.path.Signs.Lookup(id, &s); err != nil {
		return Signs{}, fmt.Errorf("read signs of server %d: %w", id, err)
	}
	return Signs{s.Answered, s.Refused, s.Row}, nil
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
	var cpus []pathCounters
	if err := d.path.Counters.Lookup(index, &cpus); err != nil {
		return Counts{}, fmt.Errorf("read counters %d: %w", index, err)
	}
	var sum Counts
	for _, c := range cpus {
		sum = sum.plus(Counts{c.Connections, c.PacketsIn, c.BytesIn, c.PacketsOut, c.BytesOut})
	}
	return sum, nil
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
