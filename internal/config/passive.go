// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// passive returns 0 for the default, written or not, and after a complaint.
func (s scope) passive(n *yaml.Node, of *service) model.Passive {
	if n == nil {
		return 0
	}
	word, _ := s.word(n, "policy", passives)
	passive, _ := model.ParsePassive(word)
	if passive == model.PassiveVote {
		s.complainIf(n, uselessVote(of))
	}
	if passive == model.PassiveWarn {
		return 0
	}
	return passive
}

// uselessVote refuses one that nobody would heed.
func uselessVote(of *service) *mistake {
	meant := 0
	for _, server := range of.servers {
		if !server.Sorry {
			meant++
		}
	}
	switch {
	case of.Key.Address.IsValid() && !of.Speaks(model.TCP) && !of.Speaks(model.SCTP):
		return &mistake{"passive: vote for a service of protocol udp, whose datagrams may want no answer", `write "check:" instead: it asks`}
	case slices.ContainsFunc(of.Keys(), hasManyPorts):
		return &mistake{"passive: vote for a service of several ports, where nobody has to listen at all of them", `write "check:" instead: it asks one`}
	case meant == 1:
		return &mistake{"passive: vote with one server, which is never taken out", "leave it out, or write a second server"}
	}
	return nil
}

// hasManyPorts says nothing of a key that was complained about.
func hasManyPorts(k model.ServiceKey) bool { return k.Address.IsValid() && k.HasManyPorts() }
