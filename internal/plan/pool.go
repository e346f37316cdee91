// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// pool is who of a service takes new connections, and with which weight.
type pool struct {
	verdicts []model.HealthState // of their checks, in the order of the servers
	wants    []model.ServerWant  // in the same order
	standing model.Standing
	ramps    map[model.ServerKey]time.Time // until when a slow start lasts
	step     time.Time                     // when the next step of one is due, or an ejection ends; zero: never

	ejections map[model.ServerKey]model.Ejection
}

// pools begins with those that lend servers: they borrow none.
func pools(spec model.Spec, seen model.Seen, resting map[model.ServiceServer]model.Rest, now time.Time) []pool {
	out := make([]pool, len(spec.Services))
	loans := loansOf(spec.Services)
	for _, borrow := range []bool{false, true} {
		for i, service := range spec.Services {
			if borrows(service) == borrow {
				service.Servers = restingServers(service, resting)
				out[i] = poolOf(service, loans, seen, resting, now)
				loans.lend(service.Key, out[i].wants)
			}
		}
	}
	return out
}

// poolOf makes a weight of what is written, 0 in maintenance, and what checks advise, then of what they found;
// panic takes in again who is out by that, and what clients showed, a sorry server or the way to a server may put
// others out. At last those that came back begin slowly.
func poolOf(service model.Service, loans loans, seen model.Seen, resting map[model.ServiceServer]model.Rest, now time.Time) pool {
	ways := make([]model.ServerWant, 0, len(service.Servers))
	out := pool{verdicts: verdicts(service, seen), wants: make([]model.ServerWant, 0, len(service.Servers))}
	for i, server := range service.Servers {
		if want, lent := loans.of(server); lent {
			ways, out.wants = append(ways, want), append(out.wants, want)
			continue
		}
		way := reach(server, seen.Network)
		way.Weight, _ = seen.Weight(service, server)
		ways = append(ways, way)
		out.wants = append(out.wants, judge(way, out.verdicts[i], service, server, seen))
	}
	out.standing = out.stand(service, seen)
	if out.standing.Panic {
		out.keep(ways)
	}
	for i, want := range out.wants {
		if _, rests := resting[model.ServiceServer{Service: service.Key, Server: want.Key}]; rests {
			out.wants[i].Weight, out.wants[i].Absent = 0, true // others deal out its part
		}
	}
	out.eject(service, seen, now)
	stepIn(out.wants, service, out.standing.Quorum)
	leaveOut(out.wants)
	out.slowDown(service, seen, now)
	return out
}

// verdicts are made once for all that looks at them: there may be thousands, each of several checks.
func verdicts(service model.Service, seen model.Seen) []model.HealthState {
	out := make([]model.HealthState, 0, len(service.Servers))
	for _, server := range service.Servers {
		out = append(out, seen.Verdict(service, server).State)
	}
	return out
}

// ofServers is what pools know of servers by their keys, of all services.
func ofServers[T any](spec model.Spec, pools []pool, of func(pool) map[model.ServerKey]T) map[model.ServiceServer]T {
	out := map[model.ServiceServer]T{}
	for i, service := range spec.Services {
		for server, known := range of(pools[i]) {
			out[model.ServiceServer{Service: service.Key, Server: server}] = known
		}
	}
	return out
}

func standings(spec model.Spec, pools []pool) map[model.ServiceKey]model.Standing {
	out := map[model.ServiceKey]model.Standing{}
	for i, service := range spec.Services {
		out[service.Key] = pools[i].standing
	}
	return out
}

// keep takes servers in again that were found down.
func (p *pool) keep(ways []model.ServerWant) {
	for i, verdict := range p.verdicts {
		if verdict == model.HealthDown {
			p.wants[i] = ways[i]
		}
	}
}

// leaveOut gives servers that cannot be reached no new connections, as long as another one can take
// them. Where none can, all stay: at start their neighbours are only being asked for, and a SYN that
// is dropped comes again a second later, but one that is refused does not.
func leaveOut(servers []model.ServerWant) {
	if !slices.ContainsFunc(servers, func(w model.ServerWant) bool { return w.Weight > 0 && reachable(w) }) {
		return
	}
	for i := range servers {
		if !reachable(servers[i]) {
			servers[i].Weight, servers[i].Absent = 0, true
		}
	}
}
