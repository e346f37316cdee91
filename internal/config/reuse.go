// SPDX-License-Identifier: Apache-2.0

package config

import (
	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// reuse returns 0 for the default, written or not, and after a complaint.
func (s scope) reuse(n *yaml.Node, of model.Service) model.Reuse {
	if n == nil {
		return 0
	}
	if of.Key.Address.IsValid() && !of.Speaks(model.TCP) && !of.Speaks(model.SCTP) {
		s.complain(n, mistake{"reuse for a service of protocol udp, whose datagrams open and close nothing", "leave it out"})
		return 0
	}
	word, _ := s.word(n, "policy", reuses)
	reuse, _ := model.ParseReuse(word)
	if reuse == model.ReuseClosed {
		return 0
	}
	return reuse
}
