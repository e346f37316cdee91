// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Checks are those of all servers, and of what virtual routers track, each once.
func Checks(spec model.Spec) (out []model.CheckKey) {
	known := map[model.CheckKey]bool{}
	add := func(key model.CheckKey) {
		if !known[key] {
			known[key] = true
			out = append(out, key)
		}
	}
	for _, service := range spec.Services {
		for _, server := range service.Servers {
			for _, key := range service.Asks(server) {
				add(key)
			}
		}
	}
	for _, r := range spec.VirtualRouters {
		for _, t := range r.Track {
			if key, asks := t.Asks(); asks {
				add(key)
			}
		}
	}
	return out
}

// InPool says of each server whether it gets new connections. Of one that cannot be reached for a while it says
// what it said before: that is no verdict.
func InPool(before map[model.ServiceServer]bool, services []model.ServiceWant) map[model.ServiceServer]bool {
	out := map[model.ServiceServer]bool{}
	for _, service := range services {
		for _, server := range service.Servers {
			here := model.ServiceServer{Service: service.Key, Server: server.Key}
			was, known := before[here]
			switch {
			case server.Leaving != 0 && !server.Absent: // the service has it no more
			case server.Weight > 0:
				out[here] = true
			case server.Leaving != 0 || reachable(server):
				out[here] = false
			case known:
				out[here] = was
			}
		}
	}
	return out
}

// Remember adds to what was seen what the next plan must know of this one.
func Remember(seen model.Seen, desired model.Desired, now time.Time) model.Seen {
	pool := InPool(seen.InPool, desired.Dataplane.Services)
	seen.Entered = stillEntered(seen, pool, now)
	seen.InPool, seen.Standings, seen.Ejections = pool, desired.Standings, desired.Ejections
	seen.Balanced, seen.Served, seen.Held = handedOver(seen, desired)
	seen.PeerSince = peerSince(desired.Sync.Peers, seen.PeerSince, now)
	seen.BFD = stillSessions(desired.BFD, seen.BFD)
	seen.Sync.Peers = stillPeers(desired.Sync.Peers, seen.Sync.Peers)
	return seen
}

// judge gives a server that its checks found down no new connections, and ends those that it has. One of which
// nothing is known yet stays as it was: a new one waits, one that was at work before a restart, or before its
// check was changed, goes on.
func judge(want model.ServerWant, verdict model.HealthState, service model.Service, server model.Server, seen model.Seen) model.ServerWant {
	here := model.ServiceServer{Service: service.Key, Server: server.Key}
	switch verdict {
	case model.HealthDown:
		want.Weight, want.Absent, want.Leaving = 0, true, cmp.Or(service.Down, model.Reset)
	case model.HealthUnknown:
		if was, known := seen.InPool[here]; !was && (known || !server.Checks.Trusted) {
			want.Weight, want.Absent = 0, true
		}
	}
	return want
}
