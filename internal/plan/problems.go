// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
)

// problems are what the Spec asks for and this host cannot give.
func problems(spec model.Spec, network model.Network) []model.Problem {
	var out []model.Problem
	for _, service := range spec.Services {
		for _, server := range service.Servers {
			if p, bad := localPort(service, server, network); bad {
				out = append(out, p)
			}
		}
	}
	return out
}

// localPort: a server that is this host gets its packets as they are, so NAT cannot change the port.
func localPort(service model.Service, server model.Server, network model.Network) (model.Problem, bool) {
	route, ok := network.Routes[server.Key.Address]
	same := server.Key.Port == service.Key.Port || server.Key.Port == model.AnyPort
	if !ok || !route.Local || same {
		return model.Problem{}, false
	}
	return model.Problem{
		What: fmt.Sprintf("service %s, server %s", service.Name, server.Key),
		Why:  "the server is this host, which gets packets untranslated, on the service's port",
		Fix:  fmt.Sprintf("let it listen on port %d, or put another director in front of it", service.Key.Port),
	}, true
}
