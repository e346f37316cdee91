// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// checked is healthy with a check of its second server, of which this is known. The plan gave it what weight it
// has.
func checked(h model.Health, weight uint16) report.Input {
	in := healthy()
	server := &in.Spec.Services[0].Servers[1]
	server.Checks.Of = []model.Check{{Ask: model.AskTCP{}, Interval: time.Second}}
	in.Seen.Health = map[model.CheckKey]model.Health{in.Spec.Services[0].Asks(*server)[0]: h}
	in.Desired.Dataplane.Services[0].Servers[1].Weight = weight
	return in
}

func TestServersSayWhatTheirChecksFound(t *testing.T) {
	downAt := func(at time.Time) model.Health {
		return model.Health{State: model.HealthDown, Since: at, Reason: "http 503, expected 200-299, 3 of 3"}
	}
	for _, test := range []struct {
		name   string
		health model.Health
		weight uint16
		state  report.State
		reason string
	}{
		{"up", model.Health{State: model.HealthUp, Since: now}, 1, report.Up, ""},
		{"down", downAt(now.Add(-time.Minute)), 0, report.Down, "down since 03:03:05: http 503, expected 200-299, 3 of 3"},
		{"down since yesterday", downAt(now.Add(-4 * time.Hour)), 0, report.Down, "down since 2026-01-01 23:04:05: http 503, expected 200-299, 3 of 3"},
		{"down for another reason now", model.Health{State: model.HealthDown, Since: now, Reason: "http 503, 3 of 3", Latest: "connect: connection refused"},
			0, report.Down, "down since 03:04:05: http 503, 3 of 3; now: connect: connection refused"},
		{"new", model.Health{}, 0, report.Waiting, "its check has no good answer yet"},
		{"goes on without a verdict", model.Health{}, 1, report.Up, ""},
	} {
		got := report.Make(checked(test.health, test.weight)).Servers[1]
		if got.State != test.state || got.Reason != test.reason || got.Weight != 1 {
			t.Errorf("%s: %s (%s), weight %d", test.name, got.State, got.Reason, got.Weight)
		}
	}
}

// TestServersSayWhatTheirChecksMadeOfTheirWeight, and which check says nothing any more.
func TestServersSayWhatTheirChecksMadeOfTheirWeight(t *testing.T) {
	percent := func(n int, says string) model.Advice {
		return model.Advice{Given: true, Percent: true, Weight: n, Says: says}
	}
	for _, test := range []struct {
		health model.Health
		weight uint16 // in the plan
		state  report.State
		reason string
	}{
		{model.Health{State: model.HealthUp, Advice: percent(75, "agent says 75%")}, 38, report.Up, "weight 38 of 50: agent says 75%"},
		{model.Health{State: model.HealthUp, Advice: percent(0, "agent says drain")}, 0, report.Quiesced, "weight 0 of 50: agent says drain"},
		{model.Health{State: model.HealthUp, Advice: percent(100, "agent says 100%")}, 50, report.Up, ""},
		{model.Health{State: model.HealthUp, Advice: percent(75, "agent says 75%"), Reason: "agent: no answer, 3 of 3"}, 38, report.Up,
			"weight 38 of 50: agent says 75%; agent: no answer, 3 of 3: what it said before counts"},
	} {
		in := checked(test.health, test.weight)
		in.Spec.Services[0].Servers[1].Weight = 50
		got := report.Make(in).Servers[1]
		if got.State != test.state || got.Reason != test.reason || got.Weight != 50 {
			t.Errorf("%s (%s), weight %d, want %s (%s)", got.State, got.Reason, got.Weight, test.state, test.reason)
		}
		if wants := test.weight != 50; (got.Effective != nil) != wants || wants && *got.Effective != test.weight {
			t.Errorf("%s: the weight in use is %v, want %d", test.reason, got.Effective, test.weight)
		}
	}
}

func TestServiceWhoseServersAreDrainedByTheirChecksIsAProblem(t *testing.T) {
	in := checked(model.Health{State: model.HealthUp, Advice: model.Advice{Given: true, Percent: true, Says: "agent says drain"}}, 0)
	in.Spec.Services[0].Servers[0].Weight = 0
	got := report.Make(in).Problems
	if len(got) != 1 || !strings.Contains(got[0].Why, "198.51.100.12:80: weight 0 of 1: agent says drain") || !strings.Contains(got[0].Fix, "`check:`") {
		t.Errorf("%+v", got)
	}
}

// TestTimesAreThoseOfTheDaemonsZone, which is that of the reader's clock.
func TestTimesAreThoseOfTheDaemonsZone(t *testing.T) {
	in := checked(model.Health{State: model.HealthDown, Since: now.Add(-time.Minute), Reason: "no answer"}, 0)
	in.Now = now.In(time.FixedZone("there", 2*60*60))
	if got := report.Make(in).Servers[1].Reason; got != "down since 05:03:05: no answer" {
		t.Error(got)
	}
}

// TestServersBehindABrokenWaySayThat: what a check found there is no news.
func TestServersBehindABrokenWaySayThat(t *testing.T) {
	in := checked(model.Health{State: model.HealthDown, Since: now, Reason: "connect: no route to host, 3 of 3"}, 0)
	in.Desired.Dataplane.Services[0].Servers[1].MAC = model.MAC{}
	if got := report.Make(in).Servers[1]; got.State != report.Unreachable {
		t.Errorf("%s (%s)", got.State, got.Reason)
	}
}

func TestServerThatIsDownIsAProblem(t *testing.T) {
	in := checked(model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}, 0)
	got := report.Make(in).Problems
	if len(got) != 1 || got[0].What != "service web goes on without server 198.51.100.12:80" || got[0].Why != "down since 03:04:05: no answer" {
		t.Errorf("%+v", got)
	}
	in.Spec.Services[0].Servers[1].Weight = 0 // it is taken out anyway
	if got := report.Make(in).Problems; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	in = checked(model.Health{}, 0) // it will say why in a moment
	if got := report.Make(in).Problems; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestServiceWhoseServersAreDownIsAProblem(t *testing.T) {
	in := checked(model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}, 0)
	in.Spec.Services[0].Servers[0].Weight = 0
	got := report.Make(in).Problems
	if len(got) != 1 || !strings.Contains(got[0].Why, "198.51.100.12:80: down since") || !strings.Contains(got[0].Fix, "`check:`") {
		t.Errorf("%+v", got)
	}
}

func TestSorryServerIsNoOrdinaryOne(t *testing.T) {
	for _, test := range []struct {
		health  model.Health
		weight  uint16 // of the sorry server, in the plan
		state   report.State
		reason  string
		up      int
		problem string
	}{
		{model.Health{State: model.HealthUp}, 0, report.Standby, "sorry server", 1, ""},
		{model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}, 1, report.Up, "no other server takes connections", 0,
			"service web has only its sorry server, 198.51.100.11:80"},
	} {
		in := checked(test.health, 1)
		in.Spec.Services[0].Servers[0].Sorry = true
		in.Desired.Dataplane.Services[0].Servers[0].Weight = test.weight
		got := report.Make(in)
		if s := got.Servers[0]; s.State != test.state || s.Reason != test.reason || !s.Sorry {
			t.Errorf("%s (%s)", s.State, s.Reason)
		}
		if s := got.Services[0]; s.Servers != 1 || s.Up != test.up {
			t.Errorf("%d of %d are up", s.Up, s.Servers)
		}
		problem := ""
		for _, p := range got.Problems {
			problem = p.What
		}
		if problem != test.problem {
			t.Errorf("%q, want %q", problem, test.problem)
		}
	}
}

// TestChecksThatLackSomethingAreToldOf: a program that others can change, a file that cannot be read.
func TestChecksThatLackSomethingAreToldOf(t *testing.T) {
	const unable = "exec: /etc/weir/check is writable by everybody: chmod o-w /etc/weir/check"
	const why = "its check cannot ask: " + unable
	for _, test := range []struct {
		state  model.HealthState
		weight uint16
		want   report.State
		reason string
	}{
		{model.HealthUnknown, 0, report.Waiting, why},
		{model.HealthUp, 1, report.Up, why},
		{model.HealthDown, 0, report.Down, "down since 03:04:05: no answer; " + why},
	} {
		s := report.Make(checked(model.Health{State: test.state, Since: now, Reason: map[model.HealthState]string{model.HealthDown: "no answer"}[test.state], Unable: unable}, test.weight))
		if got := s.Servers[1]; got.State != test.want || got.Reason != test.reason {
			t.Errorf("%s: %s, %q", test.state, got.State, got.Reason)
		}
		told := slices.Contains(s.Problems, model.Problem{What: "servers that stay as they are, whatever they do: 1",
			Why: "198.51.100.12:80 of web: " + why, Fix: "remove the cause; weir tries again by itself"})
		if !told {
			t.Errorf("%s: %+v", test.state, s.Problems)
		}
	}
}

// TestChecksThatCannotGoTheirWayAreToldOf: such a server stays as it is, or is asked another way, and somebody must know.
func TestChecksThatCannotGoTheirWayAreToldOf(t *testing.T) {
	const why = "interface eth0: add clsact: no such file or directory"
	for _, test := range []struct {
		via           model.Via
		weight        uint16
		state         report.State
		reason, title string
	}{
		{model.ViaVIP, 0, report.Waiting, "its check cannot ask: " + why, "servers that stay as they are, whatever they do: 1"},
		{model.ViaVIP, 1, report.Up, "its check cannot ask: " + why, "servers that stay as they are, whatever they do: 1"},
		{model.ViaDefault, 0, report.Waiting, "its check has no good answer yet", "servers that are not asked the way their clients ask them: 1"},
		{model.ViaDefault, 1, report.Up, "its check asks the server itself: " + why, "servers that are not asked the way their clients ask them: 1"},
	} {
		in := checked(model.Health{}, test.weight)
		server := &in.Spec.Services[0].Servers[1]
		server.Forwarding, server.Checks.Of = model.DR, slices.Clone(server.Checks.Of)
		server.Checks.Of[0].Via = test.via
		key := in.Spec.Services[0].Asks(*server)[0]
		in.Seen.Blocked = map[model.Detour]model.DetourWay{key.Detour: {Why: why, To: key.Detour.Server}}
		s := report.Make(in)
		if got := s.Servers[1]; got.State != test.state || got.Reason != test.reason {
			t.Errorf("%+v: %s, %q", test, got.State, got.Reason)
		}
		told := slices.ContainsFunc(s.Problems, func(p model.Problem) bool { return p.What == test.title && strings.HasSuffix(p.Why, why) })
		if !told || key.Detour == (model.Detour{}) {
			t.Errorf("%+v: %v", test, s.Problems)
		}
	}
}
