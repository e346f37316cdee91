// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// checkRouters looks at virtual routers together, and at what they share with services.
func (f *file) checkRouters(routers []router, services []service, sessions []session) {
	checkNames(f, "virtual router", routers, func(r router) (string, *yaml.Node, string) { return r.Name, r.name, r.label })
	f.checkRouterIDs(routers)
	f.checkRouterAddresses(routers)
	f.checkAddressCount(routers)
	f.checkFixed(routers)
	f.checkSplitBrain(routers)
	f.checkGroups(routers)
	f.checkTracks(routers, services, sessions)
	f.checkVirtualRoutes(routers)
	owners := ownersOf(routers)
	f.checkServersOfRouters(owners, services)
	for _, s := range services {
		f.checkRouterOf(s, owners)
	}
}

// checkRouterIDs: an id is one virtual router of a link and a family, whatever its version (RFC 9568 section 1.7).
func (f *file) checkRouterIDs(routers []router) {
	type link struct {
		name string
		is4  bool
		id   uint8
	}
	first := map[link]router{}
	for _, r := range routers {
		if r.ID == 0 || r.Interface == "" || len(r.Addresses) == 0 {
			continue
		}
		here := link{r.Interface, r.Addresses[0].Addr().Is4(), r.ID}
		if before, twice := first[here]; twice {
			f.complain(at(r.id), mistake{fmt.Sprintf("%s: id %d is that of %s in line %d, on %s", r.label, r.ID, before.label, before.id.Line, r.Interface),
				"write another one, from 1 to 255, the same on every director"})
			continue
		}
		first[here] = r
	}
}

// onLink tells link-local addresses of two links from each other.
type onLink struct {
	address netip.Addr
	link    string // "": on all
}

func (r router) place(a netip.Addr) onLink { return placeOn(r.Interface, a) }

func placeOn(link string, a netip.Addr) onLink {
	if a.IsLinkLocalUnicast() && a.Is6() {
		return onLink{a, link}
	}
	return onLink{address: a}
}

// routersAt says with whom an address moves, link-local ones too.
func routersAt(routers []router) map[onLink]router {
	owners := map[onLink]router{}
	for _, r := range routers {
		for _, a := range r.addresses {
			owners[r.place(a.Addr())] = r
		}
	}
	return owners
}

func (f *file) checkRouterAddresses(routers []router) {
	type owned struct {
		placedAddress
		by router
	}
	first := map[onLink]owned{}
	for _, r := range routers {
		for _, a := range r.addresses {
			here := r.place(a.Addr())
			if before, twice := first[here]; twice {
				f.complain(at(a.node), mistake{fmt.Sprintf("%s: %s is an address of %s in line %d", r.label, a.Addr(), before.by.label, before.node.Line),
					"leave it out of one of them: it can be at one place only"})
				continue
			}
			first[here] = owned{a, r}
		}
	}
}

// checkAddressCount complains about the first address for which there is no room.
func (f *file) checkAddressCount(routers []router) {
	room := model.MaxVirtualAddresses
	for _, r := range routers {
		if len(r.addresses) > room {
			f.complain(at(r.addresses[room].node), mistake{
				fmt.Sprintf("%s: more than %d addresses of all virtual routers", r.label, model.MaxVirtualAddresses),
				"have a network routed to one of them, or divide them among several directors"})
			return
		}
		room -= len(r.addresses)
	}
}

// checkFixed refuses a peer or a source that moves with another virtual router; with its own is refused as it is read.
func (f *file) checkFixed(routers []router) {
	owners := routersAt(routers)
	for _, r := range routers {
		for _, peer := range r.peers {
			if owner, moves := owners[r.place(peer.Addr())]; moves {
				f.complain(at(peer.node), mistake{fmt.Sprintf("%s: peers: %s moves with %s", r.label, peer.Addr(), owner.label),
					"write an address that the peer always has"})
			}
		}
		if owner, moves := owners[r.place(r.Source)]; moves && !owner.IsOwner() {
			f.complain(at(r.source.node), mistake{fmt.Sprintf("%s: source: %s moves with %s", r.label, r.Source, owner.label),
				"write an address that this host always has, or leave it out"})
		}
	}
}

// checkServersOfRouters refuses a server whose address moves. That of a service is refused without this: checkVIPs.
func (f *file) checkServersOfRouters(owners map[netip.Addr]*router, services []service) {
	ofService := map[model.Addr]bool{}
	for _, s := range services {
		for _, key := range s.Keys() {
			ofService[key.Address] = true
		}
	}
	for _, s := range services {
		for _, server := range s.servers {
			a := server.Key.Address
			if owner := owners[a]; owner != nil && !ofService[a] {
				f.complain(at(server.node), mistake{
					fmt.Sprintf("%s: %s: this is an address of %s in line %d", s.label, server.label, owner.label, owner.node.Line),
					"write the server's own address"})
			}
		}
	}
}

// ownersOf says with whom an address moves. Link-local ones are no service's and no server's.
func ownersOf(routers []router) map[netip.Addr]*router {
	out := map[netip.Addr]*router{}
	for i, r := range routers {
		for _, p := range r.Addresses {
			out[p.Addr()] = &routers[i]
		}
	}
	return out
}

// checkRouterOf: a service is served or not as a whole, so its addresses must move as one.
func (f *file) checkRouterOf(s service, owners map[netip.Addr]*router) {
	for _, key := range s.keys {
		first, owner := owners[s.keys[0].Address], owners[key.Address]
		if owner != first {
			f.complain(at(key.node), mistake{
				fmt.Sprintf("%s: %s moves with %s, but %s with %s", s.label, placeOf(key), called(owner), placeOf(s.keys[0]), called(first)),
				"a service moves as a whole: give both to one virtual router, or write two services"})
			return
		}
	}
}

func called(r *router) string {
	if r == nil {
		return "no virtual router"
	}
	return r.label
}

// placeOf is the address as a service writes it.
func placeOf(k placedKey) string {
	if !k.Address.IsUnspecified() {
		return k.Address.String()
	}
	return k.Address.String() + "/0"
}
