// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What the time may be in which a server comes to its weight.
const (
	minSlowStart = time.Second
	maxSlowStart = time.Hour
)

// policies are what a service says about its servers as a whole. What fits them is looked at when they are read.
func (s scope) policies(values map[string]*yaml.Node, of *service) {
	of.Quorum = s.quorum(values["quorum"], of.servers)
	of.Panic = s.panic(values["panic"])
	of.Maintenance = s.maintenance(values["maintenance"])
	if n := values["slow_start"]; n != nil {
		of.SlowStart = s.duration(n, "slow_start", minSlowStart, maxSlowStart)
		s.complainIf(n, uselessSlowStart(of.Scheduler, of.servers))
	}
	of.Passive = s.passive(values["passive"], of)
	if of.Panic > 0 {
		s.complainIf(values["panic"], uselessPanic(of))
	}
}

// quorum is a weight, or a map with one.
func (s scope) quorum(n *yaml.Node, servers []server) (out model.Quorum) {
	const most = model.MaxServers * model.MaxWeight
	if n == nil {
		return out
	}
	s = s.in("quorum")
	weight := n
	var hysteresis *yaml.Node
	if n.Kind != yaml.ScalarNode {
		values := s.mapping(n, "it", quorumKeys)
		if values == nil {
			return out
		}
		if weight, hysteresis = values["weight"], values["hysteresis"]; weight == nil {
			s.complain(n, mistake{"no weight", `write "weight: 2": so much the healthy servers must weigh together`})
			return out
		}
	}
	var ok bool
	if out.Weight, ok = s.number(weight, "weight", 1, most); !ok {
		return out
	}
	if hysteresis != nil {
		out.Hysteresis, ok = s.number(hysteresis, "hysteresis", 0, most)
	}
	switch sum := sumOf(servers); {
	case !ok:
	case out.Hysteresis >= out.Weight:
		s.complain(hysteresis, mistake{fmt.Sprintf("hysteresis %d is not less than weight %d", out.Hysteresis, out.Weight),
			"the quorum would never be lost: write a smaller one"})
	case len(servers) > 0 && out.Weight+out.Hysteresis > sum && !slices.ContainsFunc(servers, mayWeighMore):
		s.complain(n, mistake{fmt.Sprintf("%d is never reached: the weight of all servers is %d", out.Weight+out.Hysteresis, sum),
			"weight and hysteresis together are at most that"})
	}
	return out
}

// mayWeighMore tells whether a check may give a server more than the config does.
func mayWeighMore(s server) bool {
	return slices.ContainsFunc(s.Checks.Of, func(c model.Check) bool {
		switch ask := c.Ask.(type) {
		case model.AskExec:
			return ask.Dynamic
		case model.AskFile, model.AskAgent:
			return true
		}
		return false
	})
}

func sumOf(servers []server) (sum int) {
	for _, s := range servers {
		if !s.Sorry {
			sum += int(s.Weight)
		}
	}
	return sum
}

// panic is a share in percent; 0: never.
func (s scope) panic(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	text, ok := s.text(n, "panic")
	if !ok || text == "off" {
		return 0
	}
	percent, ok := strings.CutSuffix(text, "%")
	if !ok {
		s.complain(n, mistake{fmt.Sprintf("panic must be a share such as 50%%, not %s", quote(text)), "from 1% to 100%, or off"})
		return 0
	}
	number := *n
	number.Value = percent
	out, _ := s.number(&number, "panic in percent", 1, 100)
	return out
}

// uselessPanic refuses what would be heeded by nobody, or contradicts itself.
func uselessPanic(of *service) *mistake {
	asked := func(s server) bool { return len(s.Checks.Of) > 0 }
	switch servers := of.servers; {
	case of.sorry != nil:
		return &mistake{"panic and sorry", "panic keeps servers that are down, a sorry service takes their place: keep one of them"}
	case slices.ContainsFunc(servers, func(s server) bool { return s.Sorry }):
		return &mistake{"panic and sorry", "panic keeps servers that are down, a sorry server takes their place: keep one of them"}
	case len(servers) > 0 && !slices.ContainsFunc(servers, asked):
		return &mistake{"panic, but no server has a check", `write "check: tcp", or leave it out: nobody is found down`}
	}
	return nil
}

// uselessSlowStart refuses one that would have no steps, or that nobody heeds.
func uselessSlowStart(by model.Scheduler, servers []server) *mistake {
	if by == model.RR || by == model.LC || by == model.DH {
		return &mistake{fmt.Sprintf("slow_start with scheduler %s, which heeds no weights", by), `write "scheduler: wrr" or "wlc", or leave it out`}
	}
	heavy := func(s server) bool { return (s.Weight > 1 || mayWeighMore(s)) && !s.Sorry }
	if len(servers) > 0 && !slices.ContainsFunc(servers, heavy) {
		return &mistake{"slow_start, but no server has a weight above 1", `a weight grows from 1 in whole numbers: write "weight: 100" for each`}
	}
	return nil
}

// quorumNode is the weight where that says it all.
func quorumNode(q model.Quorum) *yaml.Node {
	if q.Hysteresis == 0 {
		return numberNode(q.Weight)
	}
	return mapNode(pair{"weight", numberNode(q.Weight)}, pair{"hysteresis", numberNode(q.Hysteresis)})
}

// policyPairs are what differs from the default.
func policyPairs(s model.Service) (pairs []pair) {
	if s.Quorum.Weight != 0 {
		pairs = append(pairs, pair{"quorum", quorumNode(s.Quorum)})
	}
	if s.Panic != 0 {
		pairs = append(pairs, pair{"panic", textNode(fmt.Sprintf("%d%%", s.Panic))})
	}
	if n := maintenanceNode(s.Maintenance); n != nil {
		pairs = append(pairs, pair{"maintenance", n})
	}
	if s.SlowStart != 0 {
		pairs = append(pairs, pair{"slow_start", textNode(printDuration(s.SlowStart))})
	}
	if s.Passive != 0 {
		pairs = append(pairs, pair{"passive", textNode(s.Passive.String())})
	}
	return pairs
}
