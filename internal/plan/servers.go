// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

func services(spec model.Spec, pools []pool) []model.ServiceWant {
	var out []model.ServiceWant
	for i, service := range spec.Services {
		want := model.ServiceWant{
			Key: service.Key, Also: service.Also, Scheduler: service.Scheduler, Flags: service.Flags, Serving: true,
			MSS: service.MSS, Timeouts: service.Timeouts, Unknown: service.Unknown,
			Persistence: service.Persistence, OnePacket: service.OnePacket, Reuse: service.Reuse,
			HalfOpen: halfOpen(service, spec.Connections), Servers: pools[i].wants,
		}
		out = append(out, want)
	}
	return out
}

// halfOpen is by default a quarter of the table. Where who comes next could not go without an entry, there
// is no limit by default: he would be refused, and a small flood could keep everybody out. There the table
// itself sees to it that new flows replace each other.
func halfOpen(service model.Service, table model.Connections) int {
	switch {
	case service.HalfOpen != 0:
		return service.HalfOpen
	case !slices.ContainsFunc(service.Keys(), mayBeHalfOpen), service.Unknown == model.PassUnknown:
		return 0
	case len(service.Servers) == 0, slices.ContainsFunc(service.Servers, isByNAT):
		return 0
	}
	return table.Size / 4
}

func isByNAT(s model.Server) bool { return s.Forwarding == model.NAT && !s.Sorry }

func mayBeHalfOpen(k model.ServiceKey) bool { return k.Protocol != model.UDP }

func reachable(w model.ServerWant) bool { return w.Local || w.MAC != model.MAC{} }

// reach adds the way to a server, as far as it is known.
func reach(server model.Server, network model.Network) model.ServerWant {
	want := model.ServerWant{Key: server.Key, Forwarding: server.Forwarding, Tunnel: server.Tunnel,
		Weight: server.Weight, Thresholds: server.Thresholds}
	route, ok := network.Routes[server.Key.Address]
	if !ok {
		return want
	}
	if route.Local {
		want.Local = true
		return want
	}
	if unreachableByDR(server, route) {
		return want
	}
	link, ok := linkByIndex(network, route.Link)
	if !ok || vlanFault(network, link).why != "" {
		return want
	}
	want.Source, want.SourceMAC, want.MTU = route.Source, link.MAC, wayMTU(network, route)
	want.Link, want.VLAN = below(link), link.VLAN
	want.Next = nextHop(server.Key.Address, route)
	want.MAC = network.Neighbours[model.Hop{Link: route.Link, Address: want.Next}]
	return want
}

// wayMTU is the MTU of the interface that leads to a server, or the route's own.
func wayMTU(network model.Network, route model.Route) int {
	link, _ := linkByIndex(network, route.Link)
	if route.MTU != 0 {
		return min(link.MTU, route.MTU)
	}
	return link.MTU
}

// unreachableByDR: the frame for a server behind a router is addressed to the VIP, so the router
// would send it back here, and round it would go until its TTL ends.
func unreachableByDR(server model.Server, route model.Route) bool {
	return server.Forwarding == model.DR && !route.Local && route.Gateway.IsValid()
}

func nextHop(server model.Addr, route model.Route) model.Addr {
	if route.Gateway.IsValid() {
		return route.Gateway
	}
	return server
}

// neighbours are the next hops towards all servers, each once.
func neighbours(spec model.Spec, network model.Network) []model.Hop {
	var out []model.Hop
	known := map[model.Hop]bool{}
	for _, a := range spec.ServerAddresses() {
		route, ok := network.Routes[a]
		if !ok || route.Local {
			continue
		}
		hop := model.Hop{Link: route.Link, Address: nextHop(a, route)}
		if !known[hop] {
			known[hop] = true
			out = append(out, hop)
		}
	}
	return out
}
