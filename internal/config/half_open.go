// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// halfOpen returns 0 for the default, and after a complaint. What the table has room for is known later:
// checkHalfOpen.
func (s scope) halfOpen(n *yaml.Node, of model.Service) int {
	if n == nil {
		return 0
	}
	if of.Key.Address.IsValid() && !of.Speaks(model.TCP) && !of.Speaks(model.SCTP) {
		s.complain(n, mistake{"half_open for a service of protocol udp, whose flows never are", "leave it out"})
		return 0
	}
	number, _ := s.number(n, "half_open", 1, model.MaxConnections)
	return number
}

// checkHalfOpen refuses a limit that could not be reached. A size of 0 was complained about.
func (f *file) checkHalfOpen(services []service, size int) {
	for _, s := range services {
		if size == 0 || s.HalfOpen <= size {
			continue
		}
		f.complain(at(s.halfOpen), mistake{fmt.Sprintf("%s: half_open %d is more than the connection table has room for", s.label, s.HalfOpen),
			fmt.Sprintf("at most connections.size, which is %d", size)})
	}
}
