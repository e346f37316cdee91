// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// setting is a sysctl and its value.
type setting struct{ path, value string }

// neighbourTimers make the kernel doubt a neighbour after 2 seconds instead of 30, and believe in
// its silence after 2 more: with the defaults a server that changed its MAC without a word gets no
// packet for half a minute.
var neighbourTimers = []setting{
	{"base_reachable_time_ms", "2000"},
	{"delay_first_probe_time", "1"},
	{"retrans_time_ms", "250"},
}

// acceptRA is the setting that must outlive what called for it, see keepRouters.
const acceptRA = "accept_ra"

// applySysctls sets what is wanted and puts back what no longer is.
func (t *Target) applySysctls(handle *netlink.Handle, links []model.Link, want model.AddressWant) error {
	arp, err := ownARP(want.OwnARP)
	settings := slices.Concat(forwarding(want), timers(links, want.Neighbours), arp)
	errs := []error{err}
	if len(want.Forward6) > 0 {
		errs = append(errs, t.keepRouters(handle, links))
	}
	for _, s := range settings {
		errs = append(errs, t.journal.SetSysctl(s.path, s.value))
	}
	unwanted := func(p string) bool {
		if path.Base(p) == acceptRA {
			return len(want.Forward6) == 0
		}
		return isTargets(p) && !slices.ContainsFunc(settings, func(s setting) bool { return s.path == p })
	}
	return errors.Join(append(errs, t.journal.RestoreSysctls(unwanted))...)
}

// isTargets reports whether a setting of the journal is one of the Target's: others may use it too.
func isTargets(p string) bool {
	name := path.Base(p)
	return name == "forwarding" || isOwnARP(p) ||
		slices.ContainsFunc(neighbourTimers, func(s setting) bool { return s.path == name })
}

func forwarding(want model.AddressWant) []setting {
	var out []setting
	for _, name := range want.Forward4 {
		out = append(out, setting{path.Join("net/ipv4/conf", name, "forwarding"), "1"})
	}
	for _, name := range want.Forward6 {
		out = append(out, setting{path.Join("net/ipv6/conf", name, "forwarding"), "1"})
	}
	return out
}

// timers are the neighbour timers of every link with a neighbour that is kept.
func timers(links []model.Link, hops []model.Hop) []setting {
	var out []setting
	done := map[string]bool{}
	for _, hop := range hops {
		family := "ipv4"
		if hop.Address.Is6() {
			family = "ipv6"
		}
		i := slices.IndexFunc(links, func(l model.Link) bool { return l.Index == hop.Link })
		if i < 0 {
			continue
		}
		dir := path.Join("net", family, "neigh", links[i].Name)
		if done[dir] {
			continue
		}
		done[dir] = true
		for _, s := range neighbourTimers {
			out = append(out, setting{path.Join(dir, s.path), s.value})
		}
	}
	return out
}

// keepRouters lets the links go on taking router advertisements that take their default route from
// one: the moment forwarding is switched on anywhere, the kernel throws those routes away on every
// link that does not say accept_ra=2.
func (t *Target) keepRouters(handle *netlink.Handle, links []model.Link) error {
	routes, err := dump(func() ([]netlink.Route, error) {
		filter := &netlink.Route{Protocol: unix.RTPROT_RA}
		return handle.RouteListFiltered(netlink.FAMILY_V6, filter, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	var errs []error
	for _, link := range links {
		if slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.LinkIndex == link.Index && isDefault(r.Dst) }) {
			errs = append(errs, t.journal.SetSysctl(path.Join("net/ipv6/conf", link.Name, acceptRA), "2"))
		}
	}
	return errors.Join(errs...)
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0
}
