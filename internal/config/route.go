// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// trackRoute is a destination, or a map with one.
func (s scope) trackRoute(n *yaml.Node) model.Tracked {
	values := s.routeValues(n, `write "route: 0.0.0.0/0"`, trackRouteKeys)
	if values == nil {
		return nil
	}
	out := model.TrackRoute{Table: model.MainTable}
	var ok bool
	if out.To, ok = s.routeTo(values["to"]); !ok {
		return nil
	}
	out.Via = s.routeVia(values["via"], out.To)
	if link := values["interface"]; link != nil {
		out.Interface, _ = s.interfaceName(link)
	}
	if table := values["table"]; table != nil {
		out.Table = s.routeTable(table)
	}
	return out
}

// routeValues is nil after a complaint.
func (s scope) routeValues(n *yaml.Node, hint string, keys vocabulary) map[string]*yaml.Node {
	if isNull(n) {
		s.complain(n, mistake{"no destination", hint})
		return nil
	}
	return s.shortOrMap(n, "to", hint, keys)
}

// routeTo returns false after a complaint.
func (s scope) routeTo(n *yaml.Node) (netip.Prefix, bool) {
	text, ok := s.text(n, "to")
	if !ok {
		return netip.Prefix{}, false
	}
	prefix, m := parseDestination(text)
	s.complainIf(n, m)
	return prefix, m == nil
}

// parseDestination takes NETWORK/LENGTH, and an address for itself alone.
func parseDestination(text string) (netip.Prefix, *mistake) {
	host, length, found := strings.Cut(text, "/")
	address, err := netip.ParseAddr(host)
	switch {
	case text == "default":
		return netip.Prefix{}, &mistake{"default is said of both families", "write 0.0.0.0/0, or ::/0"}
	case strings.ContainsAny(text, " \t"):
		return netip.Prefix{}, &mistake{quote(text) + " is more than a destination", `write "{to: 10.8.0.0/16, via: 192.0.2.1}"`}
	case err != nil:
		return netip.Prefix{}, notAnAddress(host, err)
	case address.Zone() != "":
		return netip.Prefix{}, &mistake{"zones (%) are not needed", `write "interface:" beside it`}
	case address.Is4In6():
		return netip.Prefix{}, unfit(address)
	case !found:
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	if bits, ok := netmaskLength(length); ok && address.Is4() {
		return netip.Prefix{}, &mistake{length + " is a netmask", fmt.Sprintf("write its length: %s/%d", address, bits)}
	}
	bits, err := strconv.Atoi(length)
	if err != nil || !isDecimal(length) || bits < 0 || bits > address.BitLen() {
		return netip.Prefix{}, &mistake{fmt.Sprintf("%s is not the length of an %s network", quote(length), familyName(address)),
			fmt.Sprintf("from 0 to %d", address.BitLen())}
	}
	prefix := netip.PrefixFrom(address, bits)
	if prefix != prefix.Masked() {
		return netip.Prefix{}, &mistake{fmt.Sprintf("%s has bits behind its length", prefix), "write " + prefix.Masked().String()}
	}
	return prefix, nil
}

// routeVia is zero without a next hop, and after a complaint. An IPv4 route may have one of IPv6 (RFC 8950).
func (s scope) routeVia(n *yaml.Node, to netip.Prefix) model.Addr {
	if n == nil {
		return model.Addr{}
	}
	text, ok := s.text(n, "via")
	if !ok {
		return model.Addr{}
	}
	via, m := parseOneOnLink(text)
	if m == nil && via.Is4() && to.Addr().Is6() {
		m = &mistake{fmt.Sprintf("an IPv4 next hop to %s", to), "write one of IPv6"}
	}
	s.in("via").complainIf(n, m)
	if m != nil {
		return model.Addr{}
	}
	return via
}

// routeTable takes numbers, and the name that every host has for the one.
func (s scope) routeTable(n *yaml.Node) uint32 {
	const local = 255
	if n.Value == "main" {
		return model.MainTable
	}
	table, ok := s.number(n, "table", 1, math.MaxInt32)
	if ok && table == local {
		s.complain(n, mistake{"table 255 is the kernel's own, of this host's addresses", `write another one, or leave it out: "main" is the default`})
	}
	return uint32(table)
}

// routePairs are those that say which route it is, the destination first.
func routePairs(to netip.Prefix, via model.Addr, link string, table uint32) []pair {
	pairs := []pair{{"to", textNode(prefixText(to))}}
	if via.IsValid() {
		pairs = append(pairs, pair{"via", addressNode(via)})
	}
	if link != "" {
		pairs = append(pairs, pair{"interface", textNode(link)})
	}
	if table != model.MainTable {
		pairs = append(pairs, pair{"table", numberNode(int(table))})
	}
	return pairs
}

// trackRouteNode is short for a destination alone.
func trackRouteNode(t model.TrackRoute) *yaml.Node {
	pairs := routePairs(t.To, t.Via, t.Interface, t.Table)
	if len(pairs) == 1 {
		return pairs[0].value
	}
	return mapNode(pairs...)
}

// maxVirtualRoutes is how many a virtual router may have: more belong to a routing daemon.
const maxVirtualRoutes = 255

// placedRoute is a route of a virtual router, and where it stands.
type placedRoute struct {
	model.VirtualRoute
	node *yaml.Node
}

// virtualRoutes reads what the master has among its routes.
func (s scope) virtualRoutes(n *yaml.Node, of router) (out []placedRoute) {
	if n == nil {
		return nil
	}
	items := s.list(n, "routes")
	s.complainIf(n, emptyList(n, "routes", "leave it out: then the master has none of its own"))
	for i, item := range items {
		if i == maxVirtualRoutes {
			s.complain(item, mistake{fmt.Sprintf("more than %d routes", maxVirtualRoutes), "have a routing daemon bring them, and track one of them"})
			break
		}
		if one, ok := s.in("routes").virtualRoute(item, of); ok {
			out = append(out, one)
		}
	}
	return out
}

// virtualRoute is a destination on the link, or a map.
func (s scope) virtualRoute(n *yaml.Node, of router) (out placedRoute, ok bool) {
	values := s.routeValues(n, `write "{to: 10.8.0.0/16, via: 192.0.2.1}"`, virtualRouteKeys)
	if values == nil {
		return out, false
	}
	out.node, out.Table = n, model.MainTable
	if out.To, ok = s.routeTo(values["to"]); !ok {
		return out, false
	}
	out.Via = s.routeVia(values["via"], out.To)
	if via := values["via"]; via != nil && hasAddress(of, out.Via) {
		s.complain(via, mistake{fmt.Sprintf("via: %s is an address of the virtual router itself", out.Via), "write that of the router behind which the destination is"})
	}
	if link := values["interface"]; link != nil {
		out.Interface, _ = s.interfaceName(link)
	}
	out.Source = s.routeSource(values["source"], out.To)
	if metric := values["metric"]; metric != nil {
		number, _ := s.number(metric, "metric", 0, math.MaxInt32)
		out.Metric = uint32(number)
	}
	if table := values["table"]; table != nil {
		out.Table = s.routeTable(table)
	}
	return out, true
}

// routeSource is zero without one, and after a complaint. Whether this host has it shows when it is used.
func (s scope) routeSource(n *yaml.Node, to netip.Prefix) model.Addr {
	if n == nil {
		return model.Addr{}
	}
	text, ok := s.text(n, "source")
	if !ok {
		return model.Addr{}
	}
	source, m := parseOneOnLink(text)
	if m == nil && source.Is4() != to.Addr().Is4() {
		m = &mistake{fmt.Sprintf("%s for a route to %s", familyName(source), to), "write one of its family"}
	}
	s.in("source").complainIf(n, m)
	if m != nil {
		return model.Addr{}
	}
	return source
}

// checkVirtualRoutes refuses two that the kernel takes for one: a director may be master of both.
func (f *file) checkVirtualRoutes(routers []router) {
	type known struct {
		to            netip.Prefix
		table, metric uint32
	}
	first := map[known]placedRoute{}
	for _, r := range routers {
		for _, route := range r.routes {
			here := known{route.To, route.Table, route.KernelMetric()}
			if before, twice := first[here]; twice {
				f.complain(at(route.node), mistake{fmt.Sprintf("%s: routes: the destination %s is that in line %d, with the same metric", r.label, route.To, before.node.Line),
					`keep one, or write another "metric:": the lowest is taken`})
				continue
			}
			first[here] = route
		}
	}
}

// virtualRouteNode is short for a destination alone.
func virtualRouteNode(r model.VirtualRoute) *yaml.Node {
	pairs := routePairs(r.To, r.Via, r.Interface, r.Table)
	if r.Source.IsValid() {
		pairs = append(pairs, pair{"source", addressNode(r.Source)})
	}
	if r.Metric != 0 {
		pairs = append(pairs, pair{"metric", numberNode(int(r.Metric))})
	}
	if len(pairs) == 1 {
		return pairs[0].value
	}
	return mapNode(pairs...)
}
