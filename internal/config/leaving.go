// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What the time may be for which servers drain.
const (
	minDrain = time.Second
	maxDrain = 31 * 24 * time.Hour
)

// leaving is the name of a policy, or a map. The default is the same, written or not.
func (s scope) leaving(n *yaml.Node) (out model.Departure) {
	if n == nil {
		return out
	}
	s = s.in("leaving")
	if n.Kind == yaml.ScalarNode {
		out.Policy = s.policy(n)
		return out
	}
	values := s.mapping(n, "it", leavingKeys)
	out.Policy = s.policy(values["policy"])
	if limit := values["for"]; limit != nil {
		out.For = s.drainTime(limit, out.Policy)
	}
	return out
}

// policy returns 0 for the default, and after a complaint.
func (s scope) policy(n *yaml.Node) model.Leaving {
	return s.leavingWord(n, "policy", leavings, model.Drain)
}

func (s scope) leavingWord(n *yaml.Node, what string, words vocabulary, standard model.Leaving) model.Leaving {
	if n == nil {
		return 0
	}
	word, _ := s.word(n, what, words)
	policy, _ := model.ParseLeaving(word)
	if policy == standard {
		return 0
	}
	return policy
}

// down is what becomes of connections to a server that was found dead. The default is the same, written or not.
func (s scope) down(n *yaml.Node) model.Leaving {
	return s.leavingWord(n, "down", downs, model.Reset)
}

// downOfNobody refuses what would be heeded by nobody.
func downOfNobody(n *yaml.Node, servers []server) *mistake {
	asked := func(s server) bool { return len(s.Checks.Of) > 0 }
	if n == nil || len(servers) == 0 || slices.ContainsFunc(servers, asked) {
		return nil
	}
	return &mistake{"down, but no server has a check", `write "check: tcp", or leave it out: nobody is found down`}
}

func (s scope) drainTime(n *yaml.Node, of model.Leaving) time.Duration {
	if of != 0 {
		s.complain(n, mistake{fmt.Sprintf("for, but policy %s takes no time", of), `write "policy: drain", or leave it out`})
		return 0
	}
	return s.duration(n, "for", minDrain, maxDrain)
}

// leavingNode is the name of the policy where that says it all; nil: the default.
func leavingNode(d model.Departure) *yaml.Node {
	switch {
	case d.For != 0:
		return mapNode(pair{"policy", textNode(model.Drain.String())}, pair{"for", textNode(printDuration(d.For))})
	case d.Policy == 0 || d.Policy == model.Drain:
		return nil
	}
	return textNode(d.Policy.String())
}
