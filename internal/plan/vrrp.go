// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// virtualRouters are those of the Spec, each with its interface as it is now, and what keeps it from taking part.
func virtualRouters(spec model.Spec, seen model.Seen, standings map[model.ServiceKey]model.Standing, interfaces []model.InterfaceWant, sessions []model.BFDWant) []model.VRRPWant {
	var out []model.VRRPWant
	network, ofGroups := seen.Network, groupTracks(spec.VirtualRouters)
	for _, r := range spec.VirtualRouters {
		want := model.VRRPWant{VirtualRouter: r, Written: r.Priority}
		if r.Auth.KeyFile != "" {
			want.Revision = spec.Revision
		}
		link, wrong := linkOf(network, r.Interface)
		want.Link, want.Fault = link.Index, wrong
		if want.Fault == "" {
			want.Source, want.Fault = sourceOf(spec, r, network, link)
		}
		if want.Fault == "" && r.VirtualMAC && link.MAC == (model.MAC{}) {
			want.Fault = "interface " + r.Interface + " has no MAC, so there is none that could be virtual"
		}
		tracks := r.Track
		if r.Group != "" {
			tracks = ofGroups[r.Group]
		}
		want.Ways = waysOf(spec, r, network)
		track(&want, tracks, sight{seen, standings, interfaces, sessions})
		out = append(out, want)
	}
	return out
}

// waysOf are its paths with their interfaces as they are now. One that cannot be used is no fault: the others are there.
func waysOf(spec model.Spec, r model.VirtualRouter, network model.Network) (out []model.VRRPWay) {
	for _, p := range r.Paths {
		way := model.VRRPWay{VRRPPath: p}
		link, wrong := linkOf(network, p.Interface)
		way.Link, way.Fault = link.Index, wrong
		if wrong == "" {
			way.Source, way.Fault = wayFrom(spec, p, network, link)
		}
		out = append(out, way)
	}
	return out
}

// wayFrom is the address of a path that adverts come from: the given one, or that in the network of the peer, from where
// alone he can be reached with a TTL of 255.
func wayFrom(spec model.Spec, p model.VRRPPath, network model.Network, link model.Link) (source model.Addr, fault string) {
	if p.Source.IsValid() {
		return p.Source, sourceFault(network, p.Source)
	}
	return ownBeside(spec, link, p.Peer)
}

// ownBeside is the interface's own address in the network of a peer.
func ownBeside(spec model.Spec, link model.Link, peer model.Addr) (own model.Addr, fault string) {
	for _, p := range link.Prefixes {
		if p.Contains(peer) && p.Addr() != peer && stays(spec, p.Addr()) {
			return p.Addr(), ""
		}
	}
	return own, fmt.Sprintf("interface %s has no address in a network with %s", link.Name, peer)
}

// sourceOf is the address that adverts come from: the given one, or the first of the interface's that stays with this
// host, of IPv6 link-local (RFC 9568, section 5.1.2.1), but for peers that are not: who names this host in the same
// network believes nobody else. Virtual addresses are none: they are the master's, whoever that
// is (section 5.1.1.1); but to their owner they are his own, if he has no other. Without one there is a fault.
func sourceOf(spec model.Spec, r model.VirtualRouter, network model.Network, link model.Link) (source model.Addr, fault string) {
	if r.Source.IsValid() {
		return r.Source, sourceFault(network, r.Source)
	}
	v6 := r.Addresses[0].Addr().Is6()
	if v6 && len(r.Peers) > 0 && !r.Peers[0].IsLinkLocalUnicast() {
		return ownBeside(spec, link, r.Peers[0])
	}
	for _, p := range link.Prefixes {
		switch a := p.Addr(); {
		case a.Is6() != v6 || v6 && !a.IsLinkLocalUnicast():
		case stays(spec, a):
			return a, ""
		case r.IsOwner() && routes(r, a) && !source.IsValid():
			source = a
		}
	}
	switch {
	case source.IsValid():
		return source, ""
	case v6:
		return source, "interface " + link.Name + " has no link-local address to send adverts from"
	}
	return source, "interface " + link.Name + " has no IPv4 address of its own to send adverts from"
}

// sourceFault is about a source that is written; none is as well.
func sourceFault(network model.Network, source model.Addr) string {
	if source.IsValid() && !holds(network, source) {
		return "source " + source.String() + " is no address of this host"
	}
	return ""
}

func holds(network model.Network, a model.Addr) bool {
	return slices.ContainsFunc(network.Links, func(l model.Link) bool {
		return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// stays tells whether an address stays with this host, whoever is master.
func stays(spec model.Spec, a model.Addr) bool {
	return routerOf(spec, a) == nil && !slices.ContainsFunc(keys(spec), func(k model.ServiceKey) bool { return k.Address == a })
}

// routes tells whether an address is one of a virtual router's.
func routes(r model.VirtualRouter, a model.Addr) bool {
	return slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
}

// routerOf is the virtual router that has an address; nil: none has.
func routerOf(spec model.Spec, a model.Addr) *model.VirtualRouter {
	i := slices.IndexFunc(spec.VirtualRouters, func(r model.VirtualRouter) bool { return routes(r, a) })
	if i < 0 {
		return nil
	}
	return &spec.VirtualRouters[i]
}

// mastered are the virtual routers, by name, whose addresses are this director's now. One of which nothing was
// heard yet is not among them, nor one that cannot take part any more and has not said so yet.
func mastered(routers []model.VRRPWant, seen map[string]model.VRRPSeen) map[string]bool {
	out := map[string]bool{}
	for _, r := range routers {
		if r.Fault == "" && seen[r.Name].State == model.VRRPMaster {
			out[r.Name] = true
		}
	}
	return out
}

// handover is whose addresses are wanted here, and whose services. Where an address is, its services are served: they
// begin before it comes and end after it is gone, or the host would reset the connections of clients in between.
func handover(mastered map[string]bool, seen model.Seen) (holding, balancing map[string]bool) {
	holding, balancing = map[string]bool{}, maps.Clone(seen.Held)
	if balancing == nil {
		balancing = map[string]bool{}
	}
	for name := range mastered {
		balancing[name] = true
		if seen.Balanced[name] {
			holding[name] = true
		}
	}
	return holding, balancing
}

// handedOver is what may be true of the virtual routers while the newest wish is on its way: an address that is to
// come may be there, and services that are to go may be gone, or be served still.
func handedOver(seen model.Seen, desired model.Desired) (balanced, served, held map[string]bool) {
	balanced = maps.Clone(seen.Balanced)
	maps.DeleteFunc(balanced, func(name string, _ bool) bool { return !desired.Dataplane.Routers[name] })
	return balanced, either(desired.Dataplane.Routers, seen.Served), either(desired.Address.Routers, seen.Held)
}

func either(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// routerVIPs are all addresses of the virtual routers that are held here: those that no service has, too.
func routerVIPs(spec model.Spec, holding map[string]bool) (out []model.VIP) {
	for _, r := range spec.VirtualRouters {
		if !holding[r.Name] {
			continue
		}
		for _, p := range r.Addresses {
			vip := model.VIP{Address: p.Addr(), Interface: r.Interface, MAC: r.MAC()}
			if !p.IsSingleIP() && !r.VirtualMAC { // a second way into a network would compete with the interface's
				vip.Bits = p.Bits()
			}
			out = append(out, vip)
		}
	}
	return out
}

// closed are the addresses that virtual routers have for services alone. They are so on a backup already, which
// has them never, or for its server's sake.
func closed(spec model.Spec) (out []model.ClosedAddress) {
	for _, r := range spec.VirtualRouters {
		if !r.Closed {
			continue
		}
		for _, p := range r.Addresses {
			others := func(k model.ServiceKey) bool { return k.Address != p.Addr() }
			out = append(out, model.ClosedAddress{Address: p.Addr(), Services: slices.DeleteFunc(keys(spec), others)})
		}
	}
	return out
}

// lingers is for how long clients may send to a director that is not master any more: the new one announces the
// addresses ten times in as many seconds.
const lingers = 10 * time.Second

// lingering are the virtual routers that were master here a moment ago, and when that will be long ago for the next one.
func lingering(ceased map[string]time.Time, now time.Time) (out map[string]bool, next time.Time) {
	out = map[string]bool{}
	for name, at := range ceased {
		if until := at.Add(lingers); now.Before(until) {
			out[name] = true
			next = earlier(next, until)
		}
	}
	return out, next
}

// ceased is of those only whose services are not served here: the others have not left them yet, and the path has nothing
// to do for their turn alone. Who is master, and is without its interface since a moment ago, has not ceased since then.
func ceased(seen model.Seen, balancing map[string]bool) map[string]time.Time {
	out := map[string]time.Time{}
	for name, at := range seen.Ceased {
		if !balancing[name] && seen.VRRP[name].State != model.VRRPMaster {
			out[name] = at
		}
	}
	return out
}

// retire leaves to the kernel what another director balances: services with an address of a virtual router that is
// not served here. All else is as the master has it, so that nothing is to be done but this when it becomes one.
//
// For a while its path goes on with what still comes: clients, or their router, have not heard of the new master yet, and
// there may be none before its skew is over. Where this host is a real server, too, and has the address still, its kernel
// would reset the connections of the other servers.
func retire(services []model.ServiceWant, leased map[model.Addr]string, balancing, lingering map[string]bool, besideLVS bool) {
	for i := range services {
		s := &services[i]
		s.Serving, s.Lingers = true, true
		for _, k := range s.Keys() {
			if router, ok := leased[k.Address]; ok && !balancing[router] {
				s.Serving, s.Lingers = false, s.Lingers && lingering[router]
			}
		}
		s.Lingers = s.Lingers && !s.Serving
		if s.Lingers && !goesByHash(*s, besideLVS) {
			s.Unknown = model.PassUnknown
		}
	}
}

// goesByHash says whether what begins at a director that lingers may go where the hash of its flow says, as its next
// packet does at the new master, which does not know it. Not where a client has, or a scheduler means, a certain server,
// nor where that next packet begins anew, nor where the new master may be a director of LVS, which knows no such hash: it
// comes again when the new master is there. A host that has the address itself would refuse it.
func goesByHash(s model.ServiceWant, besideLVS bool) bool {
	if slices.ContainsFunc(s.Servers, func(w model.ServerWant) bool { return w.Local }) {
		return true
	}
	return !besideLVS && s.Scheduler.Deals() && s.Persistence == (model.Persistence{}) && (s.Key.Protocol != model.UDP || s.OnePacket)
}

// leadsToRouter tells whether a link is where the addresses of a virtual router are, or will be, that a service has.
func leadsToRouter(spec model.Spec, link model.Link) bool {
	return slices.ContainsFunc(spec.VirtualRouters, func(r model.VirtualRouter) bool {
		return r.Interface == link.Name &&
			slices.ContainsFunc(keys(spec), func(k model.ServiceKey) bool { return routes(r, k.Address) })
	})
}

// linkOf is an interface, and why nothing goes by it; "": it does.
func linkOf(network model.Network, name string) (link model.Link, wrong string) {
	link, found := linkByName(network, name)
	switch {
	case !found:
		wrong = "interface " + name + " is missing"
	case !link.Up:
		wrong = "interface " + name + " is down"
	}
	return link, wrong
}

func linkByName(network model.Network, name string) (model.Link, bool) {
	i := slices.IndexFunc(network.Links, func(l model.Link) bool { return l.Name == name })
	if i < 0 {
		return model.Link{}, false
	}
	return network.Links[i], true
}

// routerProblems are virtual routers that cannot take part, that meet somebody who must not be there, and that have
// addresses which nobody on their interface looks for there.
func routerProblems(spec model.Spec, routers []model.VRRPWant, seen map[string]model.VRRPSeen, network model.Network) (out []model.Problem) {
	for _, r := range routers {
		what, now := "virtual router "+r.Name, seen[r.Name]
		if why := faultOf(r, now); why != "" {
			out = append(out, model.Problem{What: what + " is in fault", Why: why,
				Fix: "remove the cause; weir takes part again by itself"})
		}
		if now.Unsaid != "" {
			out = append(out, model.Problem{What: what + " cannot advertise", Why: now.Unsaid,
				Fix: "let IP protocol 112 out (firewall), and correct `peers:`; weir tries again by itself"})
		}
		if r.Tracked != "" && r.Fault == "" {
			out = append(out, model.Problem{What: fmt.Sprintf("%s has priority %d, not its best", what, r.Priority), Why: r.Tracked,
				Fix: "remove the cause; the priority follows by itself"})
		}
		if r.Unknown != "" {
			out = append(out, model.Problem{What: what + " does not know how something stands that it tracks", Why: r.Unknown,
				Fix: "remove the cause; weir tries again by itself, and until then what was known counts"})
		}
		if now.Held != "" {
			out = append(out, model.Problem{What: what + " does not take over from a master who is silent", Why: now.Held, Fix: heldFix(r)})
		}
		if now.Silent != "" {
			out = append(out, model.Problem{What: what + " is less guarded against two masters than it should be", Why: now.Silent,
				Fix: "repair the path, or see whether the witness lives (`weir vrrp` on the other director shows the same from there); what is not meant any more, take out of `paths:` and `witness:`"})
		}
		if now.Conflict != "" {
			out = append(out, model.Problem{What: what + " is in conflict", Why: now.Conflict,
				Fix: cmp.Or(now.ConflictFix, fmt.Sprintf("give it another `id:` than %d on all of its directors, or have all of them say the same", r.ID))})
		}
		out = append(out, unheard(spec, r)...)
		if link, ok := linkByIndex(network, r.Link); ok {
			out = append(out, strays(spec, r.VirtualRouter, link)...)
		}
	}
	return out
}

// heldFix: what holds it back is an answer, the want of one, or a program.
func heldFix(r model.VRRPWant) string {
	fix := "see what the other director says (`weir vrrp`): if it is master, mend the way of its adverts; if it is dead and this one is not cut off, correct `witness:` and `weir reload`"
	if r.Fence.Path != "" {
		fix += "; when the other one is surely off, take `fence:` out and `weir reload`"
	}
	return fix
}

// faultOf is why a virtual router takes no part; "": it does.
func faultOf(want model.VRRPWant, seen model.VRRPSeen) string {
	if want.Fault == "" && seen.State == model.VRRPFault {
		return seen.Why
	}
	return want.Fault
}

// unheard is an owner of IPv4 addresses whose adverts come from one of them: whoever has taken over has it, and a kernel
// takes in nothing from an address of its own host.
func unheard(spec model.Spec, r model.VRRPWant) []model.Problem {
	if !r.IsOwner() || r.Fault != "" || !r.Source.Is4() || routerOf(spec, r.Source) == nil {
		return nil
	}
	return []model.Problem{{
		What: "virtual router " + r.Name + " advertises from a virtual address",
		Why:  fmt.Sprintf("whoever takes over has %s, too, and does not hear what comes from there: both are master when this director is back", r.Source),
		Fix:  fmt.Sprintf("give %s another IPv4 address to advertise from, and name none that is virtual in `source:`", r.Interface),
	}}
}

// strays are addresses of a virtual router that are in no network of its interface: who is there does not ask for
// them. One that brings its own network is none.
func strays(spec model.Spec, r model.VirtualRouter, link model.Link) (out []model.Problem) {
	for _, p := range r.Addresses {
		near := slices.ContainsFunc(link.Prefixes, func(n netip.Prefix) bool {
			return !n.IsSingleIP() && n.Contains(p.Addr()) && routerOf(spec, n.Addr()) == nil
		})
		if near || !p.IsSingleIP() && !r.VirtualMAC {
			continue
		}
		out = append(out, model.Problem{
			What: fmt.Sprintf("virtual router %s: address %s", r.Name, p.Addr()),
			Why:  fmt.Sprintf("no network of %s has it: nobody there asks for it, and only a route leads to it", link.Name),
			Fix:  strayFix(r, p.Addr()),
		})
	}
	return out
}

func strayFix(r model.VirtualRouter, a model.Addr) string {
	if r.VirtualMAC {
		return fmt.Sprintf("correct it, or give %s an address in its network: with `mac: virtual` an address brings none", r.Interface)
	}
	return fmt.Sprintf("correct it, or write it with the length of its network (%s/…)", a)
}

// ownARP are the interfaces with addresses that are at another MAC when they are here: the interface would answer for
// them, too. It is so on a backup already, lest it does for a moment.
func ownARP(routers []model.VRRPWant) (out []string) {
	for _, r := range routers {
		if r.VirtualMAC && r.Link != 0 && !slices.Contains(out, r.Interface) {
			out = append(out, r.Interface)
		}
	}
	return out
}

// virtualMACs lets interfaces take what is sent to those of virtual routers whose services are served here.
func virtualMACs(interfaces []model.InterfaceWant, routers []model.VRRPWant, balancing map[string]bool) {
	for i := range interfaces {
		for _, r := range routers {
			if r.VirtualMAC && r.Link == interfaces[i].Index && balancing[r.Name] {
				interfaces[i].VirtualMACs = append(interfaces[i].VirtualMACs, r.MAC())
			}
		}
	}
}
