// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// unknown returns 0 for the default, written or not, and after a complaint.
func (s scope) unknown(n *yaml.Node, servers []server) model.Unknown {
	if n == nil {
		return 0
	}
	word, _ := s.word(n, "policy", unknowns)
	policy, _ := model.ParseUnknown(word)
	if policy != model.ForwardUnknown {
		return policy
	}
	s.complainIf(n, uselessForward(servers))
	return 0
}

// uselessForward refuses to promise what no server of the service can have. Not written, the same is no
// promise.
func uselessForward(servers []server) *mistake {
	mayForward := func(s server) bool { return s.Forwarding != model.NAT }
	if len(servers) == 0 || slices.ContainsFunc(servers, mayForward) {
		return nil
	}
	return &mistake{"unknown: forward, but every server is forwarded by nat, which needs an entry for the way back",
		`write "unknown: pass", or leave it out`}
}
