// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// Look reads the host's network once, with the ways to the addresses of follow, and whether routes are there.
func Look(follow []model.Addr, tracked ...model.TrackRoute) (model.Network, error) {
	handle, err := open()
	if err != nil {
		return model.Network{}, err
	}
	defer handle.Close()
	network, err := look(handle, follow)
	if err != nil {
		return model.Network{}, err
	}
	if network.Tracked, err = readTracked(tracked, network.Links); err != nil {
		return model.Network{}, err
	}
	known, err := readNeighbours(handle)
	if err != nil {
		return model.Network{}, err
	}
	network.Neighbours = only(known, nextHops(network))
	return network, nil
}

// look reads everything but the neighbours, and the routes that are tracked.
func look(handle *netlink.Handle, follow []model.Addr) (model.Network, error) {
	links, err := readLinks(handle)
	if err != nil {
		return model.Network{}, err
	}
	routes, err := readRoutes(handle, follow)
	if err != nil {
		return model.Network{}, err
	}
	return model.Network{Links: links, Routes: routes, Following: follow}, nil
}

func readLinks(handle *netlink.Handle) ([]model.Link, error) {
	list, err := dumpLinks(handle)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	addrs, err := dumpAddrs(handle)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	prefixes := prefixesByLink(addrs)
	out := make([]model.Link, 0, len(list))
	for _, l := range list {
		link := toLink(l)
		link.Prefixes = prefixes[link.Index]
		out = append(out, link)
	}
	slices.SortFunc(out, func(a, b model.Link) int { return a.Index - b.Index })
	return out, nil
}

func toLink(l netlink.Link) model.Link {
	attrs := l.Attrs()
	link := model.Link{
		Name:     attrs.Name,
		Index:    attrs.Index,
		MAC:      toMAC(attrs.HardwareAddr),
		MTU:      attrs.MTU,
		Up:       isUp(attrs),
		Loopback: attrs.Flags&net.FlagLoopback != 0,
	}
	if vlan, ok := l.(*netlink.Vlan); ok {
		link.Parent, link.VLAN = parentOf(attrs), tagOf(vlan)
	}
	return link
}

// parentOf is the index of the interface below: in another namespace it means nothing here.
func parentOf(attrs *netlink.LinkAttrs) int {
	if attrs.NetNsID >= 0 || attrs.ParentIndex == 0 {
		return model.ElsewhereParent
	}
	return attrs.ParentIndex
}

// tagOf is the tag of a VLAN device of IEEE 802.1Q; 0: it is of another kind, such as 802.1ad.
func tagOf(vlan *netlink.Vlan) uint16 {
	if vlan.VlanProtocol != netlink.VLAN_PROTOCOL_8021Q && vlan.VlanProtocol != netlink.VLAN_PROTOCOL_UNKNOWN {
		return 0
	}
	return uint16(vlan.VlanId)
}

// isUp reports whether packets can go through: switched on, and with a carrier.
func isUp(attrs *netlink.LinkAttrs) bool {
	return attrs.Flags&net.FlagUp != 0 && attrs.RawFlags&unix.IFF_RUNNING != 0
}

func prefixesByLink(addrs []netlink.Addr) map[int][]netip.Prefix {
	out := map[int][]netip.Prefix{}
	for _, a := range addrs {
		if prefix, ok := toPrefix(a.IPNet); ok {
			out[a.LinkIndex] = append(out[a.LinkIndex], prefix)
		}
	}
	for _, prefixes := range out {
		slices.SortFunc(prefixes, netip.Prefix.Compare)
	}
	return out
}

func toPrefix(ipnet *net.IPNet) (netip.Prefix, bool) {
	if ipnet == nil {
		return netip.Prefix{}, false
	}
	addr, ok := toAddr(ipnet.IP)
	bits, _ := ipnet.Mask.Size()
	return netip.PrefixFrom(addr, bits), ok
}

// readRoutes asks the kernel for the way to each address. An address without a way has no entry.
func readRoutes(handle *netlink.Handle, follow []model.Addr) (map[model.Addr]model.Route, error) {
	out := make(map[model.Addr]model.Route, len(follow))
	for _, a := range follow {
		list, err := handle.RouteGet(a.AsSlice())
		switch {
		case isUnroutable(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("route to %s: %w", a, err)
		}
		if route, ok := toRoute(list); ok {
			out[a] = route
		}
	}
	return out, nil
}

// isUnroutable reports whether the kernel's answer is that it has no way, or a way that ends:
// unreachable, prohibit, blackhole or throw routes, or an interface that went down.
func isUnroutable(err error) bool {
	answers := []syscall.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL, unix.EAGAIN, unix.ENETDOWN, unix.ENODEV}
	for _, errno := range answers {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func toRoute(list []netlink.Route) (model.Route, bool) {
	if len(list) == 0 {
		return model.Route{}, false
	}
	r := list[0]
	if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_LOCAL {
		return model.Route{}, false
	}
	route := model.Route{Link: r.LinkIndex, Local: r.Type == unix.RTN_LOCAL, MTU: r.MTU}
	route.Gateway, _ = toAddr(r.Gw)
	if via, ok := r.Via.(*netlink.Via); ok { // an IPv4 route through an IPv6 router
		route.Gateway, _ = toAddr(via.Addr)
	}
	route.Source, _ = toAddr(r.Src)
	return route, true
}

// readNeighbours returns every neighbour whose MAC the kernel knows.
func readNeighbours(handle *netlink.Handle) (map[model.Hop]model.MAC, error) {
	list, err := dumpNeighbours(handle)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	out := map[model.Hop]model.MAC{}
	for _, n := range list {
		hop, ok := toHop(n)
		if mac := validMAC(n); ok && mac != (model.MAC{}) {
			out[hop] = mac
		}
	}
	return out, nil
}

func toHop(n netlink.Neigh) (model.Hop, bool) {
	address, ok := toAddr(n.IP)
	return model.Hop{Link: n.LinkIndex, Address: address}, ok
}

// validMAC is the neighbour's MAC as far as the kernel itself would send to it; zero: it would not.
func validMAC(n netlink.Neigh) model.MAC {
	const valid = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE |
		netlink.NUD_PERMANENT
	if n.State&valid == 0 {
		return model.MAC{}
	}
	return toMAC(n.HardwareAddr)
}

// nextHops are the neighbours on the ways to the followed addresses.
func nextHops(network model.Network) map[model.Hop]bool {
	out := map[model.Hop]bool{}
	for address, route := range network.Routes {
		if route.Local {
			continue
		}
		if route.Gateway.IsValid() {
			address = route.Gateway
		}
		out[model.Hop{Link: route.Link, Address: address}] = true
	}
	return out
}

// only returns the neighbours that are among hops.
func only(known map[model.Hop]model.MAC, hops map[model.Hop]bool) map[model.Hop]model.MAC {
	out := make(map[model.Hop]model.MAC, len(hops))
	for hop := range hops {
		if mac, ok := known[hop]; ok {
			out[hop] = mac
		}
	}
	return out
}

// sameNetwork reports whether two looks saw the same.
func sameNetwork(a, b model.Network) bool {
	return slices.EqualFunc(a.Links, b.Links, sameLink) &&
		maps.Equal(a.Routes, b.Routes) &&
		maps.Equal(a.Neighbours, b.Neighbours) &&
		maps.Equal(a.Tracked, b.Tracked) &&
		slices.Equal(a.Following, b.Following)
}

func sameLink(a, b model.Link) bool { return reflect.DeepEqual(a, b) }
