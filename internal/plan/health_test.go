// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// checked gives a server so many checks, which differ by their ports.
func checked(s model.Server, any bool, ports ...uint16) model.Server {
	s.Checks.Any = any
	for _, port := range ports {
		s.Checks.Of = append(s.Checks.Of, model.Check{Ask: model.AskTCP{}, Port: port, Interval: time.Second})
	}
	return s
}

// directly has the server itself asked.
func directly(s model.Server) model.Server {
	for i := range s.Checks.Of {
		s.Checks.Of[i].Via = model.ViaServer
	}
	return s
}

// found is what the checks of a server, by their order, found out: u, d or ?.
func found(s model.Server, letters string) map[model.CheckKey]model.Health {
	out := map[model.CheckKey]model.Health{}
	for i, key := range spec("192.0.2.10").Services[0].Asks(s) {
		switch letters[i] {
		case 'u':
			out[key] = model.Health{State: model.HealthUp}
		case 'd':
			out[key] = model.Health{State: model.HealthDown, Reason: key.Target.String()}
		}
	}
	return out
}

func TestServersThatAreDownGetNoConnections(t *testing.T) {
	type pool struct {
		weight  uint16
		absent  bool
		leaving model.Leaving
	}
	in := pool{weight: 1}
	for _, test := range []struct {
		name   string
		server model.Server
		found  string
		was    bool // it was in the pool
		down   model.Leaving
		want   pool
	}{
		{"no check", one, "", false, 0, in},
		{"up", checked(one, false, 0), "u", false, 0, in},
		{"down", checked(one, false, 0), "d", true, 0, pool{0, true, model.Reset}},
		{"down, drain", checked(one, false, 0), "d", true, model.Drain, pool{0, true, model.Drain}},
		{"down, drop", checked(one, false, 0), "d", true, model.Drop, pool{0, true, model.Drop}},
		{"new", checked(one, false, 0), "?", false, 0, pool{0, true, 0}},
		{"known from before", checked(one, false, 0), "?", true, 0, in},
		{"all are up", checked(one, false, 81, 82), "uu", false, 0, in},
		{"not all are up", checked(one, false, 81, 82), "ud", true, 0, pool{0, true, model.Reset}},
		{"not all are known", checked(one, false, 81, 82), "u?", false, 0, pool{0, true, 0}},
		{"one down is enough", checked(one, false, 81, 82), "?d", true, 0, pool{0, true, model.Reset}},
		{"one up is enough", checked(one, true, 81, 82), "du", false, 0, in},
		{"one may come up yet", checked(one, true, 81, 82), "d?", true, 0, in},
		{"none is up", checked(one, true, 81, 82), "dd", true, 0, pool{0, true, model.Reset}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := spec("192.0.2.10", test.server, two)
			s.Services[0].Down = test.down
			seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12"), Health: found(test.server, test.found)}
			if test.was {
				seen.InPool = map[model.ServiceServer]bool{{Service: s.Services[0].Key, Server: test.server.Key}: true}
			}
			desired, _ := plan.Make(s, seen, noon)
			want := desired.Dataplane.Services[0].Servers[0]
			if got := (pool{want.Weight, want.Absent, want.Leaving}); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if other := desired.Dataplane.Services[0].Servers[1]; other.Weight != 1 || other.Absent {
				t.Errorf("the other server: %+v", other)
			}
		})
	}
}

// TestChecksGiveWeights: the lowest counts, what the config quiesces stays so, and who is down has none.
func TestChecksGiveWeights(t *testing.T) {
	percent := func(n int) model.Advice { return model.Advice{Given: true, Percent: true, Weight: n} }
	weight := func(n int) model.Advice { return model.Advice{Given: true, Weight: n} }
	for _, test := range []struct {
		name   string
		of     uint16
		found  string
		advice [2]model.Advice
		want   uint16
	}{
		{"none", 50, "uu", [2]model.Advice{}, 50},
		{"one", 50, "uu", [2]model.Advice{percent(75)}, 38},
		{"the other", 50, "uu", [2]model.Advice{{}, weight(70)}, 70},
		{"the lowest", 50, "uu", [2]model.Advice{percent(100), weight(10)}, 10},
		{"more, and less than more", 50, "uu", [2]model.Advice{weight(70), percent(200)}, 70},
		{"drained", 50, "uu", [2]model.Advice{percent(0), weight(10)}, 0},
		{"quiesced", 0, "uu", [2]model.Advice{weight(10)}, 0},
		{"down", 50, "ud", [2]model.Advice{weight(10)}, 0},
		{"known from before", 50, "u?", [2]model.Advice{weight(10)}, 10},
	} {
		server := checked(one, false, 81, 82)
		server.Weight = test.of
		s := spec("192.0.2.10", server, two)
		seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12"), Health: found(server, test.found),
			InPool: map[model.ServiceServer]bool{{Service: s.Services[0].Key, Server: server.Key}: true}}
		for i, key := range s.Services[0].Asks(server) {
			if h, ok := seen.Health[key]; ok && h.State == model.HealthUp {
				h.Advice = test.advice[i]
				seen.Health[key] = h
			}
		}
		desired, _ := plan.Make(s, seen, noon)
		if got := desired.Dataplane.Services[0].Servers[0].Weight; got != test.want {
			t.Errorf("%s: weight %d, want %d", test.name, got, test.want)
		}
	}
}

// TestPolicyGoesByTheWeightsThatChecksGive: who is kept by panic keeps to it, a slow start climbs to it, and a quorum
// counts it.
func TestPolicyGoesByTheWeightsThatChecksGive(t *testing.T) {
	server := checked(one, false, 81, 82)
	server.Weight = 50
	s := spec("192.0.2.10", server, two)
	s.Services[0].Panic, s.Services[0].SlowStart, s.Services[0].Quorum = 100, 4*time.Second, model.Quorum{Weight: 30}
	place := func(server model.Server) model.ServiceServer {
		return model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}
	}
	for _, test := range []struct {
		name    string
		found   string
		percent int
		after   time.Duration // since it came
		want    uint16
		sum     int
	}{
		{"panic", "ud", 50, 4 * time.Second, 25, 1},
		{"panic, drained", "ud", 0, 4 * time.Second, 0, 1},
		{"slow start", "uu", 50, 2 * time.Second, 12, 26},
		{"all of it", "uu", 50, 4 * time.Second, 25, 26},
		{"more than the quorum", "uu", 100, 4 * time.Second, 50, 51},
	} {
		seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12"), Health: found(server, test.found),
			InPool: map[model.ServiceServer]bool{place(server): true, place(two): true}, Entered: map[model.ServiceServer]time.Time{place(server): noon}}
		first := s.Services[0].Asks(server)[0]
		h := seen.Health[first]
		h.Advice = model.Advice{Given: true, Percent: true, Weight: test.percent}
		seen.Health[first] = h
		desired, _ := plan.Make(s, seen, noon.Add(test.after))
		if got := desired.Dataplane.Services[0].Servers[0].Weight; got != test.want {
			t.Errorf("%s: weight %d, want %d", test.name, got, test.want)
		}
		standing := desired.Standings[s.Services[0].Key]
		if held := standing.Quorum == model.QuorumHeld; standing.Weight != test.sum || held && test.sum < 30 {
			t.Errorf("%s: %+v, want weight %d", test.name, standing, test.sum)
		}
	}
}

// TestTrustedServersDoNotWait for their first good answer, unless they were out.
func TestTrustedServersDoNotWait(t *testing.T) {
	server := checked(one, false, 0)
	server.Checks.Trusted = true
	s := spec("192.0.2.10", server, two)
	for was, want := range map[string]uint16{"new": 1, "out": 0} {
		seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12")}
		if was == "out" {
			seen.InPool = map[model.ServiceServer]bool{{Service: s.Services[0].Key, Server: server.Key}: false}
		}
		desired, _ := plan.Make(s, seen, noon)
		if got := desired.Dataplane.Services[0].Servers[0]; got.Weight != want {
			t.Errorf("%s: %+v", was, got)
		}
	}
}

// TestAServerThatIsDownAndRemoved leaves as its service says, not as a dead one.
func TestAServerThatIsDownAndRemoved(t *testing.T) {
	dead := checked(one, false, 0)
	s := spec("192.0.2.10", two)
	seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12"), Health: found(dead, "d"), Left: left(s, noon, dead)}
	desired, _ := plan.Make(s, seen, noon)
	if got := desired.Dataplane.Services[0].Servers[1]; got.Leaving != model.Drain || got.Weight != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsAskedTwiceIsAskedOnce(t *testing.T) {
	first, second := directly(checked(one, false, 0, 81)), directly(checked(two, false, 0))
	s := spec("192.0.2.10 192.0.2.11", first, second)
	got := plan.Checks(s)
	want := append(s.Services[0].Asks(first), s.Services[1].Asks(second)...)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b model.CheckKey) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestInPool: who has a weight is, who has none is not. One that is only out of reach is what it was.
func TestInPool(t *testing.T) {
	down, lost := checked(server("198.51.100.13", model.DR), false, 0), server("198.51.100.14", model.DR)
	s := spec("192.0.2.10", checked(one, false, 0), two, down, lost)
	place := func(server model.Server) model.ServiceServer {
		return model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}
	}
	seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12", "198.51.100.13"), Health: found(down, "d"),
		Left: left(s, noon, server("198.51.100.15", model.DR))}
	desired, _ := plan.Make(s, seen, noon)
	for _, before := range []map[model.ServiceServer]bool{nil, {place(lost): true}, {place(lost): false}} {
		want := map[model.ServiceServer]bool{place(one): false, place(two): true, place(down): false}
		if was, known := before[place(lost)]; known {
			want[place(lost)] = was
		}
		if diff := cmp.Diff(want, plan.InPool(before, desired.Dataplane.Services), sameKeys, cmpopts.EquateComparable(model.ServiceServer{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestSorryServerStepsIn while no other one takes connections.
func TestSorryServerStepsIn(t *testing.T) {
	sorry := server("198.51.100.13", model.NAT)
	sorry.Sorry = true
	quiesced := one
	quiesced.Weight = 0
	for _, test := range []struct {
		name   string
		server model.Server
		found  string
		want   uint16
	}{
		{"up", checked(one, false, 0), "u", 0},
		{"down", checked(one, false, 0), "d", 1},
		{"new", checked(one, false, 0), "?", 1},
		{"quiesced", quiesced, "", 1},
		{"not asked", one, "", 0},
	} {
		seen := model.Seen{Network: network("198.51.100.11", "198.51.100.13"), Health: found(test.server, test.found)}
		desired, _ := plan.Make(spec("192.0.2.10", test.server, sorry), seen, noon)
		if got := desired.Dataplane.Services[0].Servers[1]; got.Weight != test.want || got.Absent != (test.want == 0) || (got.Leaving == model.Drain) != (test.want == 0) {
			t.Errorf("%s: %+v, want weight %d", test.name, got, test.want)
		}
		if own := desired.Dataplane.Services[0].Servers[0]; own.Absent != (test.want > 0) {
			t.Errorf("%s: %+v, and the sorry server has weight %d", test.name, own, test.want)
		}
	}
	seen := model.Seen{Network: network("198.51.100.13")} // one is unreachable, which passes by itself at start
	desired, _ := plan.Make(spec("192.0.2.10", one, sorry), seen, noon)
	if got := desired.Dataplane.Services[0].Servers; got[0].Weight != 1 || got[1].Weight != 0 {
		t.Errorf("%+v", got)
	}
}
