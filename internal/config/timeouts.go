// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// timeouts reads how long a service's connections are remembered. A state that its protocol does not
// have is a mistake: it would be heeded by nobody. The default is the same, written or not.
func (s scope) timeouts(n *yaml.Node, of model.Service) (out model.Timeouts) {
	if n == nil {
		return out
	}
	s = s.in("timeouts")
	values := s.mapping(n, "they", timeoutKeys)
	fits := model.States()
	if of.Key.Address.IsValid() {
		fits = statesOf(of)
	}
	standard := model.DefaultTimeouts()
	for _, state := range model.States() {
		value, key := values[stateKey(state)], stateKey(state)
		switch {
		case value == nil:
		case !slices.Contains(fits, state):
			s.complain(value, mistake{fmt.Sprintf("%s for a service of protocol %s, which has none", key, of.Key.Protocol),
				"its states are " + strings.Join(stateKeys(fits), ", ")})
		default:
			if d := s.duration(value, key, model.MinTimeout, model.MaxTimeout); d != *standard.Of(state) {
				*out.Of(state) = d
			}
		}
	}
	return out
}

// statesOf are those of a service's protocols.
func statesOf(s model.Service) []string {
	return slices.DeleteFunc(model.States(), func(state string) bool {
		return !slices.ContainsFunc(s.Keys(), func(k model.ServiceKey) bool {
			return slices.Contains(model.StatesOf(k.Protocol), state)
		})
	})
}

// stateKey is a state as the file writes it.
func stateKey(state string) string { return strings.ToLower(state) }

func stateKeys(states []string) []string {
	out := make([]string, 0, len(states))
	for _, state := range states {
		out = append(out, stateKey(state))
	}
	return out
}

// timeoutPairs are those that are not the default's.
func timeoutPairs(t model.Timeouts) []pair {
	var out []pair
	for _, state := range model.States() {
		if own := *t.Of(state); own != 0 {
			out = append(out, pair{stateKey(state), textNode(printDuration(own))})
		}
	}
	return out
}
