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
		attachment, known := attachments[name]
		out = append(out, program(name, attachment, known, in.Seen.Network))
	}
	return out
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
