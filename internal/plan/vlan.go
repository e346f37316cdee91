// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// below is the index of the interface that frames leave by: a VLAN device adds the tag, and its
// parent sends.
func below(link model.Link) int {
	if link.Parent != 0 {
		return link.Parent
	}
	return link.Index
}

func linkByIndex(network model.Network, index int) (model.Link, bool) {
	i := slices.IndexFunc(network.Links, func(l model.Link) bool { return l.Index == index })
	if i < 0 {
		return model.Link{}, false
	}
	return network.Links[i], true
}

// vlanParents are the interfaces below the VLAN devices that are wanted, each with the XDP mode that
// these ask for. Where they differ the first one wins, see differingModes.
func vlanParents(spec model.Spec, network model.Network) map[int]model.XDPMode {
	out := map[int]model.XDPMode{}
	for _, link := range network.Links {
		mode, wanted := wantedMode(spec, network, link)
		if !wanted || link.Parent == 0 || vlanFault(network, link).why != "" {
			continue
		}
		if out[link.Parent] == model.XDPAuto {
			out[link.Parent] = mode
		}
	}
	return out
}

// rxVLANOff are the parents of VLAN devices: a driver that takes the tag off hides it from the program.
func rxVLANOff(interfaces []model.InterfaceWant) []string {
	var out []string
	for _, parent := range interfaces {
		if slices.ContainsFunc(interfaces, func(i model.InterfaceWant) bool { return i.Parent == parent.Index }) {
			out = append(out, parent.Name)
		}
	}
	return out
}

// fault is why something cannot be done, and the way out.
type fault struct{ why, fix string }

// vlanFault says why frames of a VLAN device cannot be balanced; nothing of other interfaces.
func vlanFault(network model.Network, link model.Link) fault {
	parent, found := linkByIndex(network, link.Parent)
	switch {
	case link.Parent == 0:
		return fault{}
	case !found:
		return fault{
			"it is a VLAN device, and the interface below it, which must carry the program, is not in this network namespace",
			"run weir in the namespace of that interface, or give this one a card of its own",
		}
	case parent.Parent != 0:
		return fault{
			fmt.Sprintf("it is a VLAN device on %s, which is one too: frames with two tags (QinQ) are not balanced", parent.Name),
			"let the switch take the outer tag off, or route the VLAN to this host by another interface",
		}
	case link.VLAN == 0:
		return fault{
			"its tag is none of 802.1Q with an id of 1 to 4094",
			fmt.Sprintf("make it of the usual kind: ip link add link %s name … type vlan protocol 802.1Q id …", parent.Name),
		}
	}
	return fault{}
}

func vlanProblems(spec model.Spec, network model.Network) []model.Problem {
	var out []model.Problem
	for _, link := range network.Links {
		_, wanted := wantedMode(spec, network, link)
		if f := vlanFault(network, link); f.why != "" && (wanted || leadsToServer(spec, network, link)) {
			out = append(out, model.Problem{What: "interface " + link.Name, Why: f.why, Fix: f.fix})
		}
	}
	return append(out, differingModes(spec, network)...)
}

// differingModes: one program works for a parent and all its VLAN devices.
func differingModes(spec model.Spec, network model.Network) []model.Problem {
	var out []model.Problem
	wants := interfaces(spec, network)
	for _, vlan := range wants {
		i := slices.IndexFunc(wants, func(w model.InterfaceWant) bool { return w.Index == vlan.Parent })
		if i < 0 || vlan.XDP == model.XDPAuto || vlan.XDP == wants[i].XDP {
			continue
		}
		out = append(out, model.Problem{
			What: "interface " + vlan.Name,
			Why:  fmt.Sprintf("its frames come in by %s, where the program runs with `xdp: %s`, not %s", wants[i].Name, wants[i].XDP, vlan.XDP),
			Fix:  fmt.Sprintf("name %s under `interfaces:` with the mode, and leave `xdp:` out of its VLAN devices", wants[i].Name),
		})
	}
	return out
}
