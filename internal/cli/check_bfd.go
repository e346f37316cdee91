// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// watched counts the sessions of BFD, where there are any.
func watched(spec model.Spec) string {
	if len(spec.BFD) == 0 {
		return ""
	}
	return ", bfd with " + count(len(spec.BFD), "neighbour")
}

// bfdRemarks are on what is no mistake, and seldom meant.
func bfdRemarks(file string, spec model.Spec) string {
	var names []string
	for _, s := range spec.BFD {
		if !slices.ContainsFunc(spec.VirtualRouters, func(r model.VirtualRouter) bool {
			return slices.ContainsFunc(r.Track, func(t model.Track) bool { return t.Of == model.TrackBFD{Name: s.Name} })
		}) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("\n%s: bfd: the peer learns whether this director lives, and here nothing follows from %s; write `track: [{bfd: %s}]` in a virtual router",
		file, some(names), names[0])
}
