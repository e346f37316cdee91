// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"

	"github.com/weir-lb/weir/internal/model"
)

// Checks are those of all servers, each once.
func Checks(spec model.Spec) (out []model.CheckKey) {
	known := map[model.CheckKey]bool{}
	for _, service := range spec.Services {
		for _, server := range service.Servers {
			for _, key := range server.Asks() {
				if !known[key] {
					known[key] = true
					out = append(out, key)
				}
			}
		}
	}
	return out
}

// InPool are the servers that get new connections.
func InPool(services []model.ServiceWant) map[model.ServiceServer]bool {
	out := map[model.ServiceServer]bool{}
	for _, service := range services {
		for _, server := range service.Servers {
			if server.Weight > 0 {
				out[model.ServiceServer{Service: service.Key, Server: server.Key}] = true
			}
		}
	}
	return out
}

// judge gives a server that its checks found down no new connections, and ends those that it has. One of which
// nothing is known yet stays as it was: a new one waits, one that was at work before a restart, or before its
// check was changed, goes on.
func judge(want model.ServerWant, service model.Service, server model.Server, seen model.Seen) model.ServerWant {
	here := model.ServiceServer{Service: service.Key, Server: server.Key}
	switch seen.Verdict(server).State {
	case model.HealthDown:
		want.Weight, want.Absent = 0, true
		if policy := cmp.Or(service.Down, model.Reset); policy != model.Drain {
			want.Leaving = policy
		}
	case model.HealthUnknown:
		if !server.Checks.Trusted && !seen.InPool[here] {
			want.Weight, want.Absent = 0, true
		}
	}
	return want
}
