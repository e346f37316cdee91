// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

var (
	one = server("198.51.100.11", model.NAT)
	two = server("198.51.100.12", model.TUN)
)

func left(s model.Spec, since time.Time, servers ...model.Server) (out []model.Left) {
	for _, server := range servers {
		out = append(out, model.Left{Service: s.Services[0].Key, Server: server, Since: since})
	}
	return out
}

var sameKeys = cmpopts.EquateComparable(model.ServiceKey{}, model.ServerKey{}, model.Tunnel{})

func TestServerThatIsNotNamedAnyMoreHasLeft(t *testing.T) {
	both, single, none := spec("192.0.2.10", one, two), spec("192.0.2.10", one), model.Spec{}
	heavier := two
	heavier.Weight = 9
	for _, test := range []struct {
		name          string
		left          []model.Left
		before, after model.Spec
		want          []model.Left
	}{
		{"nothing happens", nil, both, both, nil},
		{"it leaves", nil, both, single, left(both, noon, two)},
		{"it has left before", left(both, noon.Add(-time.Hour), two), single, single, left(both, noon.Add(-time.Hour), two)},
		{"another one leaves", left(both, noon.Add(-time.Hour), two), single, spec("192.0.2.10"), append(left(both, noon.Add(-time.Hour), two), left(both, noon, one)...)},
		{"it comes back", left(both, noon.Add(-time.Hour), two), single, both, nil},
		{"it comes back changed", left(both, noon.Add(-time.Hour), two), single, spec("192.0.2.10", one, heavier), nil},
		{"its service goes", nil, both, none, nil},
		{"its service goes later", left(both, noon, two), single, none, nil},
		{"of the maps of a daemon that was down", nil, spec("192.0.2.10", two), single, left(both, noon, two)},
	} {
		got := plan.Depart(test.left, test.before.Services, test.after.Services, noon)
		if diff := cmp.Diff(test.want, got, sameKeys); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestServersLeaveTheirOwnServiceOnly(t *testing.T) {
	before := spec("192.0.2.10 192.0.2.11", one, two)
	after := spec("192.0.2.10 192.0.2.11", one, two)
	after.Services[1].Servers = after.Services[1].Servers[:1]
	got := plan.Depart(nil, before.Services, after.Services, noon)
	if len(got) != 1 || !got[0].Is(after.Services[1].Key, two.Key) {
		t.Errorf("%+v", got)
	}
}

func TestIdleServersAreForgotten(t *testing.T) {
	s := spec("192.0.2.10", one, two)
	all := left(s, noon, one, two)
	got := plan.Forget(all, func(l model.Left) bool { return l.Server.Key == one.Key })
	if diff := cmp.Diff(left(s, noon, two), got, sameKeys); diff != "" || len(all) != 2 || all[0].Server.Key != one.Key {
		t.Errorf("%s, and of what was given became %+v", diff, all)
	}
}

// makeLeft plans for a service of one server, which two has left.
func makeLeft(of model.Departure, now time.Time) (model.Desired, time.Time) {
	s := spec("192.0.2.10", one)
	s.Services[0].Leaving = of
	seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12"), Left: left(s, noon, two)}
	return plan.Make(s, seen, now)
}

func TestServerThatLeftIsStillReached(t *testing.T) {
	desired, next := makeLeft(model.Departure{}, noon)
	servers := desired.Dataplane.Services[0].Servers
	if len(servers) != 2 || servers[0].Leaving != 0 || servers[0].Weight != 1 {
		t.Fatalf("%+v", servers)
	}
	if s := servers[1]; s.Key != two.Key || s.Weight != 0 || s.Leaving != model.Drain || s.MAC == (model.MAC{}) || s.MTU != 9000 {
		t.Errorf("%+v", s)
	}
	hop := model.Hop{Link: eth1.Index, Address: two.Key.Address}
	if !slices.Contains(desired.Address.Neighbours, hop) || !next.IsZero() || len(desired.Problems) != 0 {
		t.Errorf("neighbours %v, next %s, problems %v", desired.Address.Neighbours, next, desired.Problems)
	}
}

// TestInterfaceOfTheLastServerThatLeftStays: its answers still come in there.
func TestInterfaceOfTheLastServerThatLeftStays(t *testing.T) {
	s := spec("192.0.2.10")
	seen := model.Seen{Network: network("198.51.100.11"), Left: left(s, noon, one)}
	desired, _ := plan.Make(s, seen, noon)
	if len(desired.Dataplane.Interfaces) != 2 || !slices.Contains(desired.Address.Forward4, "eth1") {
		t.Errorf("%+v, forwarding on %v", desired.Dataplane.Interfaces, desired.Address.Forward4)
	}
}

func TestPolicyIsTheServices(t *testing.T) {
	for of, want := range map[model.Departure]model.Leaving{
		{}:                    model.Drain,
		{Policy: model.Drain}: model.Drain,
		{Policy: model.Reset}: model.Reset,
		{Policy: model.Drop}:  model.Drop,
	} {
		desired, next := makeLeft(of, noon.Add(999*time.Hour))
		if got := desired.Dataplane.Services[0].Servers[1].Leaving; got != want || !next.IsZero() {
			t.Errorf("%+v: %s, next %s", of, got, next)
		}
	}
}

func TestDrainEndsInResets(t *testing.T) {
	of := model.Departure{For: time.Hour}
	end := noon.Add(time.Hour)
	for now, want := range map[time.Time]struct {
		policy model.Leaving
		next   time.Time
	}{
		noon:                     {model.Drain, end},
		end.Add(-time.Second):    {model.Drain, end},
		end:                      {model.Reset, time.Time{}},
		end.Add(100 * time.Hour): {model.Reset, time.Time{}},
	} {
		desired, next := makeLeft(of, now)
		if got := desired.Dataplane.Services[0].Servers[1].Leaving; got != want.policy || !next.Equal(want.next) {
			t.Errorf("at %s: %s, next %s; want %s, %s", now, got, next, want.policy, want.next)
		}
	}
}

func TestNextPlanIsAtTheFirstDeadline(t *testing.T) {
	s := spec("192.0.2.10")
	s.Services[0].Leaving.For = time.Hour
	seen := model.Seen{
		Network:  network(),
		Left:     append(left(s, noon.Add(time.Minute), one), left(s, noon, two)...),
		PathMTUs: map[model.Addr]model.PathMTU{two.Key.Address: {MTU: 1400, Until: noon.Add(2 * time.Hour)}},
	}
	if _, next := plan.Make(s, seen, noon); !next.Equal(noon.Add(time.Hour)) {
		t.Error(next)
	}
	if _, next := plan.Make(s, seen, noon.Add(time.Hour)); !next.Equal(noon.Add(time.Hour + time.Minute)) {
		t.Error(next)
	}
	if _, next := plan.Make(s, seen, noon.Add(90*time.Minute)); !next.Equal(noon.Add(2 * time.Hour)) {
		t.Error(next)
	}
}
