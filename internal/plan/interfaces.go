// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// loopback takes the VIPs that no interface has a subnet for.
const loopback = "lo"

// interfaces are those that the config names or, when it names none, those that hold a VIP's subnet
// or lead to a server. Below a VLAN device it is the parent that carries the program.
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
	return model.XDPAuto, holdsVIP(spec, link) || leadsToServer(spec, network, link)
}

func holdsVIP(spec model.Spec, link model.Link) bool {
	return slices.ContainsFunc(spec.Services, func(s model.Service) bool {
		return hasSubnet(link, s.Key.Address)
	})
}

func leadsToServer(spec model.Spec, network model.Network, link model.Link) bool {
	return slices.ContainsFunc(spec.ServerAddresses(), func(a model.Addr) bool {
		route, ok := network.Routes[a]
		return ok && !route.Local && route.Link == link.Index
	})
}

// hasSubnet says whether an address is in a subnet of the link: a host route, such as a VIP's own,
// is none.
func hasSubnet(link model.Link, a netip.Addr) bool {
	return slices.ContainsFunc(link.Prefixes, func(p netip.Prefix) bool {
		return !p.IsSingleIP() && p.Contains(a)
	})
}

// vips puts each service's address on the interface that has its subnet, else where it already is,
// else on the loopback.
func vips(spec model.Spec, network model.Network) []model.VIP {
	var out []model.VIP
	known := map[model.Addr]bool{}
	for _, service := range spec.Services {
		a := service.Key.Address
		if known[a] {
			continue
		}
		known[a] = true
		out = append(out, model.VIP{Address: a, Interface: placeOf(network, a)})
	}
	return out
}

func placeOf(network model.Network, a model.Addr) string {
	holder := ""
	for _, link := range network.Links {
		if !link.Loopback && hasSubnet(link, a) {
			return link.Name
		}
		if slices.ContainsFunc(link.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a }) {
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
