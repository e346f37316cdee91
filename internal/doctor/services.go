// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// daemon hands on what it says of itself.
func daemon(h host) []api.Finding {
	switch {
	case h.Daemon.Silent != "":
		return found(api.LevelWarning, "the daemon cannot be asked: "+h.Daemon.Silent,
			"what it knows of interfaces and servers is missing here", "sudo weir status")
	case !h.runs():
		return found(api.LevelNote, "no daemon listens", "what only shows while it runs was not looked at", "weir run -c "+orDefault(h.Host.Pins.Config))
	}
	var out []api.Finding
	for _, p := range h.Daemon.Status.Problems {
		out = append(out, found(api.LevelError, p.What, p.Why, p.Fix)...)
	}
	return orFine(out, "runs, revision %d, no problems", h.Daemon.Status.Applied)
}

// configuration is what this host cannot give. A daemon that runs has said it already.
func configuration(h host) []api.Finding {
	if h.Spec == nil {
		return found(api.LevelNote, "there is no configuration", "services, servers and the ways to them were not looked at",
			"weir doctor -c "+orDefault(h.Host.Pins.Config))
	}
	var out []api.Finding
	if !h.runs() {
		for _, p := range h.desired.Problems {
			if !h.isOfRouter(p) {
				out = append(out, found(api.LevelError, p.What, p.Why, p.Fix)...)
			}
		}
		out = append(out, h.wayless()...)
	}
	return orFine(out, "%d services, %d servers", len(h.Spec.Services), len(h.Spec.ServerAddresses()))
}

// wayless are servers to which the host has no route, unless the plan has said so of them.
func (h host) wayless() []api.Finding {
	var out []api.Finding
	for _, a := range h.Spec.ServerAddresses() {
		_, ok := h.way(a)
		told := slices.ContainsFunc(h.desired.Problems, func(p model.Problem) bool {
			return strings.Contains(p.What+" "+p.Why, a.String())
		})
		if !ok && !told {
			out = append(out, found(api.LevelError, fmt.Sprintf("no route to server %s", a), "it gets no packets",
				fmt.Sprintf("ip route get %s # and give an interface an address of its subnet, or add a route", a))...)
		}
	}
	return out
}

// usual is what clients of the Internet send at the most; more is lowered on its way.
const usual = 1500

// mtu looks at the ways to the servers: is there room for what clients send?
func mtu(h host) []api.Finding {
	if h.Spec == nil {
		return fine("without a configuration there is nothing that must fit")
	}
	var out []api.Finding
	for _, s := range h.Spec.Services {
		out = append(out, h.narrow(s)...)
	}
	return orFine(out, "packets of clients fit on the ways to the servers")
}

// narrow finds the interfaces towards a service's servers on which packets do not fit, each once:
// with the largest tunnel on it.
func (h host) narrow(s model.Service) []api.Finding {
	tunnels := map[int]int{} // overhead by index of the interface
	for _, server := range s.Servers {
		way, ok := h.way(server.Key.Address)
		if !ok || way.Local {
			continue
		}
		overhead := 0
		if server.Forwarding == model.TUN {
			overhead = server.Tunnel.Overhead(server.Key.Address)
		}
		tunnels[way.Link] = max(tunnels[way.Link], overhead)
	}
	var out []api.Finding
	for _, l := range h.Network.Links {
		if overhead, used := tunnels[l.Index]; used {
			out = append(out, h.room(s, l, overhead)...)
		}
	}
	return out
}

// Smallest path MTUs that a sender believes: RFC 1191 section 3 and what Linux makes of it, RFC 8200
// section 5.
const (
	least4 = 576
	least6 = 1280
)

func (h host) room(s model.Service, l model.Link, overhead int) []api.Finding {
	client, room, least := h.clientMTU(s), l.MTU-overhead, least4
	if s.Key.Address.Is6() {
		least = least6
	}
	what := fmt.Sprintf("%s: packets of %d bytes do not fit on %s: its MTU is %d", s.Name, client, l.Name, l.MTU)
	if overhead > 0 {
		what += fmt.Sprintf(", the tunnel takes %d", overhead)
	}
	fix := fmt.Sprintf("ip link set dev %s mtu %d # and on the servers and switches there", l.Name, client+overhead)
	switch {
	case room >= client:
		return nil
	case room < least:
		return found(api.LevelError, what, fmt.Sprintf("%d bytes are left, and no sender believes that less than %d fit", room, least), fix)
	case l.MTU < client:
		return found(api.LevelWarning, what, "larger ones are answered with packet too big; who does not hear that, hangs", fix)
	case !s.Speaks(model.UDP) && s.Key.IsAnyDestination():
		return found(api.LevelNote, what, "without `mss:` in the service each connection first learns it by packet too big", fix)
	case !s.Speaks(model.UDP):
		return found(api.LevelNote, what,
			"`weir realserver up` on the servers makes clients send smaller segments; without it each connection first learns it by packet too big", fix)
	}
	return found(api.LevelWarning, what, "datagrams cannot be made smaller by the servers: clients must heed packet too big", fix)
}

// clientMTU is the largest packet that clients of a service send, to whichever of its addresses.
func (h host) clientMTU(s model.Service) (most int) {
	for _, key := range s.Keys() {
		most = max(most, h.clientMTUOf(key.Address))
	}
	return most
}

func (h host) clientMTUOf(vip netip.Addr) int {
	for _, v := range h.desired.Address.VIPs {
		if l := h.link(h.device(v.Interface).Index); v.Address == vip && v.Interface != loopback && l.MTU > 0 {
			return min(l.MTU, usual)
		}
	}
	return usual
}

// device finds one by its name.
func (h host) device(name string) address.Device {
	for _, d := range h.Devices {
		if d.Name == name {
			return d
		}
	}
	return address.Device{}
}

// serversOf are the servers of all services of an address.
func (h host) serversOf(vip netip.Addr) []model.Server {
	var out []model.Server
	for _, s := range h.Spec.Services {
		if slices.ContainsFunc(s.Keys(), func(k model.ServiceKey) bool { return k.Address == vip }) {
			out = append(out, s.Servers...)
		}
	}
	return out
}

// oneArmNAT: a client in the servers' subnet gets the answer directly, from an address that it never
// asked.
func oneArmNAT(h host) []api.Finding {
	var out []api.Finding
	for _, n := range h.natSubnets() {
		fix := fmt.Sprintf("ip route add %s dev DEV && ip route replace %s via %s dev DEV # on each server there; or forwarding: dr",
			netip.PrefixFrom(n.director, n.director.BitLen()), n.subnet, n.director)
		if client := h.clientIn(n); client != "" {
			out = append(out, found(api.LevelError, fmt.Sprintf("client %s is in the subnet of its NAT servers, %s", client, n.subnet),
				"they answer it directly, and it resets what it did not ask for", fix)...)
		} else if n.subnet.Contains(n.vip) {
			out = append(out, found(api.LevelNote, fmt.Sprintf("%s and its NAT servers share %s", n.vip, n.subnet),
				"clients in that subnet would be answered directly, past the director, and get no connection", fix)...)
		}
	}
	return orFine(out, "no NAT servers beside their clients")
}

// natSubnet is where servers of a service by NAT are.
type natSubnet struct {
	vip      netip.Addr
	subnet   netip.Prefix
	director netip.Addr // this host's address there
	servers  []model.ServerKey
}

// natSubnets are those to which this host has no router.
func (h host) natSubnets() []natSubnet {
	var out []natSubnet
	if h.Spec == nil {
		return nil
	}
	for _, s := range h.Spec.Services {
		for _, server := range s.Servers {
			own, ok := h.onLink(server.Key.Address)
			if server.Forwarding != model.NAT || !ok {
				continue
			}
			for _, vip := range addresses(s) {
				out = with(out, natSubnet{vip: vip, subnet: own.Masked(), director: own.Addr()}, server.Key)
			}
		}
	}
	return out
}

// with adds a server to its subnet.
func with(list []natSubnet, n natSubnet, server model.ServerKey) []natSubnet {
	i := slices.IndexFunc(list, func(o natSubnet) bool { return o.vip == n.vip && o.subnet == n.subnet })
	if i < 0 {
		i, list = len(list), append(list, n)
	}
	list[i].servers = append(list[i].servers, server)
	return list
}

// addresses are those of a service, each once.
func addresses(s model.Service) (out []netip.Addr) {
	for _, key := range s.Keys() {
		if !slices.Contains(out, key.Address) {
			out = append(out, key.Address)
		}
	}
	return out
}

// onLink is this host's own address in the subnet of a neighbour; false: a is none.
func (h host) onLink(a netip.Addr) (netip.Prefix, bool) {
	way, ok := h.way(a)
	if !ok || way.Local || way.Gateway.IsValid() {
		return netip.Prefix{}, false
	}
	for _, p := range h.link(way.Link).Prefixes {
		if p.Contains(a) && !p.IsSingleIP() {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// clientIn is one that has a connection with a server of its own subnet; "": none of those that were
// looked at.
func (h host) clientIn(n natSubnet) string {
	for _, c := range h.Daemon.Clients {
		client, err1 := netip.ParseAddrPort(c.Client)
		virtual, err2 := netip.ParseAddrPort(c.Virtual)
		server, err3 := netip.ParseAddrPort(c.Server)
		if err1 != nil || err2 != nil || err3 != nil || (virtual.Addr() != n.vip && !n.vip.IsUnspecified()) || !n.subnet.Contains(client.Addr()) {
			continue
		}
		if slices.ContainsFunc(n.servers, func(k model.ServerKey) bool { return k.Address == server.Addr() }) {
			return client.Addr().String()
		}
	}
	return ""
}

// ownClient: what this host itself sends to a virtual address of its own passes no interface, so no
// program sees it.
func ownClient(h host) []api.Finding {
	held := h.heldVIPs()
	if len(held) == 0 {
		return fine("this host holds no virtual address")
	}
	var texts []string
	for _, a := range held {
		texts = append(texts, a.String())
	}
	return found(api.LevelNote, "this host is no client of its own virtual addresses: "+strings.Join(texts, ", "),
		"what it sends to them ends in its own stack, and is refused unless a program of its own listens there; clients elsewhere are served",
		h.askDirectly(held[0]))
}

func (h host) heldVIPs() []netip.Addr {
	var out []netip.Addr
	for _, vip := range h.desired.Address.VIPs {
		held := slices.ContainsFunc(h.Network.Links, func(l model.Link) bool {
			return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Addr() == vip.Address })
		})
		if held {
			out = append(out, vip.Address)
		}
	}
	return out
}

// askDirectly is how to try a server from here.
func (h host) askDirectly(vip netip.Addr) string {
	for _, s := range h.Spec.Services {
		i := slices.IndexFunc(s.Keys(), func(k model.ServiceKey) bool { return k.Address == vip && k.Port != model.AnyPort })
		if i >= 0 && len(s.Servers) > 0 {
			return fmt.Sprintf("nc -vz %s %d # asks a server itself; ask the virtual address from another host", s.Servers[0].Key.Address, port(s, s.Keys()[i]))
		}
	}
	return fmt.Sprintf("ip route get %s # ask it from another host", vip)
}

// port is that of a service's first server for a key.
func port(s model.Service, asked model.ServiceKey) uint16 {
	if p := s.Servers[0].Key.Port; p != model.AnyPort {
		return p
	}
	return asked.Port
}

func isGlobal(p netip.Prefix) bool { return p.Addr().IsGlobalUnicast() }

// sortFindings is for those that were made in no order.
func sortFindings(list []api.Finding) {
	slices.SortFunc(list, func(a, b api.Finding) int { return strings.Compare(a.What, b.What) })
}
