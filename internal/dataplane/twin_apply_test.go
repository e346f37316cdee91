// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/sched"
)

// apply is dataplane.Apply: services and servers that stay keep their counters and connections.
func (t *twin) apply(want model.DataplaneWant) {
	t.interfaces = map[way]model.InterfaceWant{}
	for _, w := range want.Interfaces {
		at := way{ifindex: w.Index}
		if w.Parent != 0 {
			at = way{ifindex: w.Parent, vlan: w.VLAN}
		}
		t.interfaces[at] = w
	}
	t.own, t.leased = want.Own, want.Leased
	before := t.services
	t.services = map[model.ServiceKey]*twinService{}
	for _, w := range want.Services {
		t.versions++
		t.services[w.Key] = follow(before[w.Key], w, t.versions)
		delete(before, w.Key)
	}
	for _, s := range before {
		markGone(s.servers)
	}
}

// follow makes a service what want says; s is nil when it is new.
func follow(s *twinService, want model.ServiceWant, version uint32) *twinService {
	if s == nil {
		s = &twinService{}
	}
	if s.picker == nil || s.want.Scheduler != want.Scheduler {
		s.picker = sched.NewTwin(want.Scheduler, want.Flags)
	}
	before := map[model.ServerKey]*twinServer{}
	for _, server := range s.servers {
		before[server.want.Key] = server
	}
	s.servers = nil
	want.Servers = slices.DeleteFunc(slices.Clone(want.Servers), func(w model.ServerWant) bool {
		return w.Leaving != 0 && before[w.Key] == nil // it never came
	})
	for _, w := range want.Servers {
		server := before[w.Key]
		if server == nil {
			server = &twinServer{service: s}
		}
		delete(before, w.Key)
		server.want = w
		s.servers = append(s.servers, server)
	}
	markGone(slices.Collect(maps.Values(before)))
	if s.table.Version != 0 && sameSlots(s.want.Servers, want.Servers) {
		version = s.table.Version
	}
	s.want, s.table, s.hash = want, sched.Make(want.Scheduler, want.Servers), sched.MakeHash(want.Scheduler, want.Servers)
	s.table.Version = version
	return s
}

// sameSlots: the table does not change, so schedulers go on from where they are.
func sameSlots(a, b []model.ServerWant) bool {
	return slices.EqualFunc(weighted(a), weighted(b), func(x, y model.ServerWant) bool {
		return x.Key == y.Key && x.Weight == y.Weight
	})
}

func weighted(servers []model.ServerWant) []model.ServerWant {
	return slices.DeleteFunc(slices.Clone(servers), func(w model.ServerWant) bool { return w.Weight == 0 })
}

func markGone(servers []*twinServer) {
	for _, server := range servers {
		server.gone = true
	}
}

// isVIP: a service is at this address.
func (t *twin) isVIP(a netip.Addr) bool {
	for _, s := range t.services {
		if slices.ContainsFunc(s.want.Keys(), func(k model.ServiceKey) bool { return k.Address == a }) {
			return true
		}
	}
	return false
}

// mayHave: a service is at this address, or has any destination and does not leave these alone.
func (t *twin) mayHave(from, to netip.Addr) bool {
	return t.isVIP(to) || t.isVIP(anyOf(to)) && t.passesBy(from, to)
}

// passesBy: the packet is neither for this host, nor for a server, nor of one.
func (t *twin) passesBy(from, to netip.Addr) bool {
	return !slices.Contains(t.own, to) && !t.isServer(to) && !t.isServer(from)
}

func (t *twin) isServer(a netip.Addr) bool {
	for _, s := range t.services {
		if slices.ContainsFunc(s.servers, func(server *twinServer) bool { return server.want.Key.Address == a }) {
			return true
		}
	}
	return false
}

// anyOf is any destination of the family.
func anyOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// isNATServer: answers come from this address.
func (t *twin) isNATServer(a netip.Addr) bool {
	for _, s := range t.services {
		for _, server := range s.servers {
			if server.want.Forwarding == model.NAT && server.want.Key.Address == a {
				return true
			}
		}
	}
	return false
}
