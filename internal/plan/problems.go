// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// problems are what the Spec asks for and this host cannot give.
func problems(spec model.Spec, network model.Network) []model.Problem {
	out := vlanProblems(spec, network)
	for _, service := range spec.Services {
		for _, server := range service.Servers {
			out = append(out, localPort(service, server, network)...)
			out = append(out, behindRouter(service, server, network)...)
			out = append(out, answersElsewhere(spec, service, server, network)...)
		}
	}
	return out
}

// problem is about one server.
func problem(service model.Service, server model.Server, why, fix string) []model.Problem {
	return []model.Problem{{
		What: fmt.Sprintf("service %s, server %s", service.Name, server.Key), Why: why, Fix: fix,
	}}
}

// localPort: a server that is this host gets its packets as they are, so NAT cannot change the port.
func localPort(service model.Service, server model.Server, network model.Network) []model.Problem {
	route, ok := network.Routes[server.Key.Address]
	same := server.Key.Port == service.Key.Port || server.Key.Port == model.AnyPort
	if !ok || !route.Local || same {
		return nil
	}
	return problem(service, server,
		"the server is this host, which gets packets untranslated, on the service's port",
		fmt.Sprintf("let it listen on port %d, or put another director in front of it", service.Key.Port))
}

// behindRouter: see unreachableByDR.
func behindRouter(service model.Service, server model.Server, network model.Network) []model.Problem {
	route, ok := network.Routes[server.Key.Address]
	if !ok || !unreachableByDR(server, route) {
		return nil
	}
	return problem(service, server,
		fmt.Sprintf("direct routing reaches servers on this host's own LANs only, and the way to this one goes through the router %s", route.Gateway),
		"use `forwarding: tun` or `forwarding: nat` for it, or give this host an interface in its LAN")
}

// answersElsewhere: without the program on its interface the kernel would hand a NAT server's
// answers to the client untranslated.
func answersElsewhere(spec model.Spec, service model.Service, server model.Server, network model.Network) []model.Problem {
	route, ok := network.Routes[server.Key.Address]
	if !ok || route.Local || server.Forwarding != model.NAT {
		return nil
	}
	for _, link := range network.Links {
		if link.Index != route.Link || len(spec.Interfaces) == 0 && !link.Loopback { // weir runs wherever servers are
			continue
		}
		if _, wanted := wantedMode(spec, network, link); !wanted {
			return problem(service, server,
				fmt.Sprintf("its answers come in by %s, where weir does not run: clients get them untranslated and refuse them", link.Name),
				fmt.Sprintf("add %s to `interfaces:`, or leave `interfaces:` out", link.Name))
		}
	}
	return nil
}
