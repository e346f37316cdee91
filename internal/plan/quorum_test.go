// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// checkedPool is a service of servers with a check and these weights.
func checkedPool(weights ...uint16) model.Spec {
	var servers []model.Server
	for i, weight := range weights {
		s := checked(server(fmt.Sprintf("198.51.100.%d", 11+i), model.NAT), false, 0)
		s.Weight = weight
		servers = append(servers, s)
	}
	return spec("192.0.2.10", servers...)
}

// withSorry adds a sorry server.
func withSorry(s model.Spec) model.Spec {
	sorry := server("198.51.100.99", model.NAT)
	sorry.Sorry = true
	s.Services[0].Servers = append(s.Services[0].Servers, sorry)
	return s
}

// everybody is a network in which all servers of a service have a MAC.
func everybody(s model.Spec) model.Network {
	var out []string
	for _, a := range s.ServerAddresses() {
		out = append(out, a.String())
	}
	return network(out...)
}

// play makes a plan for each look at the checks of all servers that have some, u, d or ? each, a second after the one
// before, and remembers what a daemon does. The weights of each plan are what comes out, with + for a quorum, - without, ! for panic.
func play(s model.Spec, seen model.Seen, finds string) string {
	var out []string
	seen.Network = everybody(s)
	servers := asked(s)
	for i, letters := range strings.Fields(finds) {
		seen.Health = map[model.CheckKey]model.Health{}
		for j, letter := range letters {
			for key, h := range found(servers[j], string(letter)) {
				seen.Health[key] = h
			}
		}
		now := noon.Add(time.Duration(i) * time.Second)
		desired, _ := plan.Make(s, seen, now)
		seen = plan.Remember(seen, desired, now)
		out = append(out, looks(desired, s.Services[0].Key))
	}
	return strings.Join(out, " ")
}

// asked are the servers of all services that have a check.
func asked(s model.Spec) (out []model.Server) {
	for _, service := range s.Services {
		for _, server := range service.Servers {
			if len(server.Checks.Of) > 0 {
				out = append(out, server)
			}
		}
	}
	return out
}

func looks(desired model.Desired, service model.ServiceKey) string {
	var weights []string
	for _, want := range desired.Dataplane.Services[0].Servers {
		weights = append(weights, fmt.Sprint(want.Weight))
	}
	standing := desired.Standings[service]
	sign := map[model.QuorumState]string{model.QuorumHeld: "+", model.QuorumLost: "-"}[standing.Quorum]
	if standing.Panic {
		sign += "!"
	}
	return strings.Join(weights, ",") + sign
}

func TestQuorum(t *testing.T) {
	one, two := checkedPool(1), checkedPool(1, 1)
	four, weights := checkedPool(1, 1, 1, 1), checkedPool(5, 1, 1)
	for _, test := range []struct {
		name        string
		spec        model.Spec
		quorum      model.Quorum
		finds, want string
	}{
		{"none is asked for", two, model.Quorum{}, "?? u? ud dd", "0,0 1,0 1,0 0,0"},
		{"of two", two, model.Quorum{Weight: 2}, "?? u? uu ud uu", "0,0 1,0 1,1+ 1,0- 1,1+"},
		{"it is found out that it cannot be had", two, model.Quorum{Weight: 2}, "?? d? du", "0,0 0,0- 0,1-"},
		{"within the band all stays", four, model.Quorum{Weight: 2, Hysteresis: 1}, "???? uu?? uuu? uudd uddd dddd uddd uudd uuud",
			"0,0,0,0 1,1,0,0 1,1,1,0+ 1,1,0,0+ 1,0,0,0+ 0,0,0,0- 1,0,0,0- 1,1,0,0- 1,1,1,0+"},
		{"weights count, not heads", weights, model.Quorum{Weight: 4}, "uuu udd duu uud", "5,1,1+ 5,0,0+ 0,1,1- 5,1,0+"},
		{"one of one", one, model.Quorum{Weight: 1}, "? u d u", "0 1+ 0- 1+"},
		{"the sorry server takes the place of too few", withSorry(checkedPool(1, 1, 1)), model.Quorum{Weight: 2}, "??? u?? uu? uud udd ddd udd uud",
			"0,0,0,1 0,0,0,1 1,1,0,0+ 1,1,0,0+ 0,0,0,1- 0,0,0,1- 0,0,0,1- 1,1,0,0+"},
	} {
		test.spec.Services[0].Quorum = test.quorum
		if got := play(test.spec, model.Seen{}, test.finds); got != test.want {
			t.Errorf("%s:\n%s\n%s, want\n%s", test.name, test.finds, got, test.want)
		}
	}
}

// TestQuorumOutlivesTheDaemon: what the one before it left in the maps says how it was.
func TestQuorumOutlivesTheDaemon(t *testing.T) {
	s := withSorry(checkedPool(1, 1, 1, 1))
	s.Services[0].Quorum = model.Quorum{Weight: 2, Hysteresis: 1}
	for at, want := range map[int]string{0: "1,1,0,0,0+", 4: "0,0,0,0,1-"} {
		pool := map[model.ServiceServer]bool{}
		for i, server := range s.Services[0].Servers {
			pool[model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}] = i == at
		}
		if got := play(s, model.Seen{InPool: pool}, "uudd"); got != want {
			t.Errorf("server %d was at work: %s, want %s", at, got, want)
		}
	}
}

// TestSetAsideConnectionsLive: of servers that are set aside for want of a quorum, unlike of those that are down.
func TestSetAsideConnectionsLive(t *testing.T) {
	s := withSorry(checkedPool(1, 1))
	s.Services[0].Quorum.Weight = 2
	health := found(s.Services[0].Servers[0], "u")
	for key, h := range found(s.Services[0].Servers[1], "d") {
		health[key] = h
	}
	desired, _ := plan.Make(s, model.Seen{Network: everybody(s), Health: health}, noon)
	for i, want := range []model.Leaving{model.Drain, model.Reset, 0} {
		if got := desired.Dataplane.Services[0].Servers[i]; got.Leaving != want || got.Absent != (i < 2) {
			t.Errorf("server %d: %+v, want leaving %q", i, got, want)
		}
	}
}

// TestQuorumNeverFlapsWithinTheBand, whatever servers do.
func TestQuorumNeverFlapsWithinTheBand(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var weights []uint16
		for range 1 + r.IntN(6) {
			weights = append(weights, uint16(1+r.IntN(9)))
		}
		s := checkedPool(weights...)
		q := model.Quorum{Weight: 1 + r.IntN(10)}
		q.Hysteresis = r.IntN(q.Weight)
		s.Services[0].Quorum = q
		seen, was := model.Seen{Network: everybody(s)}, model.QuorumUnknown
		for range 40 {
			seen.Health = map[model.CheckKey]model.Health{}
			sum := 0
			for _, server := range s.Services[0].Servers {
				letter := "ud"[r.IntN(2):][:1]
				if letter == "u" {
					sum += int(server.Weight)
				}
				for key, h := range found(server, letter) {
					seen.Health[key] = h
				}
			}
			desired, _ := plan.Make(s, seen, noon)
			seen = plan.Remember(seen, desired, noon)
			is := desired.Standings[s.Services[0].Key].Quorum
			inBand := sum > 0 && sum >= q.Weight-q.Hysteresis && sum < q.Weight+q.Hysteresis
			if was != model.QuorumUnknown && inBand && is != was || sum >= q.Weight+q.Hysteresis && is != model.QuorumHeld ||
				sum < q.Weight-q.Hysteresis && is != model.QuorumLost {
				t.Fatalf("%+v of weight %d: it was %d and is %d", q, sum, was, is)
			}
			was = is
		}
	}
}

func TestPanic(t *testing.T) {
	quiesced := checkedPool(1, 0)
	for _, test := range []struct {
		name        string
		spec        model.Spec
		percent     int
		finds, want string
	}{
		{"off", checkedPool(1, 1), 0, "ud dd", "1,0 0,0"},
		{"half is enough", checkedPool(1, 1), 50, "uu ud dd du", "1,1 1,0 1,1! 0,1"},
		{"less than half is not", checkedPool(1, 1, 1), 50, "uuu uud udd ddd uud", "1,1,1 1,1,0 1,1,1! 1,1,1! 1,1,0"},
		{"all or nothing", checkedPool(1, 1, 1), 100, "uuu uud", "1,1,1 1,1,1!"},
		{"weights count, not heads", checkedPool(8, 1, 1), 50, "udd duu", "8,0,0 8,1,1!"},
		{"who is new waits all the same", checkedPool(1, 1, 1), 50, "??? dd? ddu", "0,0,0 1,1,0! 1,1,1!"},
		{"what is not known yet is no reason", checkedPool(1, 1, 1), 50, "??? d?? du? duu", "0,0,0 0,0,0 0,1,0 0,1,1"},
		{"nor is it one to keep the last", checkedPool(1, 1), 1, "?? d? dd", "0,0 0,0 1,1!"},
		{"who is quiesced does not count", quiesced, 50, "ud du", "1,0 1,0!"},
	} {
		test.spec.Services[0].Panic = test.percent
		if got := play(test.spec, model.Seen{}, test.finds); got != test.want {
			t.Errorf("%s:\n%s\n%s, want\n%s", test.name, test.finds, got, test.want)
		}
	}
}
