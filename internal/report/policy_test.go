// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// stands is checked with a service that stands so.
func stands(h model.Health, weight uint16, quorum model.Quorum, standing model.Standing) report.Input {
	in := checked(h, weight)
	in.Spec.Services[0].Quorum = quorum
	in.Desired.Standings = map[model.ServiceKey]model.Standing{in.Spec.Services[0].Key: standing}
	return in
}

var lost = model.Standing{Weight: 1, Down: 1, Quorum: model.QuorumLost}

func TestLostQuorumIsAProblem(t *testing.T) {
	down := model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	in := stands(down, 0, model.Quorum{Weight: 2, Hysteresis: 1}, lost)
	got := report.Make(in).Problems
	if len(got) == 0 || got[0].What != "service web has lost its quorum, and goes on" ||
		got[0].Why != "no quorum: the weight of healthy servers is 1, needed is 3" {
		t.Errorf("%+v", got)
	}
}

// TestServersThatAreSetAsideSayWhy: they could work, and the sorry server does.
func TestServersThatAreSetAsideSayWhy(t *testing.T) {
	in := stands(model.Health{State: model.HealthUp}, 0, model.Quorum{Weight: 2}, lost)
	in.Spec.Services[0].Servers[0].Sorry = true
	got := report.Make(in)
	if s := got.Servers[1]; s.State != report.Standby || s.Reason != "no quorum: the weight of healthy servers is 1, needed is 2" {
		t.Errorf("%s (%s)", s.State, s.Reason)
	}
	if len(got.Problems) != 1 || got.Problems[0].What != "service web has only its sorry server, 198.51.100.11:80" ||
		!strings.Contains(got.Problems[0].Why, "no quorum") || !strings.Contains(got.Problems[0].Fix, "`check:`") {
		t.Errorf("%+v", got.Problems)
	}
}

func TestPanicIsLoud(t *testing.T) {
	in := stands(model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}, 1, model.Quorum{},
		model.Standing{Weight: 1, Down: 2, Panic: true})
	in.Spec.Services[0].Panic = 50
	got := report.Make(in)
	if s := got.Servers[1]; s.State != report.Panic || s.Reason != "kept by panic, down since 03:04:05: no answer" {
		t.Errorf("%s (%s)", s.State, s.Reason)
	}
	if got.Services[0].Up != 1 {
		t.Errorf("%d are up", got.Services[0].Up)
	}
	if len(got.Problems) != 1 || got.Problems[0].What != "PANIC: service web keeps servers that are down" ||
		got.Problems[0].Why != "of the weight 3 of its servers 1 is healthy, which is less than 50%" {
		t.Errorf("%+v", got.Problems)
	}
}

func TestSlowStartIsSeen(t *testing.T) {
	in := checked(model.Health{State: model.HealthUp}, 3)
	in.Spec.Services[0].Servers[1].Weight = 10
	server := model.ServiceServer{Service: in.Spec.Services[0].Key, Server: in.Spec.Services[0].Servers[1].Key}
	in.Desired.Ramps = map[model.ServiceServer]time.Time{server: now.Add(20 * time.Second)}
	if s := report.Make(in).Servers[1]; s.State != report.Up || s.Reason != "slow start: weight 3 of 10, all of it at 03:04:25" {
		t.Errorf("%s (%s)", s.State, s.Reason)
	}
}

// TestNewsOfPolicy: a lost quorum is a service that is down, and so is none of panic.
func TestNewsOfPolicy(t *testing.T) {
	up, down := model.Health{State: model.HealthUp, Since: now}, model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	held, unknown := model.Standing{Weight: 2, Quorum: model.QuorumHeld}, model.Standing{Weight: 1, Open: 1}
	panics := model.Standing{Down: 2, Panic: true}
	const fell, rose = "server_down 198.51.100.12:80", "server_up 198.51.100.12:80"
	for _, test := range []struct {
		name     string
		began    time.Time
		health   []model.Health
		standing []model.Standing
		want     []string
	}{
		{"quorum", now, []model.Health{up, up, down, down, up}, []model.Standing{unknown, held, lost, lost, held},
			[]string{"", "", fell + ", service_down web", "", rose + ", service_up web"}},
		{"quorum, lost within the band", now, []model.Health{up, up}, []model.Standing{lost, held}, []string{"service_down web", "service_up web"}},
		{"quorum, lost before the daemon", now.Add(time.Minute), []model.Health{down, up}, []model.Standing{lost, held}, []string{"", rose + ", service_up web"}},
		{"panic", now, []model.Health{up, down, down, up}, []model.Standing{{}, panics, panics, {}},
			[]string{"", fell + ", panic_begin web", "", rose + ", panic_end web"}},
		{"panic before the daemon", now.Add(time.Minute), []model.Health{down, up}, []model.Standing{panics, {}}, []string{"", rose + ", panic_end web"}},
	} {
		var steps []report.Input
		for i, health := range test.health {
			quorum := model.Quorum{}
			if strings.HasPrefix(test.name, "quorum") {
				quorum.Weight = 2
			}
			in := stands(health, 1, quorum, test.standing[i])
			in.Spec.Services[0].Panic = 50
			steps = append(steps, in)
		}
		for _, e := range tellEach(t, test.name, test.began, steps, test.want) {
			if e.Kind == model.ServiceDown && !strings.HasPrefix(e.Reason, "no quorum: the weight of healthy servers is 1, needed is 2") ||
				e.Kind == model.PanicBegin && e.Severity() != model.Critical || e.Kind == model.PanicEnd && !e.Since.Equal(now) {
				t.Errorf("%s: %+v", test.name, e)
			}
		}
	}
}
