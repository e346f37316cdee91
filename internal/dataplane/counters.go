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

// ServerCounts are a server's counts and the connections that live on it.
type ServerCounts struct {
	Active, Inactive, HalfOpen uint64
	Counts
}

// ServiceServer names a server of a service.
type ServiceServer struct {
	Service model.ServiceKey
	Server  model.ServerKey
}

// Counters are read from the maps at one moment.
type Counters struct {
	Services map[model.ServiceKey]Counts
	Servers  map[ServiceServer]ServerCounts
}

// Counters reads what was counted of every service and server that is in the maps.
func (d *Dataplane) Counters() (Counters, error) {
	out := Counters{Services: map[model.ServiceKey]Counts{}, Servers: map[ServiceServer]ServerCounts{}}
	byID := map[uint32]model.ServiceKey{}
	var key pathServiceKey
	var value pathService
	each := d.path.Services.Iterate()
	for each.Next(&key, &value) {
		counts, err := d.counts(value.Id)
		if err != nil {
			return out, err
		}
		byID[value.Id] = fromServiceKey(key)
		out.Services[byID[value.Id]] = counts
	}
	if err := each.Err(); err != nil {
		return out, fmt.Errorf("read services: %w", err)
	}
	return out, d.serverCounters(out.Servers, byID)
}

func (d *Dataplane) serverCounters(out map[ServiceServer]ServerCounts, byID map[uint32]model.ServiceKey) error {
	servers, err := d.readServers()
	if err != nil {
		return err
	}
	for id, value := range servers {
		service, ok := byID[value.Service]
		if value.Generation == 0 || !ok {
			continue
		}
		counts, err := d.serverCounts(uint32(id))
		if err != nil {
			return err
		}
		out[ServiceServer{service, serverKey(value)}] = counts
	}
	return nil
}

func (d *Dataplane) serverCounts(id uint32) (ServerCounts, error) {
	var load pathLoad
	if err := d.path.Loads.Lookup(id, &load); err != nil {
		return ServerCounts{}, fmt.Errorf("read load of server %d: %w", id, err)
	}
	counts, err := d.counts(maxServices + id)
	return ServerCounts{load.Active, load.Inactive, load.HalfOpen, counts}, err
}

// counts sums what each CPU counted.
func (d *Dataplane) counts(index uint32) (Counts, error) {
	var cpus []pathCounters
	if err := d.path.Counters.Lookup(index, &cpus); err != nil {
		return Counts{}, fmt.Errorf("read counters %d: %w", index, err)
	}
	var sum Counts
	for _, c := range cpus {
		sum.Connections += c.Connections
		sum.PacketsIn += c.PacketsIn
		sum.BytesIn += c.BytesIn
		sum.PacketsOut += c.PacketsOut
		sum.BytesOut += c.BytesOut
	}
	return sum, nil
}

func (d *Dataplane) clearCounters(index uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("number of CPUs: %w", err)
	}
	if err := d.path.Counters.Put(index, make([]pathCounters, cpus)); err != nil {
		return fmt.Errorf("clear counters: %w", err)
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
