// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// aliases reads the ranges from which checks through virtual addresses take stand-ins: one of each family at most.
func (s scope) aliases(n *yaml.Node) (out model.Aliases) {
	s = s.in("check_aliases")
	for _, item := range s.list(n, "check_aliases") {
		text, ok := s.text(item, "a range")
		if !ok {
			continue
		}
		prefix, m := parseSource(text)
		s.complainIf(item, m)
		place := &out.V4
		if prefix.Addr().Is6() {
			place = &out.V6
		}
		switch {
		case m != nil:
		case place.IsValid():
			s.complain(item, mistake{fmt.Sprintf("%s and %s are of one family", *place, prefix), "keep one of them"})
		default:
			*place = prefix
		}
	}
	return out.Plain()
}

// checkAliases refuses a service's or a server's address that a check would take for a stand-in.
func (f *file) checkAliases(services []service, aliases model.Aliases) {
	used := map[bool]bool{} // by whether it is IPv4
	for _, s := range plain(services) {
		for _, server := range s.Servers {
			for _, key := range s.Asks(server) {
				used[key.Target.Addr().Is4()] = used[key.Target.Addr().Is4()] || key.Detour != (model.Detour{})
			}
		}
	}
	refuse := func(label string, node *yaml.Node, a model.Addr) {
		if a.IsValid() && used[a.Is4()] && aliases.Of(a).Contains(a) {
			f.complain(at(node), mistake{fmt.Sprintf("%s: %s is in %s, from which checks through virtual addresses take stand-ins", label, a, aliases.Of(a)),
				`name another range in "check_aliases:", of addresses that nobody has`})
		}
	}
	for _, s := range services {
		refuse(s.label, s.address, s.Key.Address)
		for _, server := range s.servers {
			refuse(s.label+": "+server.label, server.node, server.Key.Address)
		}
	}
}
