// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// sharing says with whom connections are shared, if with anybody.
func sharing(spec model.Spec) string {
	peers, lvs := len(spec.Sync.Peers), spec.Sync.IPVS.Interface != ""
	switch {
	case peers > 0 && lvs:
		return ", sync with " + count(peers, "director") + " and those of LVS"
	case peers > 0:
		return ", sync with " + count(peers, "director")
	case lvs:
		return ", sync with directors of LVS"
	}
	return ""
}

// syncRemarks are on what is no mistake, and seldom meant.
func syncRemarks(file string, spec model.Spec) (out string) {
	if sharing(spec) == "" {
		return ""
	}
	remark := func(what, fix string) { out += fmt.Sprintf("\n%s: sync: %s; %s", file, what, fix) }
	if len(spec.VirtualRouters) == 0 {
		remark("of no use without `vrrp:`: this director serves everything all the time, so it is told of nothing, and nobody takes over from it",
			"write the addresses that move into a virtual router")
	}
	if names := owners(spec); names != "" && len(spec.Sync.Peers) > 0 {
		remark("priority 255 takes over before it has the connections of the other director, in "+names, "with one below 255 it waits until it has them")
	}
	if ipvs := spec.Sync.IPVS; ipvs.Receive && len(ipvs.From) == 0 {
		remark("whoever is on "+ipvs.Interface+" can tell of connections, since ip_vs has no keys", "name the directors in `ipvs: {from: [192.0.2.3]}`")
	}
	return out
}

// owners names the virtual routers whose addresses are this host's own.
func owners(spec model.Spec) string {
	var names []string
	for _, r := range spec.VirtualRouters {
		if r.IsOwner() {
			names = append(names, r.Name)
		}
	}
	return some(names)
}
