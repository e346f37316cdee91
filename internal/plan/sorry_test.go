// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// withSpare adds a service of servers with a check and these weights, as the sorry service of the first one.
func withSpare(s model.Spec, weights ...uint16) model.Spec {
	spare := model.Service{Name: "spare", Scheduler: model.WRR,
		Key: model.ServiceKey{Address: netip.MustParseAddr("192.0.2.20"), Port: 80, Protocol: model.TCP}}
	for i, weight := range weights {
		one := checked(server(fmt.Sprintf("198.51.100.%d", 21+i), model.NAT), false, 0)
		one.Weight = weight
		spare.Servers = append(spare.Servers, one)
	}
	s.Services = append(s.Services, spare)
	return lend(s)
}

// lend makes the second service the sorry service of the first one, as it is now.
func lend(s model.Spec) model.Spec {
	for _, one := range s.Services[1].Servers {
		one.LentBy, one.Sorry, one.Checks = s.Services[1].Key, true, model.Checks{}
		s.Services[0].Servers = append(s.Services[0].Servers, one)
	}
	return s
}

func TestSorryServiceStepsIn(t *testing.T) {
	two := func() model.Spec { return withSpare(checkedPool(1, 1), 5, 3) }
	slow, panics, quorum, quiesced := two(), two(), two(), withSpare(checkedPool(1), 5, 0)
	slow.Services[1].SlowStart = 5 * time.Second
	panics.Services[1].Panic = 100
	quorum.Services[0].Quorum.Weight = 2
	second := withSpare(checkedPool(1), 5)
	second.Services[0].Servers = second.Services[0].Servers[:1]
	last := server("198.51.100.99", model.NAT)
	last.Sorry = true
	second.Services[1].Servers = append(second.Services[1].Servers, last)
	second = lend(second)
	for _, test := range []struct {
		name        string
		spec        model.Spec
		finds, want string
	}{
		{"while all are down", two(), "uuuu duuu dduu uduu", "1,1,0,0 0,1,0,0 0,0,5,3 1,0,0,0"},
		{"and while nothing is known of them", two(), "???? ??uu u?uu", "0,0,0,0 0,0,5,3 1,0,0,0"},
		{"with those that are well there", two(), "dduu ddud dddd dduu", "0,0,5,3 0,0,5,0 0,0,0,0 0,0,5,3"},
		{"with those that are kept there", panics, "dduu ddud dddd", "0,0,5,3 0,0,5,3 0,0,5,3"},
		{"with the weights that they have there", slow, "ddud" + strings.Repeat(" ddud", 5) + " dduu dduu uuuu",
			strings.Repeat("0,0,5,0 ", 6) + "0,0,5,1 0,0,5,1 1,1,0,0"},
		{"but not who has none there", quiesced, "uuu duu", "1,0,0 0,5,0"},
		{"with its own sorry server", second, "uu du dd ud", "1,0,0 0,5,0 0,0,1 1,0,0"},
		{"in the place of too few", quorum, "uuuu uduu uuuu", "1,1,0,0+ 0,0,5,3- 1,1,0,0+"},
		{"but not where it has nobody", quorum, "uuuu uddd uddu uddd", "1,1,0,0+ 1,0,0,0- 0,0,0,3- 1,0,0,0-"},
	} {
		if got := play(test.spec, model.Seen{}, test.finds); got != test.want {
			t.Errorf("%s:\n%s\n%s, want\n%s", test.name, test.finds, got, test.want)
		}
	}
}

// TestLentServersLeaveAsASorryServerDoes: their connections live on, unless they are down, and while they have a rest
// nothing is dealt out to them, whatever they are there.
func TestLentServersLeaveAsASorryServerDoes(t *testing.T) {
	s := withSpare(checkedPool(1), 5, 5, 0)
	s.Services[1].Down = model.Drop
	for finds, want := range map[string][3]model.Leaving{"uudu": {model.Drain, model.Drop, 0}, "dudu": {0, model.Drop, 0}} {
		seen := model.Seen{Network: everybody(s), Health: map[model.CheckKey]model.Health{}}
		for i, server := range asked(s) {
			for key, h := range found(server, finds[i:][:1]) {
				seen.Health[key] = h
			}
		}
		desired, _ := plan.Make(s, seen, noon)
		for i, leaving := range want {
			rests := finds[0] == 'u' || i == 1
			if got := desired.Dataplane.Services[0].Servers[1+i]; got.Leaving != leaving || got.Absent != rests {
				t.Errorf("%s, server %d: %+v, want leaving %q", finds, i, got, leaving)
			}
		}
	}
}

// TestLentServersAreReachedAsTheirServiceHasThem, at the port that the other one has where theirs has many.
func TestLentServersAreReachedAsTheirServiceHasThem(t *testing.T) {
	s := withSpare(checkedPool(1), 5)
	spare, lent := &s.Services[1], &s.Services[0].Servers[1]
	spare.Key.Port, spare.Servers[0].Key.Port, spare.Servers[0].Weight = model.AnyPort, model.AnyPort, 7
	lent.LentBy = spare.Key
	desired, _ := plan.Make(s, model.Seen{Network: everybody(s), Health: found(s.Services[0].Servers[0], "d"),
		InPool: map[model.ServiceServer]bool{{Service: s.Services[1].Key, Server: s.Services[1].Servers[0].Key}: true}}, noon)
	want := desired.Dataplane.Services[1].Servers[0]
	want.Key.Port = 80
	if got := desired.Dataplane.Services[0].Servers[1]; got != want || got.Weight != 7 || got.MAC == (model.MAC{}) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestLentServersAreAskedByTheirServiceAlone(t *testing.T) {
	s := withSpare(checkedPool(1, 1), 5, 3)
	if got := plan.Checks(s); len(got) != 4 {
		t.Errorf("%+v", got)
	}
}

// TestMaintenanceOfTheSorryService is that of its servers, for whom they are lent to, too.
func TestMaintenanceOfTheSorryService(t *testing.T) {
	for file, want := range map[string]string{"spare": "0,0,0", "198.51.100.21": "0,0,3", "web0": "0,5,3"} {
		s := withSpare(checkedPool(1), 5, 3)
		finds := "duu"
		if file == "web0" {
			finds = "uuu"
		}
		if got := play(s, model.Seen{Maintenance: files(file)}, finds); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

// TestSorryServerThatLeftTakesNobodysPlace: it has connections, but is not asked for.
func TestSorryServerThatLeftTakesNobodysPlace(t *testing.T) {
	s := withSpare(checkedPool(1, 1), 5)
	service := &s.Services[0]
	gone := left(s, noon, service.Servers[2])
	service.Servers, service.Quorum = service.Servers[:2], model.Quorum{Weight: 2}
	whole := plan.WithLeft(s, gone)
	seen := model.Seen{Network: everybody(whole), Left: gone, Health: found(service.Servers[0], "u")}
	for key, h := range found(service.Servers[1], "d") {
		seen.Health[key] = h
	}
	desired, _ := plan.Make(s, seen, noon)
	if got := looks(desired, service.Key); got != "1,0,0-" {
		t.Error(got)
	}
}
