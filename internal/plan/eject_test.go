// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// votes makes a plan for each look at the servers of a service, 10 seconds after the one before: x has a bad sign,
// d is down by its check, X both, . is well. The weights of each plan are what comes out.
func votes(s model.Spec, looks string) string {
	var out []string
	seen := model.Seen{Network: everybody(s)}
	for i, letters := range strings.Fields(looks) {
		seen.Health, seen.Signs = map[model.CheckKey]model.Health{}, map[model.ServiceServer]model.Sign{}
		for j, letter := range letters {
			server := s.Services[0].Servers[j]
			state := map[bool]string{true: "d", false: "u"}[letter == 'd' || letter == 'X']
			for key, h := range found(server, state) {
				seen.Health[key] = h
			}
			if letter == 'x' || letter == 'X' {
				seen.Signs[model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}] = model.Sign{Begun: 20}
			}
		}
		now := noon.Add(time.Duration(i) * 10 * time.Second)
		desired, _ := plan.Make(s, seen, now)
		seen = plan.Remember(seen, desired, now)
		var weights []string
		for _, want := range desired.Dataplane.Services[0].Servers {
			weights = append(weights, fmt.Sprint(want.Weight))
		}
		out = append(out, strings.Join(weights, ""))
	}
	return strings.Join(out, " ")
}

func TestSignsVote(t *testing.T) {
	for _, test := range []struct {
		name, looks, want string
	}{
		{"nothing speaks against anybody", ".. ..", "11 11"},
		{"one for half a minute", "x. x. .. .. ..", "01 01 01 11 11"},
		{"all are bad: it is the clients", "xx xx", "11 11"},
		{"the other one is down", "xd xd", "10 10"},
		{"the other one goes meanwhile", "x. .d .. ..", "01 10 01 11"},
		{"two of three", "xx. ... ... ...", "001 001 001 111"},
		{"the last one turns bad", "x. .x .x .. ..", "01 11 11 11 11"},
		{"what is down by its check is not voted on", "X. .. .. .. .. x. .. .. ..", "01 11 11 11 11 01 01 01 11"},
		{"it is bad again: twice as long", "x. .. .. .. x. .. .. .. .. .. ..", "01 01 01 11 01 01 01 01 01 01 11"},
		{"long after: as at first", "x. .. .. .. .. .. .. x. .. .. ..", "01 01 01 11 11 11 11 01 01 01 11"},
		{"it is down as well", "x. d. d. d. d. ..", "01 01 01 01 01 11"},
	} {
		s := checkedPool(1, 1, 1)
		s.Services[0].Servers = s.Services[0].Servers[:len(strings.Fields(test.looks)[0])]
		s.Services[0].Passive = model.PassiveVote
		if got := votes(s, test.looks); got != test.want {
			t.Errorf("%s: %s\n%s, want\n%s", test.name, test.looks, got, test.want)
		}
		s.Services[0].Passive = 0
		if got := votes(s, strings.NewReplacer("d", ".", "X", "x").Replace(test.looks)); strings.Contains(got, "0") {
			t.Errorf("%s, by a service that did not ask for it: %s", test.name, got)
		}
	}
}

// TestOnlyWhoServesIsTrusted: one that cannot be reached, and one that panic keeps, is no reason to do without another.
func TestOnlyWhoServesIsTrusted(t *testing.T) {
	s := checkedPool(1, 1)
	s.Services[0].Passive = model.PassiveVote
	first, second := s.Services[0].Servers[0], s.Services[0].Servers[1]
	seen := model.Seen{
		Network: network(first.Key.Address.String()), Health: found(first, "u"),
		Signs: map[model.ServiceServer]model.Sign{{Service: s.Services[0].Key, Server: first.Key}: {Begun: 20}},
	}
	for key, h := range found(second, "u") {
		seen.Health[key] = h
	}
	if desired, _ := plan.Make(s, seen, noon); desired.Dataplane.Services[0].Servers[0].Weight != 1 {
		t.Error("the only one that can be reached is out")
	}
	seen.Network, s.Services[0].Panic = everybody(s), 90
	for key, h := range found(second, "d") {
		seen.Health[key] = h
	}
	if desired, _ := plan.Make(s, seen, noon); desired.Dataplane.Services[0].Servers[0].Weight != 1 {
		t.Error("the only healthy one is out")
	}
}

// TestVoteCostsNoQuorum: the sorry server stays where it is.
func TestVoteCostsNoQuorum(t *testing.T) {
	s := withSorry(checkedPool(1, 1))
	s.Services[0].Passive, s.Services[0].Quorum = model.PassiveVote, model.Quorum{Weight: 2}
	if got := votes(s, "... x.. ... ..."); got != "110 010 010 010" {
		t.Error(got)
	}
}

// TestEjectionDrains: connections of a server that is out live on, and the plan says when it comes back.
func TestEjectionDrains(t *testing.T) {
	s := checkedPool(1, 1)
	s.Services[0].Passive = model.PassiveVote
	here := model.ServiceServer{Service: s.Services[0].Key, Server: s.Services[0].Servers[0].Key}
	seen := model.Seen{Network: everybody(s), Health: found(s.Services[0].Servers[0], "u"), Signs: map[model.ServiceServer]model.Sign{here: {Begun: 20}}}
	for key, h := range found(s.Services[0].Servers[1], "u") {
		seen.Health[key] = h
	}
	desired, next := plan.Make(s, seen, noon)
	if want := desired.Dataplane.Services[0].Servers[0]; want.Leaving != model.Drain || !want.Absent {
		t.Errorf("it is wanted as %+v", want)
	}
	if !next.Equal(noon.Add(30 * time.Second)) {
		t.Errorf("the next plan is due at %s", next)
	}
	for range 10 { // each time in a row is twice as long
		seen = plan.Remember(seen, desired, next)
		desired, next = plan.Make(s, seen, next)
	}
	if e := desired.Ejections[here]; e.Until.Sub(e.Since) != 8*time.Minute {
		t.Errorf("the longest is %s", e.Until.Sub(e.Since))
	}
}
