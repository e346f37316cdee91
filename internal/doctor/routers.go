// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/model"
)

// asMaster is what the plan is made of: the host is judged as the master of its virtual routers, which it may become
// at any time.
func asMaster(spec model.Spec, network model.Network) model.Seen {
	seen := model.Seen{Network: network, VRRP: map[string]model.VRRPSeen{}, Balanced: map[string]bool{}}
	for _, r := range spec.VirtualRouters {
		seen.VRRP[r.Name] = model.VRRPSeen{State: model.VRRPMaster}
		seen.Balanced[r.Name] = true
	}
	return seen
}

// virtualRouters looks at what they need to take part. Whether a firewall lets adverts through cannot be seen from here.
func virtualRouters(h host) []api.Finding {
	if len(h.desired.VRRP) == 0 {
		return fine("there are no virtual routers")
	}
	var out []api.Finding
	for _, r := range h.desired.VRRP {
		out = append(out, h.hindered(r)...)
		out = append(out, hinderedWays(r)...)
		out = append(out, h.unaskable(r)...)
	}
	return orFine(out, "virtual routers can take part: %d", len(h.desired.VRRP))
}

func (h host) hindered(r model.VRRPWant) []api.Finding {
	what := "virtual router " + r.Name + ": "
	switch {
	case r.Fault != "":
		return found(api.LevelError, what+r.Fault, "it takes no part: it is never master, and whoever is has no backup here", h.mend(r))
	case len(r.Peers) == 0 && !h.Devices[r.Link].Multicast:
		return found(api.LevelWarning, what+r.Interface+" says that it has no multicast", "adverts go to a group: a director that hears none becomes master beside another one",
			fmt.Sprintf("ip link set dev %s multicast on # or, where its network has none, `peers:` of %s", r.Interface, r.Name))
	}
	return nil
}

// hinderedWays are further paths that cannot be used.
func hinderedWays(r model.VRRPWant) (out []api.Finding) {
	for _, way := range r.Ways {
		if way.Fault != "" {
			out = append(out, found(api.LevelWarning, fmt.Sprintf("virtual router %s: no advert goes to %s by %s: %s", r.Name, way.Peer, way.Interface, way.Fault),
				"when its other paths are cut, the backup takes a master who lives for dead",
				fmt.Sprintf("ip -brief address # and bring %s up with an address in a network with %s, or correct `paths:` of %s", way.Interface, way.Peer, r.Name))...)
		}
	}
	return out
}

// unaskable are witnesses that are no neighbours: nobody answers a question for them on the link.
func (h host) unaskable(r model.VRRPWant) (out []api.Finding) {
	link := h.link(r.Link)
	for _, w := range r.Witness {
		near := slices.ContainsFunc(link.Prefixes, func(n netip.Prefix) bool { return n.Contains(w) })
		if r.Fault == "" && !near && !w.IsLinkLocalUnicast() {
			out = append(out, found(api.LevelWarning, fmt.Sprintf("virtual router %s: witness %s is in no network of %s", r.Name, w, r.Interface),
				"it is asked by ARP or neighbour solicitation, so it never answers, and whoever is cut off takes over",
				fmt.Sprintf("ip route show default # and name a neighbour on %s, such as the gateway, under `witness:` of %s", r.Interface, r.Name))...)
		}
	}
	return out
}

// mend is the way out of a virtual router's fault.
func (h host) mend(r model.VRRPWant) string {
	link, first := h.link(r.Link), r.Addresses[0]
	switch {
	case r.Link == 0:
		return fmt.Sprintf("ip -brief link # and name one of these as `interface:` of %s", r.Name)
	case !link.Up:
		return fmt.Sprintf("ip link set dev %s up # and look for its carrier", link.Name)
	case r.VirtualMAC && link.MAC == (model.MAC{}):
		return fmt.Sprintf("ip -brief link # and name one with a MAC as `interface:` of %s, or leave `mac: virtual` out", r.Name)
	case strings.HasSuffix(r.Tracked, r.Fault): // behind what takes off the priority alone
		return fmt.Sprintf("ip -brief link; ip route # what `track:` of %s names, or leave that out", r.Name)
	case r.Source.IsValid():
		return fmt.Sprintf("ip -brief address # and name one of these as `source:` of %s, or leave it out", r.Name)
	case first.Addr().Is6():
		return fmt.Sprintf("sysctl -w net/ipv6/conf/%s/disable_ipv6=0 && ip address replace %s/64 dev %s", link.Name, linkLocal(link.MAC), link.Name)
	}
	return fmt.Sprintf("ip address add ADDRESS/%d dev %s # its own one, of the network of %s", first.Bits(), link.Name, first.Addr())
}

// linkLocal is the address that an interface makes of its MAC, RFC 4291 appendix A.
func linkLocal(mac model.MAC) netip.Addr {
	const local = 2 // the bit of addresses that nobody has assigned, turned
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ local, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
}

// isOfRouter tells whether a problem of the plan is a fault that virtualRouters tells.
func (h host) isOfRouter(p model.Problem) bool {
	return slices.ContainsFunc(h.desired.VRRP, func(r model.VRRPWant) bool { return r.Fault != "" && r.Fault == p.Why })
}

func arpIgnoreOf(name string) string   { return path.Join("net/ipv4/conf", name, "arp_ignore") }
func arpAnnounceOf(name string) string { return path.Join("net/ipv4/conf", name, "arp_announce") }

// arpPaths are the sysctls that arp looks at.
func (h host) arpPaths() (out []string) {
	for _, l := range h.Network.Links {
		if h.routerNear(l, func(model.VRRPWant, netip.Addr) bool { return true }).IsValid() {
			out = append(out, arpIgnoreOf(l.Name), arpAnnounceOf(l.Name))
		}
	}
	if len(out) > 0 {
		out = append(out, arpIgnoreOf("all"), arpAnnounceOf("all"))
	}
	return out
}

// arp: who says by ARP that an address of a virtual router is here, past the program that knows whether it is. IPv6
// needs nothing: NDP answers only for addresses of the interface that was asked, and asks only in its name.
func arp(h host) []api.Finding {
	var out []api.Finding
	for _, l := range h.Network.Links {
		out = append(out, h.answersAside(l)...)
		out = append(out, h.asksAside(l)...)
	}
	return orFine(out, "nobody says by ARP that addresses of virtual routers are here, but their master")
}

// answersAside: by default the kernel answers on an interface for addresses of all others (arp_ignore 0).
func (h host) answersAside(l model.Link) []api.Finding {
	a := h.routerNear(l, func(r model.VRRPWant, _ netip.Addr) bool { return r.Interface != l.Name })
	if !a.IsValid() || h.balances(l) || max(h.number(arpIgnoreOf("all")), h.number(arpIgnoreOf(l.Name))) > 0 {
		return nil
	}
	return found(api.LevelWarning, fmt.Sprintf("%s answers ARP for %s, which a virtual router has on another interface", l.Name, a),
		"weir does not run there: who takes that MAC reaches this host's own stack, and when the daemon is dead it is given beside the new master's",
		sysctl(arpIgnoreOf(l.Name), "1")+" # or name it under `interfaces:`")
}

// asksAside: by default the kernel asks for neighbours in the name of the address that a packet comes from
// (arp_announce 0), and who is asked takes that to be here.
func (h host) asksAside(l model.Link) []api.Finding {
	a := h.routerNear(l, func(r model.VRRPWant, a netip.Addr) bool { return h.heldAside(r, a) })
	const strict = 2
	if !a.IsValid() || max(h.number(arpAnnounceOf("all")), h.number(arpAnnounceOf(l.Name))) >= strict {
		return nil
	}
	return found(api.LevelWarning, fmt.Sprintf("%s: arp_announce is off, and %s of a virtual router is on another interface, too", l.Name, a),
		"when a server of this host answers from it, the host asks for its neighbours in that name, and they send to it what is for the master",
		sysctl(arpAnnounceOf(l.Name), "2"))
}

// routerNear is the first IPv4 address of virtual routers in a network of an interface for which something holds;
// zero: there is none.
func (h host) routerNear(l model.Link, holds func(model.VRRPWant, netip.Addr) bool) netip.Addr {
	if !l.Up || l.Loopback {
		return netip.Addr{}
	}
	for _, r := range h.desired.VRRP {
		for _, p := range r.Addresses {
			near := func(n netip.Prefix) bool { return !n.IsSingleIP() && n.Contains(p.Addr()) }
			if p.Addr().Is4() && slices.ContainsFunc(l.Prefixes, near) && holds(r, p.Addr()) {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}

// heldAside tells whether an address of a virtual router is on another interface than its own: there it stays when
// another director is master. The one that weir makes for a virtual MAC goes then.
func (h host) heldAside(r model.VRRPWant, a netip.Addr) bool {
	return slices.ContainsFunc(h.Network.Links, func(l model.Link) bool {
		own := l.Name == r.Interface || r.VirtualMAC && l.MAC == r.MAC()
		return !own && slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// balances tells whether the program sees what comes in on an interface: on a VLAN device by the one below.
func (h host) balances(l model.Link) bool {
	return slices.ContainsFunc(h.interfaces, func(n nic) bool { return n.Index == l.Index || n.Index == l.Parent })
}
