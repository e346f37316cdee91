// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// loopback takes the VIPs that no interface has a subnet for.
const loopback = "lo"

// interfaces are those that the config names or, when it names none, those that hold a VIP's subnet,
// have a virtual router or lead to a server. Below a VLAN device it is the parent that carries the program.
func interfaces(spec model.Spec, network model.Network) []model.InterfaceWant {
	var out []model.InterfaceWant
	parents := vlanParents(spec, network)
	for _, link := range network.Links {
		mode, wanted := wantedMode(spec, network, link)
		if parent, ok := parents[link.Index]; ok && !wanted {
			mode, wanted = parent, true
		}
		if !wanted || vlanFault(network, link).why != "" {
			continue
		}
		out = append(out, model.InterfaceWant{
			Name: link.Name, Index: link.Index, MAC: link.MAC, MTU: link.MTU, XDP: mode,
			Parent: link.Parent, VLAN: link.VLAN,
		})
	}
	return out
}

func wantedMode(spec model.Spec, network model.Network, link model.Link) (model.XDPMode, bool) {
	for _, i := range spec.Interfaces {
		if i.Name == link.Name {
			return i.XDP, true
		}
	}
	if len(spec.Interfaces) > 0 || link.Loopback {
		return model.XDPAuto, false
	}
	return model.XDPAuto, leadsToServer(spec, network, link) || holdsVIP(spec, link) || leadsToRouter(spec, link)
}

func holdsVIP(spec model.Spec, link model.Link) bool {
	return slices.ContainsFunc(keys(spec), func(k model.ServiceKey) bool {
		return hasSubnet(link, k)
	})
}

// keys are those of all services.
func keys(spec model.Spec) (out []model.ServiceKey) {
	for _, service := range spec.Services {
		out = append(out, service.Keys()...)
	}
	return out
}

func leadsToServer(spec model.Spec, network model.Network, link model.Link) bool {
	for _, service := range spec.Services {
		for _, server := range service.Servers {
			if route, ok := network.Routes[server.Key.Address]; ok && !route.Local && route.Link == link.Index {
				return true
			}
		}
	}
	return false
}

// hasSubnet says whether the address of a service is in a subnet of the link: a host route, such as a VIP's
// own, is none. Packets to any destination come in wherever the host has a network.
func hasSubnet(link model.Link, k model.ServiceKey) bool {
	return slices.ContainsFunc(link.Prefixes, func(p netip.Prefix) bool {
		if k.IsAnyDestination() {
			return !p.IsSingleIP() && !p.Addr().IsLinkLocalUnicast() && p.Addr().Is4() == k.Address.Is4()
		}
		return !p.IsSingleIP() && p.Contains(k.Address)
	})
}

// vips puts each service's addresses on the interface that has their subnet, else where they already are,
// else on the loopback. Those of virtual routers are not among them, see routerVIPs.
func vips(spec model.Spec, network model.Network) []model.VIP {
	var out []model.VIP
	known := map[model.Addr]bool{}
	for _, k := range keys(spec) {
		if known[k.Address] || k.IsAnyDestination() || routerOf(spec, k.Address) != nil {
			continue
		}
		known[k.Address] = true
		out = append(out, model.VIP{Address: k.Address, Interface: placeOf(network, k)})
	}
	return out
}

// own are the host's addresses, if a service of any destination must leave them alone.
func own(spec model.Spec, network model.Network) (out []model.Addr) {
	all := keys(spec)
	if !slices.ContainsFunc(all, model.ServiceKey.IsAnyDestination) {
		return nil
	}
	for _, key := range all {
		if !key.IsAnyDestination() {
			out = append(out, key.Address) // it may not be there yet
		}
	}
	for _, r := range spec.VirtualRouters {
		for _, p := range r.Addresses { // nor are those, unless this director is master
			out = append(out, p.Addr())
		}
	}
	for _, link := range network.Links {
		for _, p := range link.Prefixes {
			out = append(out, p.Addr())
		}
	}
	return out
}

func placeOf(network model.Network, k model.ServiceKey) string {
	holder := ""
	for _, link := range network.Links {
		if !link.Loopback && hasSubnet(link, k) {
			return link.Name
		}
		if slices.ContainsFunc(link.Prefixes, func(p netip.Prefix) bool { return p.Addr() == k.Address }) {
			holder = link.Name
		}
	}
	if holder != "" {
		return holder
	}
	return loopback
}

func is4(a model.Addr) bool { return a.Is4() }
func is6(a model.Addr) bool { return a.Is6() }

// forward lists the interfaces on which the kernel must forward a family: NAT's way back asks the
// kernel's routes, and they answer only then.
func forward(spec model.Spec, interfaces []model.InterfaceWant, family func(model.Addr) bool) []string {
	if !hasNAT(spec, family) {
		return nil
	}
	var out []string
	for _, i := range interfaces {
		out = append(out, i.Name)
	}
	return out
}

func hasNAT(spec model.Spec, family func(model.Addr) bool) bool {
	for _, service := range spec.Services {
		if !family(service.Key.Address) {
			continue
		}
		for _, server := range service.Servers {
			if server.Forwarding == model.NAT {
				return true
			}
		}
	}
	return false
}
