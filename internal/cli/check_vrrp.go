// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// virtualRouters counts them, where there are any.
func virtualRouters(spec model.Spec) string {
	if len(spec.VirtualRouters) == 0 {
		return ""
	}
	return ", " + count(len(spec.VirtualRouters), "virtual router")
}

// vrrpRemarks are on what is no mistake, and seldom meant.
func vrrpRemarks(file string, spec model.Spec) (out string) {
	if len(spec.VirtualRouters) == 0 {
		return ""
	}
	for _, remark := range []struct {
		of        string
		what, fix string
	}{
		{staying(spec), "always served here, on a backup too: ", "if another director has it as well, write its address into a virtual router"},
		{unserved(spec), "no service has ", "packets to it are for the host of the master"},
		{deserted(spec), "nobody has the addresses while no director has a healthy server: a service is tracked as a fault by ", "write a weight, such as -50, beside it"},
		{withoutLinkLocal(spec), "no link-local address (RFC 9568 section 5.2.9) in ", "write one first, such as fe80::10, on every director; keepalived may go without"},
	} {
		if remark.of != "" {
			out += fmt.Sprintf("\n%s: vrrp: %s%s; %s", file, remark.what, remark.of, remark.fix)
		}
	}
	return out
}

// staying names the services that move with no virtual router. One of any destination has no address to move.
func staying(spec model.Spec) string {
	moves := moving(spec)
	var names []string
	for _, s := range spec.Services {
		if a := s.Key.Address; !a.IsUnspecified() && !moves[a] {
			names = append(names, s.Name)
		}
	}
	return some(names)
}

func moving(spec model.Spec) map[model.Addr]bool {
	out := map[model.Addr]bool{}
	for _, r := range spec.VirtualRouters {
		for _, p := range r.Addresses {
			out[p.Addr()] = true
		}
	}
	return out
}

// unserved names the addresses that move for nothing: a gateway of servers by nat, or to any destination, is of use.
func unserved(spec model.Spec) string {
	served := map[model.Addr]bool{}
	for _, s := range spec.Services {
		for _, key := range s.Keys() {
			served[key.Address] = true
		}
		if s.Key.Address.IsUnspecified() || slices.ContainsFunc(s.Servers, func(s model.Server) bool { return s.Forwarding == model.NAT }) {
			return ""
		}
	}
	var names []string
	for _, r := range spec.VirtualRouters {
		for _, p := range r.Addresses {
			if a := p.Addr(); !served[a] && !a.IsLinkLocalUnicast() {
				names = append(names, a.String())
			}
		}
	}
	return some(names)
}

// deserted names the virtual routers that are in fault without servers, which all directors may lose at once.
func deserted(spec model.Spec) string {
	var names []string
	for _, r := range spec.VirtualRouters {
		if slices.ContainsFunc(r.Track, func(t model.Track) bool {
			_, is := t.Of.(model.TrackService)
			return is && t.Weight == 0
		}) {
			names = append(names, r.Name)
		}
	}
	return some(names)
}

// withoutLinkLocal names the virtual routers of IPv6 whose adverts do not begin as they must. A link-local address
// behind others was refused.
func withoutLinkLocal(spec model.Spec) string {
	var names []string
	for _, r := range spec.VirtualRouters {
		if first := r.Addresses[0].Addr(); first.Is6() && !first.IsLinkLocalUnicast() {
			names = append(names, r.Name)
		}
	}
	return some(names)
}
