// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// Protocol is by whom `ip route` says that routes to aliases were made. Nobody else has this number (see
// /etc/iproute2/rt_protos).
const Protocol = 119

// applyDetours makes the detours of checks those that are wanted.
func (t *Target) applyDetours(handle *netlink.Handle, links []model.Link, want model.AddressWant) error {
	t.detoursMend.replaced()
	return t.putDetours(handle, links, want)
}

// putDetours lets checks go through virtual addresses: a route to each alias by way of its server, and the
// program that knows aliases on each interface on the way. It notes which detours cannot be gone.
//
//	connect(alias) ──► route: via server, src this host's own ──► filter: alias becomes VIP ──► wire
func (t *Target) putDetours(handle *netlink.Handle, links []model.Link, want model.AddressWant) error {
	wants := withAlias(want.Detours)
	t.detours, t.blocked = want, map[model.Detour]string{}
	if len(wants)+len(want.Aliases) == 0 && len(t.journal.matching(isOfDetours)) == 0 {
		return nil
	}
	filters := t.applyFilters(handle, links, wants)
	var errs []error
	for _, link := range slices.Sorted(maps.Keys(filters)) {
		errs = append(errs, filters[link])
	}
	failed, err := t.applyAliases(handle, want.Aliases, wants)
	for _, want := range wants {
		if why := errors.Join(filters[want.Link], failed[want.Detour], err); why != nil {
			t.blocked[want.Detour] = why.Error()
		}
		errs = append(errs, failed[want.Detour])
	}
	return errors.Join(append(errs, err, t.removeDetours(want.Aliases, wants))...)
}

// loseDetours: some may be gone, with a link that was down, or by somebody who cleans up.
func (t *Target) loseDetours(now time.Time) {
	if len(t.detours.Detours) > 0 {
		t.detoursMend.lose(now)
	}
}

// mendDetours makes those again that were wanted last. A filter and routes that are there stay.
func (t *Target) mendDetours(handle *netlink.Handle, now time.Time) error {
	if !t.detoursMend.isDue(now) {
		return nil
	}
	links, err := readLinks(handle)
	if err == nil {
		err = t.putDetours(handle, links, t.detours)
	}
	return t.detoursMend.done(now, err)
}

func withAlias(wants []model.DetourWant) (out []model.DetourWant) {
	for _, want := range wants {
		if want.Alias.IsValid() {
			out = append(out, want)
		}
	}
	return out
}

// block: nothing was looked at, so no check may trust its route.
func (t *Target) block(wants []model.DetourWant, why error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blocked = map[model.Detour]string{}
	for _, want := range wants {
		t.blocked[want.Detour] = why.Error()
	}
	return why
}

// Blocked are the detours of the last Apply that cannot be gone, and why.
func (t *Target) Blocked() map[model.Detour]string {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.blocked
}

// applyAliases makes the routes. What went wrong with one is by its detour.
func (t *Target) applyAliases(handle *netlink.Handle, ranges []netip.Prefix, wants []model.DetourWant) (map[model.Detour]error, error) {
	have, err := aliasRoutes(handle)
	if err == nil {
		err = t.closeRanges(handle, ranges, have)
	}
	if err != nil {
		return nil, err
	}
	var missing []model.DetourWant
	var changes []change
	for _, want := range wants {
		if have[aliasPrefix(want.Alias)] != keyOf(aliasRoute(want)) {
			missing, changes = append(missing, want), append(changes, aliasChange(want))
		}
	}
	if err := t.journal.record(changes...); err != nil {
		return nil, err
	}
	failed := map[model.Detour]error{}
	for _, want := range missing {
		if err := handle.RouteReplace(aliasRoute(want)); err != nil {
			failed[want.Detour] = fmt.Errorf("route of checks of %s by way of %s: %w", want.Server, want.Alias, err)
		}
	}
	return failed, nil
}

// closeRanges lets no packet to an alias that has no route leave this host. A blackhole, because nothing but it
// says EINVAL to who connects: what other such routes say, ICMP errors of servers can say, too.
func (t *Target) closeRanges(handle *netlink.Handle, ranges []netip.Prefix, have map[netip.Prefix]routeKey) error {
	for _, aliases := range ranges {
		if _, closed := have[aliases]; closed {
			continue
		}
		if err := t.journal.record(rangeChange(aliases)); err != nil {
			return err
		}
		if err := handle.RouteReplace(rangeRoute(aliases)); err != nil {
			return fmt.Errorf("blackhole of check_aliases %s: %w", aliases, err)
		}
	}
	return nil
}

func rangeChange(aliases netip.Prefix) change {
	return change{Kind: aliasChangeKind, Prefix: aliases}
}

func rangeRoute(aliases netip.Prefix) *netlink.Route {
	return &netlink.Route{Dst: toIPNet(aliases), Type: unix.RTN_BLACKHOLE, Protocol: Protocol, Table: unix.RT_TABLE_MAIN}
}

func aliasPrefix(alias model.Addr) netip.Prefix { return netip.PrefixFrom(alias, alias.BitLen()) }

func aliasChange(want model.DetourWant) change {
	return change{Kind: aliasChangeKind, Index: want.Link, Prefix: aliasPrefix(want.Alias)}
}

// aliasRoute is on the link whatever the kernel thinks of the next hop: the way to the server itself leads there.
func aliasRoute(want model.DetourWant) *netlink.Route {
	out := &netlink.Route{
		LinkIndex: want.Link, Dst: toIPNet(aliasPrefix(want.Alias)), Src: want.Source.AsSlice(),
		Protocol: Protocol, MTU: want.MTU, Flags: int(netlink.FLAG_ONLINK), Table: unix.RT_TABLE_MAIN,
	}
	if want.Next.Is6() && want.Alias.Is4() {
		out.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: want.Next.AsSlice()}
	} else {
		out.Gw = want.Next.AsSlice()
	}
	return out
}

// routeKey is what matters of a route to an alias.
type routeKey struct {
	link, mtu int
	next, src model.Addr
}

func keyOf(r *netlink.Route) routeKey {
	out := routeKey{link: r.LinkIndex, mtu: r.MTU}
	out.next, _ = toAddr(r.Gw)
	if via, ok := r.Via.(*netlink.Via); ok {
		out.next, _ = toAddr(via.Addr)
	}
	out.src, _ = toAddr(r.Src)
	return out
}

// aliasRoutes are those that are there.
func aliasRoutes(handle *netlink.Handle) (map[netip.Prefix]routeKey, error) {
	out := map[netip.Prefix]routeKey{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		list, err := handle.RouteListFiltered(family, &netlink.Route{Protocol: Protocol}, netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return nil, fmt.Errorf("list routes of checks: %w", err)
		}
		for _, r := range list {
			if prefix, ok := toPrefix(r.Dst); ok {
				out[prefix] = keyOf(&r)
			}
		}
	}
	return out, nil
}

// isOfDetours tells whether a change was made for checks.
func isOfDetours(c change) bool {
	return c.Kind == aliasChangeKind || c.Kind == filterChange || c.Kind == clsactChange
}

// removeDetours undoes what nobody needs any more.
func (t *Target) removeDetours(ranges []netip.Prefix, wants []model.DetourWant) error {
	wanted := map[change]bool{}
	for _, aliases := range ranges {
		wanted[rangeChange(aliases)] = true
	}
	for _, want := range wants {
		for _, c := range append(filterChanges(want.Link), aliasChange(want)) {
			wanted[c] = true
		}
	}
	return t.journal.restore(func(c change) bool {
		return isOfDetours(c) && !wanted[c.subject()]
	})
}

// undoAlias removes the route, but none that somebody else has made.
func (c change) undoAlias(handle *netlink.Handle) error {
	if c == rangeChange(c.Prefix) {
		return handle.RouteDel(rangeRoute(c.Prefix))
	}
	return handle.RouteDel(&netlink.Route{LinkIndex: c.Index, Dst: toIPNet(c.Prefix), Protocol: Protocol, Table: unix.RT_TABLE_MAIN})
}

// CheckAliases looks whether ranges of aliases are free: another use of one would send checks to strangers.
func CheckAliases(ranges []netip.Prefix) error {
	if len(ranges) == 0 {
		return nil
	}
	handle, err := open()
	if err != nil {
		return err
	}
	defer handle.Close()
	links, err := readLinks(handle)
	if err != nil {
		return err
	}
	routes, err := Routes()
	if err != nil {
		return err
	}
	var errs []error
	for _, aliases := range ranges {
		if what := overlapping(aliases, links, routes); what != "" {
			errs = append(errs, fmt.Errorf("check_aliases: %s overlaps with %s: name another range, of addresses that nobody has", aliases, what))
		}
	}
	return errors.Join(errs...)
}

// overlapping names an address or a route that has addresses of a range. Wide routes count for none: the default
// route, and what stands for it, are ways to everybody, and a route to one alias beats them.
func overlapping(aliases netip.Prefix, links []model.Link, routes []Route) string {
	for _, link := range links {
		for _, prefix := range link.Prefixes {
			if aliases.Overlaps(prefix.Masked()) {
				return fmt.Sprintf("the address %s of %s", prefix, link.Name)
			}
		}
	}
	for _, r := range routes {
		if r.message.head.Protocol != Protocol && !isWide(r.Destination) && aliases.Overlaps(r.Destination) {
			return fmt.Sprintf("the route to %s by %s", r.Destination, r.Link)
		}
	}
	return ""
}

// isWide: such a route was not made for somebody who could have an alias (0.0.0.0/1, fc00::/7).
func isWide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 16
}
