// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// noProgram is the XDP mode of an interface without a program.
const noProgram = "none"

// The reasons of an interface that nobody told one about.
const (
	noSuchInterface = "there is no such interface"
	notAttachedYet  = "not attached yet"
)

// interfaces lists those that are wanted or have a program, by name.
func interfaces(in Input) []Interface {
	attachments := map[string]model.Attachment{}
	for _, a := range in.Seen.Attachments {
		attachments[a.Interface] = a
	}
	names := map[string]bool{}
	for name := range attachments {
		names[name] = true
	}
	for _, want := range in.Desired.Dataplane.Interfaces {
		names[want.Name] = true
	}
	for _, want := range in.Spec.Interfaces {
		names[want.Name] = true
	}
	var out []Interface
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if parent, ok := carrier(in, name); ok {
			out = append(out, carried(name, parent, attachments, in.Seen.Network))
			continue
		}
		attachment, known := attachments[name]
		out = append(out, program(name, attachment, known, in.Seen.Network))
	}
	return out
}

// carrier is the interface whose program balances the frames of a VLAN device.
func carrier(in Input, name string) (string, bool) {
	for _, want := range in.Desired.Dataplane.Interfaces {
		if parent, ok := linkByIndex(in.Seen.Network, want.Parent); ok && want.Name == name {
			return parent.Name, true
		}
	}
	return "", false
}

// carried is the line of a VLAN device: it fares as its parent does.
func carried(name, parent string, attachments map[string]model.Attachment, network model.Network) Interface {
	attachment, known := attachments[parent]
	line := program(parent, attachment, known, network)
	line.Name = name
	if line.XDP == noProgram {
		return line
	}
	why := "by the program on " + parent
	if line.Reason != "" {
		why += ": " + line.Reason
	}
	line.Reason = why
	return line
}

// program says which program is on an interface. A program dies with its interface.
func program(name string, a model.Attachment, known bool, network model.Network) Interface {
	switch {
	case missing(name, network):
		return Interface{Name: name, XDP: noProgram, Reason: noSuchInterface}
	case !known:
		return Interface{Name: name, XDP: noProgram, Reason: notAttachedYet}
	case !a.Attached:
		return Interface{Name: name, XDP: noProgram, Reason: a.Reason}
	}
	return Interface{Name: name, XDP: a.Mode.String(), Reason: a.Reason}
}

// missing is false as long as nothing was observed: every host has at least its loopback.
func missing(name string, network model.Network) bool {
	return len(network.Links) > 0 && !slices.ContainsFunc(network.Links, func(l model.Link) bool {
		return l.Name == name
	})
}
