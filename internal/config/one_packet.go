// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// onePacket is for UDP only, as in ipvsadm.
func (s scope) onePacket(n *yaml.Node, of model.Service) bool {
	if n == nil {
		return false
	}
	yes := s.truth(n, "one_packet")
	for _, p := range []model.Protocol{model.TCP, model.SCTP} {
		if yes && of.Key.Address.IsValid() && of.Speaks(p) {
			s.complain(n, mistake{fmt.Sprintf("one_packet for a service of protocol %s", p),
				"leave it out: only the datagrams of udp stand for themselves"})
			return false
		}
	}
	return yes
}
