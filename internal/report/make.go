// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"maps"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Input is all that a Snapshot is made of.
type Input struct {
	Spec     model.Spec
	Seen     model.Seen
	Desired  model.Desired    // made by plan.Make of this very Spec
	Turns    []model.VRRPTurn // since the plan before, of all virtual routers, in their order
	Events   []model.Event    // that News told, the oldest first
	Readings Readings
	Now      time.Time
}

// Make says how things stand.
func Make(in Input) Snapshot {
	s := Snapshot{
		Taken:       in.Now,
		Revision:    in.Desired.Dataplane.Revision,
		Applied:     in.Seen.Applied.Revision,
		Routers:     routers(in),
		Sessions:    sessions(in),
		Strangers:   maps.Clone(in.Readings.BFD.Strangers),
		Peers:       peers(in),
		Connections: Usage{in.Readings.Conns, in.Readings.ConnSize, in.Readings.ConnMemory},
		Interfaces:  interfaces(in),
		Verdicts:    in.Readings.Verdicts,
		Notices:     in.Readings.Notices,
		Events:      in.Events,
	}
	s.Role = role(s.Routers)
	wants := serverWants(in.Desired.Dataplane)
	for _, service := range in.Spec.Services {
		servers := append(servers(in, service, wants), leaving(in, service, wants)...)
		line := sum(service, in.Readings.Services[service.Key], servers)
		line.Rates = known(in.Readings.Rates.Services, service.Key)
		s.Services = append(s.Services, line)
		s.Servers = append(s.Servers, servers...)
	}
	s.Problems = problems(in, s)
	return s
}

// known is a rate, or nil.
func known[K comparable](rates map[K]Rates, of K) *Rates {
	if r, ok := rates[of]; ok {
		return &r
	}
	return nil
}

// sum makes the line of a service from those of its servers.
func sum(service model.Service, counts Counts, servers []Server) Service {
	s := Service{
		Name:      service.Name,
		Key:       service.Key,
		Also:      service.Also,
		Scheduler: service.Scheduler,
		MSS:       service.MSS,
		Counts:    counts,
	}
	for _, server := range servers {
		if server.State != Leaving && !server.Sorry {
			s.Servers++
		}
		if server.State == Up && !server.Sorry {
			s.Up++
		}
		s.Sorry = cmp.Or(s.Sorry, server.LentBy)
		s.Active += server.Reading.Active
		s.Inactive += server.Reading.Inactive
		s.Answers = s.Answers || server.Answers()
	}
	return s
}
