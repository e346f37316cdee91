// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
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

// apart parts the sorry server from the others.
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
