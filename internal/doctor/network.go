// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// paths are the sysctls that the checks look at.
func (h host) paths() []string {
	out := []string{rpFilterOf("all"), tableLimit("ipv4"), tableLimit("ipv6")}
	for _, n := range h.interfaces {
		out = append(out, rpFilterOf(n.Name))
	}
	for _, name := range h.desired.Address.Forward4 {
		out = append(out, forwardingOf("ipv4", name))
	}
	for _, name := range h.desired.Address.Forward6 {
		out = append(out, forwardingOf("ipv6", name))
	}
	return append(out, h.arpPaths()...)
}

func rpFilterOf(name string) string { return path.Join("net/ipv4/conf", name, "rp_filter") }
func forwardingOf(family, name string) string {
	return path.Join("net", family, "conf", name, "forwarding")
}
func tableLimit(family string) string {
	return path.Join("net", family, "neigh/default/gc_thresh3")
}

// rpFilter: what the program sends on passes no filter, but what it passes to the stack does.
func rpFilter(h host) []api.Finding {
	why := h.crooked()
	if why == "" {
		return fine("clients and servers come in where the routes to them lead")
	}
	var out []api.Finding
	for _, n := range h.interfaces {
		// The kernel takes the larger one (ip-sysctl: conf/{all,interface}/rp_filter).
		if max(h.number(rpFilterOf("all")), h.number(rpFilterOf(n.Name))) != 1 {
			continue
		}
		out = append(out, found(api.LevelWarning, n.Name+": rp_filter is strict", why+
			": what comes in on another interface than the route to its source is dropped unseen (echo, errors, packets for local servers)",
			sysctl(rpFilterOf(n.Name), "2"))...)
	}
	return orFine(out, "no strict rp_filter where it matters")
}

// number is the value of a sysctl; 0: there is none.
func (h host) number(path string) int {
	n, _ := strconv.Atoi(h.Sysctls[path])
	return n
}

// crooked says why a packet may come in elsewhere than the route to its source leads; "": it cannot.
func (h host) crooked() string {
	for _, vip := range h.desired.Address.VIPs {
		if !vip.Address.Is4() || vip.Interface == loopback {
			continue
		}
		if name := h.defaultWay(); name != "" && !h.device(vip.Interface).Default4 {
			return fmt.Sprintf("%s is on %s and the default route leads out of %s", vip.Address, vip.Interface, name)
		}
		for _, s := range h.serversOf(vip.Address) {
			way, ok := h.way(s.Key.Address)
			if ok && s.Forwarding == model.NAT && !way.Local && h.link(way.Link).Name != vip.Interface {
				return fmt.Sprintf("NAT has two arms, %s and %s", vip.Interface, h.link(way.Link).Name)
			}
		}
	}
	return ""
}

const loopback = "lo"

// defaultWay is an interface with an IPv4 default route; "": there is none.
func (h host) defaultWay() string {
	for _, l := range h.Network.Links {
		if d := h.Devices[l.Index]; d.Default4 {
			return d.Name
		}
	}
	return ""
}

func forwarding(h host) []api.Finding {
	var out []api.Finding
	for family, names := range map[string][]string{"ipv4": h.desired.Address.Forward4, "ipv6": h.desired.Address.Forward6} {
		for _, name := range names {
			out = append(out, h.forwards(family, name)...)
		}
	}
	sortFindings(out)
	return orFine(out, "forwarding is on where answers of NAT servers come in, or nobody needs it")
}

func (h host) forwards(family, name string) []api.Finding {
	at := forwardingOf(family, name)
	if value, ok := h.Sysctls[at]; !ok || value != "0" {
		return nil
	}
	level, why := api.LevelNote, "weir switches it on while it runs"
	if h.runs() {
		level, why = api.LevelError, "the kernel's routes do not answer for the way back to clients: answers of NAT servers are dropped as no_route"
	}
	return found(level, fmt.Sprintf("%s: %s forwarding is off", name, family), why, sysctl(at, "1"))
}

func neighbourTimers(h host) []api.Finding {
	if !h.runs() {
		return fine("weir sets them while it runs")
	}
	var out []api.Finding
	for _, t := range h.Timers {
		if sameTime(t) {
			continue
		}
		out = append(out, found(api.LevelWarning, fmt.Sprintf("%s is %s, and not %s", t.Path, t.Have, t.Want),
			"somebody changed what weir had set: a server that changes its MAC without a word is followed late",
			sysctl(t.Path, t.Want))...)
	}
	return orFine(out, "as weir sets them")
}

// sameTime: the kernel keeps milliseconds in jiffies, of 10 at the most, and 250 may read as 252.
func sameTime(t address.Timer) bool {
	have, err1 := strconv.Atoi(t.Have)
	want, err2 := strconv.Atoi(t.Want)
	if err1 != nil || err2 != nil || !strings.HasSuffix(t.Path, "_ms") {
		return t.Have == t.Want
	}
	const jiffy = 10
	return max(have, want)-min(have, want) < jiffy
}

func neighbourTable(h host) []api.Finding {
	var out []api.Finding
	for _, t := range []struct {
		family  string
		entries int
	}{{"ipv4", h.Entries4}, {"ipv6", h.Entries6}} {
		limit, known := h.Sysctls[tableLimit(t.family)]
		wanted := t.entries + h.unknownHops(t.family)
		if !known || wanted < h.number(tableLimit(t.family)) {
			continue
		}
		out = append(out, found(api.LevelWarning, fmt.Sprintf("%s: %d neighbours, and room for %s", t.family, wanted, limit),
			"when the table is full (gc_thresh3) the kernel forgets neighbours or finds no new ones, clients or servers",
			sysctl(tableLimit(t.family), strconv.Itoa(4*wanted)))...)
	}
	return orFine(out, "there is room for all neighbours")
}

// unknownHops are next hops towards servers that are not in the table yet.
func (h host) unknownHops(family string) int {
	n := 0
	for _, hop := range h.desired.Address.Neighbours {
		if _, known := h.Network.Neighbours[hop]; !known && hop.Address.Is4() == (family == "ipv4") {
			n++
		}
	}
	return n
}

// way is the route to an address.
func (h host) way(to netip.Addr) (model.Route, bool) {
	r, ok := h.Network.Routes[to]
	return r, ok
}
