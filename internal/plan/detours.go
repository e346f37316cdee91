// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// ways are those of checks through virtual addresses, each once.
func ways(spec model.Spec) (out []model.Detour) {
	known := map[model.Detour]bool{{}: true}
	for _, key := range Checks(spec) {
		if !known[key.Detour] {
			known[key.Detour] = true
			out = append(out, key.Detour)
		}
	}
	return out
}

// led is a detour with its text, which is made once: there may be thousands.
type led struct {
	text string
	want model.DetourWant
}

// detours lead the ways of checks, with an alias that depends on little else than the way itself: a change of the
// config does not send checks under way to another server, and the next start finds the same.
func detours(spec model.Spec, ways []model.Detour, seen model.Seen, now time.Time) []model.DetourWant {
	virtual := map[model.Addr]bool{}
	for _, key := range keys(spec) {
		virtual[key.Address] = true
	}
	all := make([]led, 0, len(ways))
	for _, way := range ways {
		all = append(all, led{textOf(way), lead(way, spec, virtual, seen, now)})
	}
	slices.SortFunc(all, func(a, b led) int { return strings.Compare(a.text, b.text) })
	return withAliases(all, spec.Aliases)
}

// withAliases gives an alias to each way that one is of use to, as long as there is room.
func withAliases(all []led, aliases model.Aliases) (out []model.DetourWant) {
	taken := map[model.Addr]bool{}
	for _, l := range all {
		if l.want.Link != 0 {
			within := aliases.Of(l.want.Virtual)
			alias, ok := aliasFor(l.text, within, taken)
			if ok {
				taken[alias], l.want.Alias = true, alias
			} else {
				l.want = model.DetourWant{Detour: l.want.Detour, Direct: true, Why: fmt.Sprintf("check_aliases: %s has no more room", within)}
			}
		}
		out = append(out, l.want)
	}
	return out
}

// Aliases are the ranges of which checks take stand-ins.
func Aliases(spec model.Spec) []netip.Prefix { return ranges(spec.Aliases, ways(spec)) }

func ranges(aliases model.Aliases, ways []model.Detour) (out []netip.Prefix) {
	for _, way := range ways {
		if within := aliases.Of(way.Virtual); !slices.Contains(out, within) {
			out = append(out, within)
		}
	}
	return out
}

// textOf is the same for equal detours only, in every process.
func textOf(d model.Detour) string { return fmt.Sprintf("%+v", d) }

// lead finds the way to the server of a detour, where virtual are the addresses of services. Link is 0 if an alias is
// of no use.
func lead(detour model.Detour, spec model.Spec, virtual map[model.Addr]bool, seen model.Seen, now time.Time) model.DetourWant {
	out := model.DetourWant{Detour: detour}
	route, ok := seen.Network.Routes[detour.Server]
	link, found := linkByIndex(seen.Network, route.Link)
	gateway := detour.Forwarding == model.DR && route.Gateway.IsValid()
	switch {
	case ok && route.Local:
		return out
	case !ok, !found, gateway, vlanFault(seen.Network, link).why != "":
		out.Why = fmt.Sprintf("there is no way to %s by %s", detour.Server, detour.Forwarding)
		return out
	case !looksAt(spec, seen.Network, link):
		out.Direct, out.Why = true, fmt.Sprintf("its answers come in by %s, where weir does not run: add %s to `interfaces:`", link.Name, link.Name)
		return out
	case virtual[route.Source]:
		out.Direct, out.Why = true, fmt.Sprintf("the answers would come to %s, which is a service's: give this host an address of its own towards %s",
			route.Source, detour.Server)
		return out
	}
	out.Link, out.Next, out.Source = route.Link, nextHop(detour.Server, route), route.Source
	out.MTU = wayMTU(seen.Network, route)
	if detour.Forwarding == model.TUN {
		out.MTU = narrowed(out.MTU, seen.PathMTUs[detour.Server], now) - detour.Tunnel.Overhead(detour.Server)
	}
	return out
}

// looksAt tells whether the program sees what comes in by a link that leads to a server.
func looksAt(spec model.Spec, network model.Network, link model.Link) bool {
	if len(spec.Interfaces) == 0 { // it is on each such link: to find that out anew for each detour takes long
		return true
	}
	_, wanted := wantedMode(spec, network, link)
	return wanted
}

func narrowed(mtu int, path model.PathMTU, now time.Time) int {
	if path.MTU == 0 || !path.Until.After(now) {
		return mtu
	}
	return min(mtu, path.MTU)
}

// aliasFor begins where a hash of the detour's text says, and takes the next one that is free.
func aliasFor(detour string, within netip.Prefix, taken map[model.Addr]bool) (model.Addr, bool) {
	h := fnv.New64a()
	h.Write([]byte(detour))
	free := min(within.Addr().BitLen()-within.Bits(), 63)
	size := uint64(1) << free
	for i := range min(size, uint64(len(taken)+1)) {
		alias := member(within.Addr(), (h.Sum64()+i)%size)
		if !taken[alias] {
			return alias, true
		}
	}
	return model.Addr{}, false
}

// member is the address so far behind the first one of a range.
func member(first model.Addr, offset uint64) model.Addr {
	bytes := first.As16()
	low := bytes[8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)+offset)
	return netip.AddrFrom16(bytes).Unmap()
}
