// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// pathMTULife is how long a router is believed, as by Linux (mtu_expires) and RFC 1191 section 6.3:
// nobody tells when the way grew wider.
const pathMTULife = 10 * time.Minute

// What no link is narrower than. A smaller MTU would be a way to make a director cut packets to
// pieces, so it is not believed (RFC 791 section 3.1, RFC 8200 section 5, RFC 8201 section 4).
const (
	leastMTU4 = 576
	leastMTU6 = 1280
)

// IANA's numbers of what is in a tunnel's outer packet.
const (
	inIPv4 = 4
	inUDP  = 17
	inIPv6 = 41
	inGRE  = 47
)

// Judgement is what becomes of a router's word.
type Judgement struct {
	Believed bool
	Path     model.PathMTU // of the way to the packet's destination, if it is believed
	Why      string        // why it is not; "" also when it is nothing to us, or nothing new
}

// Judge decides whether to believe a router that had to drop a packet of this host: only about a
// tunnel to a server of the Spec, and only to make it narrower. A word that is known already is new
// again after half its life, so that a flood of them changes nothing.
func Judge(spec model.Spec, seen model.Seen, said model.TooBig, now time.Time) Judgement {
	if !isTunnel(WithLeft(spec, seen.Left), seen.Network, said) {
		return Judgement{}
	}
	if why := refuse(said, knownMTU(seen.Network, said.Destination)); why != "" {
		return Judgement{Why: why}
	}
	known, ok := pathMTU(seen, said.Destination, now)
	if ok && (said.MTU > known.MTU || said.MTU == known.MTU && known.Until.Sub(now) > pathMTULife/2) {
		return Judgement{}
	}
	return Judgement{Believed: true, Path: model.PathMTU{MTU: said.MTU, Router: said.Router, Until: now.Add(pathMTULife)}}
}

// Learn returns what was known of path MTUs and what was believed now. What is known no longer goes,
// so there is at most one for each server of the last ten minutes.
func Learn(known map[model.Addr]model.PathMTU, server model.Addr, path model.PathMTU, now time.Time) map[model.Addr]model.PathMTU {
	out := map[model.Addr]model.PathMTU{server: path}
	for address, old := range known {
		if address != server && old.Until.After(now) {
			out[address] = old
		}
	}
	return out
}

// isTunnel reports whether the packet that was too big was one of ours to a server.
func isTunnel(spec model.Spec, network model.Network, said model.TooBig) bool {
	own := isOwn(network, said.Source)
	for _, service := range spec.Services {
		for _, server := range service.Servers {
			toServer := server.Forwarding == model.TUN && server.Key.Address == said.Destination
			if toServer && carries(server.Tunnel, said) && (own || server.Tunnel.Source.Contains(said.Source)) {
				return true
			}
		}
	}
	return false
}

// carries reports whether a packet looks like one of the tunnel from outside.
func carries(tunnel model.Tunnel, said model.TooBig) bool {
	switch tunnel.Type {
	case model.GRE:
		return said.Protocol == inGRE
	case model.GUE:
		return said.Protocol == inUDP && said.Port == tunnel.Port
	}
	return said.Protocol == inIPv4 || said.Protocol == inIPv6
}

func isOwn(network model.Network, a model.Addr) bool {
	return slices.ContainsFunc(network.Links, func(link model.Link) bool {
		return slices.ContainsFunc(link.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// knownMTU is that of the way to a server as this host knows it; 0: there is no way.
func knownMTU(network model.Network, server model.Addr) int {
	route, ok := network.Routes[server]
	if !ok || route.Local {
		return 0
	}
	return wayMTU(network, route)
}

// refuse says why an MTU is not believed, or "".
func refuse(said model.TooBig, known int) string {
	least := leastMTU4
	if said.Destination.Is6() {
		least = leastMTU6
	}
	switch {
	case said.MTU == 0:
		return "it does not say how large packets may be (a router older than RFC 1191): give the route to the server an `mtu`"
	case said.MTU < least:
		return fmt.Sprintf("no link is narrower than %d", least)
	case said.MTU >= known:
		return fmt.Sprintf("packets are not larger than %d as it is", known)
	}
	return ""
}

// pathMTU is what is known now about the way to a server.
func pathMTU(seen model.Seen, server model.Addr, now time.Time) (model.PathMTU, bool) {
	path, ok := seen.PathMTUs[server]
	return path, ok && path.Until.After(now)
}

// narrow lowers the MTU of the ways of tunnels to what routers said.
func narrow(services []model.ServiceWant, seen model.Seen, now time.Time) {
	for _, service := range services {
		for i := range service.Servers {
			server := &service.Servers[i]
			path, ok := pathMTU(seen, server.Key.Address, now)
			if ok && server.Forwarding == model.TUN {
				server.MTU = min(server.MTU, path.MTU)
			}
		}
	}
}

// nextForgotten is when the first of what routers said is forgotten; zero: nothing is known.
func nextForgotten(seen model.Seen, now time.Time) time.Time {
	var first time.Time
	for server := range seen.PathMTUs {
		path, ok := pathMTU(seen, server, now)
		if ok && (first.IsZero() || path.Until.Before(first)) {
			first = path.Until
		}
	}
	return first
}
