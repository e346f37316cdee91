// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/suggest"
)

// sorry reads the server that takes connections while no other does: none, or one.
func (s scope) sorry(n *yaml.Node, standard defaults) []server {
	if n == nil {
		return nil
	}
	s = s.in("sorry")
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		switch key := n.Content[i]; key.Value {
		case "weight", "thresholds", "check", "maintenance":
			s.complain(key, mistake{fmt.Sprintf("%s of a sorry server", key.Value),
				"leave it out: it takes connections while no other server does"})
		}
	}
	standard.checks = model.Checks{}
	out := s.server(n, 1, standard)
	out.Sorry = true
	return []server{out}
}

// sorryService returns what names a service: it reads as a name, and not as an address that was mistyped.
func sorryService(n *yaml.Node) *yaml.Node {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) || n.Value == "" {
		return nil
	}
	protocol, _, _ := strings.Cut(n.Value, "-")
	_, isDefault := model.ParseProtocol(protocol)
	isAddress := strings.Contains(n.Value, ".") && strings.Trim(n.Value, "0123456789.") == ""
	if !isDefault && (isAddress || strings.ContainsFunc(n.Value, notInName)) {
		return nil
	}
	return n
}

// checkSorry lends to services the servers of those that they name.
func (f *file) checkSorry(services []service) {
	known, byName, room := namesOf(services), placesOf(services), roomBeside(services)
	for i, s := range services {
		if s.sorry == nil {
			continue
		}
		scope := scope{f, s.label + ": sorry: "}
		j, found := byName[s.sorry.Value]
		switch {
		case !found && known == nil: // it may be one that could not be read
		case !found:
			scope.complain(s.sorry, mistake{"there is no service " + label(s.sorry.Value), scope.sorryHint(s, known)})
		default:
			lent := scope.lent(s, services[j], room)
			room -= len(lent)
			services[i].servers = append(services[i].servers, lent...)
		}
	}
}

// placesOf says where in the list the first service of each name is.
func placesOf(services []service) map[string]int {
	out := map[string]int{}
	for i, s := range slices.Backward(services) {
		out[s.Name] = i
	}
	return out
}

// roomBeside is how many servers there may be, besides those that services have of their own.
func roomBeside(services []service) int {
	room := model.MaxAllServers
	for _, s := range services {
		room -= len(s.servers)
	}
	return room
}

// sorryHint is not worth the search where nobody would read it.
func (s scope) sorryHint(of service, known []string) string {
	if !s.isFull() {
		others := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return name == of.Name })
		if meant := suggest.Closest(of.sorry.Value, others); meant != "" {
			return fmt.Sprintf("did you mean %q?", meant)
		}
	}
	return "name another one of this file, or write the address of a server: names of hosts are not looked up"
}

// unfitLender refuses a service that cannot stand in for another one, whatever its servers are.
func unfitLender(s, lender service, room int) *mistake {
	switch {
	case s.Key == lender.Key:
		return &mistake{"this is the service itself", "name another one"}
	case lender.sorry != nil:
		return &mistake{fmt.Sprintf("%s has a sorry service itself, %s", lender.label, quote(lender.sorry.Value)),
			"name one that has none, or a sorry server: there is no chain"}
	case len(lender.servers) == 0:
		return &mistake{lender.label + " has no server", "write them there"}
	case len(s.servers)+len(lender.servers) > model.MaxServers:
		return &mistake{fmt.Sprintf("more than %d servers, together with those of %s", model.MaxServers, lender.label), "name a smaller one"}
	case len(lender.servers) > room:
		return &mistake{fmt.Sprintf("more than %d servers of all services, together with those of %s", model.MaxAllServers, lender.label),
			"name a smaller one: its servers count for each service that has them"}
	}
	for _, key := range s.Keys() {
		if !lender.Speaks(key.Protocol) {
			return &mistake{fmt.Sprintf("%s has no address of protocol %s", lender.label, key.Protocol), "name one that has: its servers do not listen to that"}
		}
	}
	return nil
}

// lent are the servers of a service for another one; none, if one of them cannot work there.
func (s scope) lent(to, lender service, room int) (out []server) {
	if !to.Key.Address.IsValid() || !lender.Key.Address.IsValid() {
		return nil
	}
	if m := unfitLender(to, lender, room); m != nil {
		s.complain(to.sorry, *m)
		return nil
	}
	for _, one := range lender.servers {
		one.LentBy, one.Sorry = lender.Key, true
		one.Checks, one.Maintenance = model.Checks{}, model.Maintenance{}
		one.node = to.sorry
		if standard := forServers(to.Service); one.Key.Port == model.AnyPort {
			one.Key.Port = standard.Port
		}
		if m := unfitLoan(to, lender, one); m != nil {
			s.in(lender.label+": "+one.label).complain(to.sorry, *m)
			return nil
		}
		out = append(out, one)
	}
	return out
}

// unfitLoan refuses a server that could not be one of the other service, or is one already.
func unfitLoan(to, lender service, one server) *mistake {
	standard := defaults{key: forServers(to.Service), several: len(to.Also) > 0 || to.Key.IsRange()}
	port := portRef{kind: portNumber, number: one.Key.Port}
	if one.Key.Port == model.AnyPort {
		port.kind = portAny
	}
	own := slices.IndexFunc(to.servers, func(s server) bool { return s.Key == one.Key })
	switch family, fixed := wrongFamily(one.Key, standard.key, one.Forwarding), wrongPort(port, standard, one.Forwarding); {
	case !one.Key.Address.IsValid():
		return nil
	case own >= 0:
		return &mistake{fmt.Sprintf("%s has it, too", to.label),
			fmt.Sprintf("it stands in line %d: whether it is well is for one of them to say, so keep it in one", to.servers[own].node.Line)}
	case family != nil:
		return &mistake{family.what, fmt.Sprintf("name a service of %s servers, or one that is forwarded by tun", familyName(to.Key.Address))}
	case fixed != nil && standard.key.Port == model.AnyPort:
		return &mistake{fixed.what, "name a service of several ports, or of any: its servers are asked for the port that the client asked for"}
	case fixed != nil:
		return &mistake{fixed.what, fmt.Sprintf("name a service whose servers listen on port %d, or are forwarded by nat", standard.key.Port)}
	}
	return nil
}

// apart parts sorry servers from the others.
func apart(all []model.Server) (servers, sorry []model.Server) {
	for _, s := range all {
		if s.Sorry {
			sorry = append(sorry, s)
		} else {
			servers = append(servers, s)
		}
	}
	return servers, sorry
}

// sorryNode is the server, or the service that lends it and others.
func sorryNode(sorry, common model.Server, names map[model.ServiceKey]string) *yaml.Node {
	if sorry.IsLent() {
		return textNode(names[sorry.LentBy])
	}
	sorry.Checks = common.Checks // it has none, and none may be written
	return serverNode(sorry, common)
}
