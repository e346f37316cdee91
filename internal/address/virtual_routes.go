// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// virtualProtocol is by whom `ip route` says that routes of virtual routers were made. Nobody else has this number (see
// /etc/iproute2/rt_protos).
const virtualProtocol = 120

// Unrouted are routes of virtual routers that are not there.
type Unrouted map[model.RouteWant]model.RouteTrouble

func (u Unrouted) Error() string {
	var out []string
	for want, trouble := range u {
		out = append(out, fmt.Sprintf("route %s of %s: %s", want.VirtualRoute, want.Router, trouble.Why))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// keptRoutes are those that are put back where somebody takes them away.
type keptRoutes struct {
	want []model.RouteWant
	mend mend
}

// applyRoutes makes the routes of virtual routers those that are wanted.
func (t *Target) applyRoutes(handle *netlink.Handle, links []model.Link, wants []model.RouteWant) error {
	t.routes.mend.replaced()
	return t.putRoutes(handle, links, wants)
}

// putRoutes removes before it adds: of one that has changed the kernel may take both for the same.
func (t *Target) putRoutes(handle *netlink.Handle, links []model.Link, wants []model.RouteWant) error {
	t.routes.want = wants
	unrouted, wanted, routes := Unrouted{}, map[change]bool{}, map[model.RouteWant]virtualRoute{}
	for _, want := range wants {
		link, err := linkNamed(links, want.Interface)
		if err != nil {
			unrouted[want] = model.RouteTrouble{Why: err.Error()}
			continue
		}
		routes[want] = virtualRouteOf(want, link.Index)
		wanted[routes[want].change().subject()] = true
	}
	err := t.journal.restore(func(c change) bool { return isVirtualRoute(c) && !wanted[c.subject()] })
	if len(wants) == 0 {
		return err
	}
	return errors.Join(err, t.addRoutes(handle, routes, unrouted))
}

// addRoutes puts in what is missing. What it is in vain with is added to unrouted.
func (t *Target) addRoutes(handle *netlink.Handle, routes map[model.RouteWant]virtualRoute, unrouted Unrouted) error {
	have, err := virtualRoutes()
	if err != nil {
		return err
	}
	var missing []model.RouteWant
	var changes []change
	for _, want := range t.routes.want { // in their order: one may lead to the next hop of another
		if r, ok := routes[want]; ok && have[r.change().subject()] != r {
			missing, changes = append(missing, want), append(changes, r.change())
		}
	}
	if err := t.journal.record(changes...); err != nil {
		return err
	}
	for _, want := range missing {
		r := routes[want]
		if old, ours := have[r.change().subject()]; ours { // with another source
			if err := handle.RouteDel(old.route()); err != nil && !isGone(err) {
				unrouted[want] = model.RouteTrouble{Why: err.Error()}
				continue
			}
		}
		if trouble := r.add(handle); trouble != (model.RouteTrouble{}) {
			unrouted[want] = trouble
		}
	}
	tellRivals(routes, unrouted)
	if len(unrouted) == 0 {
		return nil
	}
	return unrouted
}

// virtualRoute is all that matters of a route of a virtual router.
type virtualRoute struct {
	to     netip.Prefix
	table  uint32
	metric uint32
	link   int
	via    model.Addr
	source model.Addr
}

func virtualRouteOf(want model.RouteWant, link int) virtualRoute {
	return virtualRoute{want.To, want.Table, want.KernelMetric(), link, want.Via, want.Source}
}

// change is what there is to undo. Its subject is all that a removal needs.
func (r virtualRoute) change() change {
	return change{Kind: virtualRouteChange, Index: r.link, Prefix: r.to, Address: r.via, Table: r.table, Metric: r.metric}
}

func isVirtualRoute(c change) bool { return c.Kind == virtualRouteChange }

// undoVirtualRoute removes the route, but none that somebody else has made.
func (c change) undoVirtualRoute(handle *netlink.Handle) error {
	return handle.RouteDel(virtualRoute{to: c.Prefix, table: c.Table, metric: c.Metric, link: c.Index, via: c.Address}.route())
}

func (r virtualRoute) route() *netlink.Route {
	out := &netlink.Route{
		LinkIndex: r.link, Dst: toIPNet(r.to), Src: r.source.AsSlice(),
		Priority: int(r.metric), Table: int(r.table), Protocol: virtualProtocol,
	}
	switch {
	case !r.via.IsValid() && r.to.Addr().Is4():
		out.Scope = netlink.SCOPE_LINK
	case r.via.Is6() && r.to.Addr().Is4():
		out.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: r.via.AsSlice()}
	default:
		out.Gw = r.via.AsSlice()
	}
	return out
}

// add never replaces a route.
func (r virtualRoute) add(handle *netlink.Handle) model.RouteTrouble {
	err := handle.RouteAdd(r.route())
	switch {
	case err == nil:
		return model.RouteTrouble{}
	case errors.Is(err, unix.EEXIST):
		return model.RouteTrouble{Why: "this host has one to that destination already, with the same metric", Taken: true}
	}
	return model.RouteTrouble{Why: err.Error()}
}

// tellRivals adds to each trouble with a route that is there already who has made that one, and where it leads, as far as
// that can be told. A table may hold all routes of the internet, so it is walked over once for all of them.
func tellRivals(routes map[model.RouteWant]virtualRoute, unrouted Unrouted) {
	taken := map[routeFilter]map[virtualRoute]model.RouteWant{}
	for want, trouble := range unrouted {
		if !trouble.Taken {
			continue
		}
		r := routes[want]
		of := routeFilter{family: family(r.to), table: r.table}
		if taken[of] == nil {
			taken[of] = map[virtualRoute]model.RouteWant{}
		}
		taken[of][r.same()] = want
	}
	for of, wants := range taken {
		for r, who := range rivals(of, wants) {
			trouble := unrouted[wants[r]]
			trouble.Why += who
			unrouted[wants[r]] = trouble
		}
	}
}

// same is by what the kernel takes two routes for the same.
func (r virtualRoute) same() virtualRoute {
	return virtualRoute{to: r.to, table: r.table, metric: r.metric}
}

// rivals says by whom they are that are the same as some of weir's.
func rivals(of routeFilter, wants map[virtualRoute]model.RouteWant) map[virtualRoute]string {
	lengths, out := map[int]bool{}, map[virtualRoute]string{}
	for r := range wants {
		lengths[r.to.Bits()] = true
	}
	type rival struct {
		of  virtualRoute
		who string
	}
	found, err := walkRoutes(of, func(raw []byte) (rival, bool) {
		if !lengths[prefixLength(raw)] { // most are not, and need not be taken apart
			return rival{}, false
		}
		m, err := parseRouteMessage(raw)
		if err != nil {
			return rival{}, false
		}
		r := virtualRoute{to: m.destination(), table: number(m.attr(unix.RTA_TABLE)), metric: number(m.attr(unix.RTA_PRIORITY))}
		if _, asked := wants[r]; !asked {
			return rival{}, false
		}
		who := fmt.Sprintf(": by %s", netlink.RouteProtocol(m.head.Protocol))
		if via := m.hops()[0].via; via.IsValid() {
			who += ", via " + via.String()
		}
		return rival{r, who}, true
	})
	if err != nil {
		return nil
	}
	for _, one := range slices.Backward(found) { // the first one of several counts
		out[one.of] = one.who
	}
	return out
}

// virtualRoutes are those that are there, by what a removal needs.
func virtualRoutes() (map[change]virtualRoute, error) {
	out := map[change]virtualRoute{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		list, err := walkRoutes(routeFilter{family: family, protocol: virtualProtocol}, parseVirtualRoute)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			out[r.change().subject()] = r
		}
	}
	return out, nil
}

func parseVirtualRoute(raw []byte) (virtualRoute, bool) {
	m, err := parseRouteMessage(raw)
	if err != nil || m.head.Protocol != virtualProtocol || len(m.links()) != 1 {
		return virtualRoute{}, false
	}
	r := virtualRoute{to: m.destination(), table: number(m.attr(unix.RTA_TABLE)), metric: number(m.attr(unix.RTA_PRIORITY)),
		link: m.links()[0], via: m.hops()[0].via}
	r.source, _ = toAddr(m.attr(unix.RTA_PREFSRC))
	return r, true
}

// loseRoutes: some may be gone, with a link that was down, an address, or by somebody who cleans up.
func (t *Target) loseRoutes(now time.Time) {
	if len(t.routes.want) > 0 {
		t.routes.mend.lose(now)
	}
}

// mendRoutes puts those in again that were wanted last. It returns what is wrong, and what of that the log does not have
// yet.
func (t *Target) mendRoutes(handle *netlink.Handle, now time.Time) (wrong, unlogged error) {
	if !t.routes.mend.isDue(now) {
		return nil, nil
	}
	links, err := readLinks(handle)
	if err == nil {
		err = t.putRoutes(handle, links, t.routes.want)
	}
	return err, t.routes.mend.done(now, err)
}
