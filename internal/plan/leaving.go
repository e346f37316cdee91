// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Depart returns which servers have left when the services before become those after. One that is named
// again has come back; one whose service goes, goes with it.
func Depart(left []model.Left, before, after []model.Service, now time.Time) []model.Left {
	named := map[model.ServiceKey]map[model.ServerKey]bool{}
	for _, service := range after {
		named[service.Key] = map[model.ServerKey]bool{}
		for _, server := range service.Servers {
			named[service.Key][server.Key] = true
		}
	}
	isAway := func(service model.ServiceKey, server model.ServerKey) bool {
		servers, ok := named[service]
		return ok && !servers[server]
	}
	var out []model.Left
	for _, l := range left {
		if isAway(l.Service, l.Server.Key) {
			out = append(out, l)
		}
	}
	for _, service := range before {
		for _, server := range service.Servers {
			if isAway(service.Key, server.Key) {
				out = append(out, model.Left{Service: service.Key, Server: server, Since: now})
			}
		}
	}
	return out
}

// Forget returns those that are not idle.
func Forget(left []model.Left, isIdle func(model.Left) bool) []model.Left {
	return slices.DeleteFunc(slices.Clone(left), isIdle)
}

// WithLeft is the Spec with the servers that have left, behind those that each service has: packets of
// theirs go on until they are forgotten.
func WithLeft(spec model.Spec, left []model.Left) model.Spec {
	if len(left) == 0 {
		return spec
	}
	spec.Services = slices.Clone(spec.Services)
	for i := range spec.Services {
		service := &spec.Services[i]
		service.Servers = slices.Clip(service.Servers)
		for _, l := range left {
			if l.Service == service.Key {
				server := l.Server
				server.Weight, server.Checks = 0, model.Checks{}
				service.Servers = append(service.Servers, server)
			}
		}
	}
	return spec
}

// dismiss says what becomes of the connections of those that have left.
func dismiss(services []model.ServiceWant, spec model.Spec, left []model.Left, now time.Time) {
	for i, service := range spec.Services {
		for j := range services[i].Servers[len(service.Servers):] {
			want := &services[i].Servers[len(service.Servers)+j]
			want.Absent = false
			want.Leaving = policy(service.Leaving, since(left, service.Key, want.Key), now)
		}
	}
}

func since(left []model.Left, service model.ServiceKey, server model.ServerKey) time.Time {
	i := slices.IndexFunc(left, func(l model.Left) bool { return l.Is(service, server) })
	return left[i].Since
}

// policy is that of the service, until its time is over.
func policy(of model.Departure, since, now time.Time) model.Leaving {
	end, ends := deadline(of, since)
	switch {
	case ends && !now.Before(end):
		return model.Reset
	case of.Policy == 0:
		return model.Drain
	}
	return of.Policy
}

// deadline is when a server that drains does so no longer.
func deadline(of model.Departure, since time.Time) (time.Time, bool) {
	return since.Add(of.For), of.For != 0
}

// nextDeadline is the first that is still to come; zero: there is none.
func nextDeadline(spec model.Spec, left []model.Left, now time.Time) time.Time {
	var first time.Time
	for _, service := range spec.Services {
		for _, l := range left {
			end, ends := deadline(service.Leaving, l.Since)
			if l.Service == service.Key && ends && end.After(now) {
				first = earlier(first, end)
			}
		}
	}
	return first
}

// earlier of two times, of which the zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
