// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// check looks at services together. What could not be read was complained about and is skipped.
func (f *file) check(services []service) {
	f.checkKeys(services)
	checkNames(f, "service", services, func(s service) (string, *yaml.Node, string) { return s.Name, s.name, s.label })
	f.checkSorry(services)
	for _, s := range services {
		f.checkServers(s)
	}
	f.checkVIPs(services)
}

// checkNames: each of a kind has a name of its own. Where none is written, it is the default, or missing.
func checkNames[T any](f *file, kind string, all []T, called func(T) (name string, written *yaml.Node, label string)) {
	first := map[string]*yaml.Node{}
	for _, each := range all {
		name, written, label := called(each)
		if written == nil || name == "" {
			continue
		}
		if before, twice := first[name]; twice {
			f.complain(at(written), mistake{label + ": the name stands twice",
				fmt.Sprintf("the first is in line %d: each %s has a name of its own", before.Line, kind)})
			continue
		}
		first[name] = written
	}
}

func (f *file) checkServers(s service) {
	first := map[model.ServerKey]server{}
	for i, server := range s.servers {
		before, twice := first[server.Key]
		switch {
		case server.IsLent(): // its own service tells of it
		case i == model.MaxServers:
			f.complain(at(server.node), mistake{fmt.Sprintf("%s: more than %d servers", s.label, model.MaxServers), ""})
		case !server.Key.Address.IsValid():
		case twice:
			f.complain(at(server.node), mistake{fmt.Sprintf("%s: %s stands twice", s.label, server.label),
				fmt.Sprintf("the first is in line %d: keep one, with the weight of both", before.node.Line)})
		default:
			first[server.Key] = server
			f.checkVia(s, server)
		}
	}
}

// checkVia refuses what only shows when service and server are known.
func (f *file) checkVia(s service, to server) {
	for _, check := range to.Checks.Of {
		if check.Via != model.ViaVIP || !s.Key.Address.IsValid() || to.Forwarding == 0 {
			continue
		}
		if why, fix := model.NoDetour(s.Key, to.Server, check.Ask); why != "" {
			f.complain(at(to.node), mistake{fmt.Sprintf("%s: %s: check via vip: %s", s.label, to.label, why), fix})
		}
	}
}

// checkVIPs refuses a server that has the address of a service: packets to it would never leave.
func (f *file) checkVIPs(services []service) {
	owners := map[model.Addr]service{}
	for i := len(services) - 1; i >= 0; i-- {
		for _, key := range services[i].Keys() {
			owners[key.Address] = services[i]
		}
	}
	for _, s := range services {
		for _, server := range s.servers {
			if server.IsLent() {
				continue // its own service tells of it
			}
			owner, clash := owners[server.Key.Address]
			if !clash || !server.Key.Address.IsValid() {
				continue
			}
			f.complain(at(server.node), mistake{
				fmt.Sprintf("%s: %s: this is the address of %s in line %d", s.label, server.label, owner.label, owner.address.Line),
				"write the server's own address"})
		}
	}
}
