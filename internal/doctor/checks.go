// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// askedElsewhere is what becomes of checks that cannot go through virtual addresses.
const askedElsewhere = "servers are then asked at their own addresses, and those with `via: vip` wait"

// clsact: checks through virtual addresses leave by a filter on the interface towards the server.
func clsact(h host) []api.Finding {
	links := h.checked()
	if h.Spec != nil && len(links) == 0 {
		return fine("no check leaves through a virtual address")
	}
	out := h.filter()
	for _, l := range links {
		out = append(out, inTheWay(h.Devices[l.Index])...)
	}
	return orFine(out, "the kernel takes the filter of checks")
}

// checked are the interfaces by which checks leave through virtual addresses.
func (h host) checked() []model.Link {
	var out []model.Link
	for _, l := range h.Network.Links {
		if slices.ContainsFunc(h.desired.Address.Detours, func(d model.DetourWant) bool { return d.Link == l.Index }) {
			out = append(out, l)
		}
	}
	return out
}

// filter is what the kernel says of it. Without a configuration it is not known whether anybody needs it.
func (h host) filter() []api.Finding {
	level := api.LevelWarning
	if h.Spec == nil {
		level = api.LevelNote
	}
	switch {
	case h.Filter == nil:
		return nil
	case errors.Is(h.Filter, address.ErrUntried):
		return found(api.LevelNote, "the filter of checks: "+firstLine(h.Filter), "whether this kernel takes it is known only then", "sudo weir doctor")
	case errors.Is(h.Filter, address.ErrNoFilter):
		return found(level, firstLine(h.Filter), "checks through virtual addresses leave by it: "+askedElsewhere,
			"modprobe -a sch_ingress cls_bpf # or a kernel with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF, as those of distributions are")
	}
	return found(level, "the kernel refuses the program of checks: "+firstLine(h.Filter), "checks through virtual addresses leave by it: "+askedElsewhere,
		"weir version # a bug, unless the text above names a way out: report it with the output of weir run")
}

// inTheWay are others' qdisc and filter. What a filter does is not known.
func inTheWay(d address.Device) []api.Finding {
	switch {
	case d.Ingress:
		return found(api.LevelWarning, d.Name+": it has an ingress qdisc",
			"there is no room for clsact beside it, by which checks leave through virtual addresses: "+askedElsewhere,
			fmt.Sprintf("tc qdisc del dev %s ingress && tc qdisc add dev %s clsact # and its filters anew: clsact does all that ingress does", d.Name, d.Name))
	case d.Before != "":
		return found(api.LevelNote, fmt.Sprintf("%s: a filter of others' (%s) sees what leaves before that of checks", d.Name, d.Before),
			"what it drops, takes or sends elsewhere reaches no server: with checks through virtual addresses among it, servers look down",
			fmt.Sprintf("tc filter show dev %s egress # and give it a pref above %d, if it decides about packets to servers", d.Name, address.FilterPriority))
	}
	return nil
}
