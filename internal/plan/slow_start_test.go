// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// TestSlowStart: 4 seconds, a plan each second.
func TestSlowStart(t *testing.T) {
	for _, test := range []struct {
		name, finds, want string
	}{
		{"it comes back", "uu uu uu uu uu ud ud uu uu uu uu uu", "8,8 8,8 8,8 8,8 8,8 8,0 8,0 8,1 8,2 8,4 8,6 8,8"},
		{"it falls again", "uu uu uu uu ud uu uu ud uu uu", "8,8 8,8 8,8 8,8 8,0 8,1 8,2 8,0 8,1 8,2"},
		{"all begin", "?? u? uu uu", "0,0 8,0 8,8 8,8"},
		{"a new one comes to others", "u? u? u? u? u? uu uu uu", "8,0 8,0 8,0 8,0 8,0 8,1 8,2 8,4"},
		{"nobody else is left", "uu uu uu uu ud uu du uu", "8,8 8,8 8,8 8,8 8,0 8,1 0,8 8,8"},
	} {
		s := checkedPool(8, 8)
		s.Services[0].SlowStart = 4 * time.Second
		if got := play(s, model.Seen{}, test.finds); got != test.want {
			t.Errorf("%s:\n%s\n%s, want\n%s", test.name, test.finds, got, test.want)
		}
	}
}

// TestSlowStartOfWhoIsKnown: a server that was at work before the daemon goes on as it was, and one that was not is
// slow.
func TestSlowStartOfWhoIsKnown(t *testing.T) {
	s := checkedPool(8, 8, 8)
	s.Services[0].SlowStart = 4 * time.Second
	pool := map[model.ServiceServer]bool{}
	for i, server := range s.Services[0].Servers {
		pool[model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}] = i < 2
	}
	if got := play(s, model.Seen{InPool: pool}, "uuu uuu uuu"); got != "8,8,1 8,8,2 8,8,4" {
		t.Error(got)
	}
}

// TestSlowStartOnlyGrows: from 1 to the weight, never above, in at most 50 steps, and it is over in time.
func TestSlowStartOnlyGrows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		weight, length := uint16(1+r.IntN(model.MaxWeight)), time.Duration(1+r.IntN(3600))*time.Second
		s := checkedPool(1, weight)
		s.Services[0].SlowStart = length
		first := model.ServiceServer{Service: s.Services[0].Key, Server: s.Services[0].Servers[0].Key}
		seen := model.Seen{Network: everybody(s), InPool: map[model.ServiceServer]bool{first: true}, Health: found(s.Services[0].Servers[0], "u")}
		for key, h := range found(s.Services[0].Servers[1], "u") {
			seen.Health[key] = h
		}
		now, last, steps := noon, uint16(0), 0
		for !now.IsZero() {
			desired, next := plan.Make(s, seen, now)
			seen = plan.Remember(seen, desired, now)
			got := desired.Dataplane.Services[0].Servers[1].Weight
			if got < max(1, last) || got > weight || !next.IsZero() && !next.After(now) {
				t.Fatalf("weight %d of %d after %s of %s, it was %d; next is %s", got, weight, now.Sub(noon), length, last, next)
			}
			last, now = got, next
			steps++
		}
		if last != weight || steps > 51 {
			t.Fatalf("weight %d of %d after %d steps of %s", last, weight, steps, length)
		}
	}
}
