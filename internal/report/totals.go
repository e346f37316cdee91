// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// Group is what counted connections have in common.
type Group struct {
	Protocol model.Protocol
	State    string
	Server   model.ServerKey // AnyPort: of a service of all ports, or a range, or of one that is gone
}

// Totals are counts of connections by group. There are as many groups as servers have states, however
// many connections there are: a client that tries all ports makes no more.
type Totals map[Group]uint64

// Add counts a connection.
func (t Totals) Add(c Connection, owners Owners) {
	g := Group{c.Protocol, c.State, model.ServerKey{Address: c.Server.Addr(), Port: c.Server.Port()}}
	if owner, _ := owners.Of(c); owner.By.HasManyPorts() {
		g.Server.Port = model.AnyPort
	}
	t[g]++
}

// Groups are in the order of protocol, state and server.
func (t Totals) Groups() []Group {
	stages := map[string]int{}
	for i, state := range model.ListedStates() {
		stages[state] = i
	}
	return slices.SortedFunc(maps.Keys(t), func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(a.Protocol, b.Protocol),
			cmp.Compare(stages[a.State], stages[b.State]),
			a.Server.Address.Compare(b.Server.Address),
			cmp.Compare(a.Server.Port, b.Server.Port),
		)
	})
}
