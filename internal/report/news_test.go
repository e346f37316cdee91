// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// news are the kinds of what happened, each with whom it is about.
func news(events []model.Event) string {
	var out []string
	for _, e := range events {
		who := e.Service
		if e.Server != (model.ServerKey{}) {
			who = e.Server.String()
		}
		if e.Router != "" {
			who = e.Router
		}
		if e.Peer.IsValid() {
			who = e.Peer.String()
		}
		out = append(out, string(e.Kind)+" "+who)
	}
	return strings.Join(out, ", ")
}

// tellEach plays inputs, one after another, and compares what is told of each. It returns all that is.
func tellEach(t *testing.T, name string, began time.Time, steps []report.Input, want []string) (all []model.Event) {
	t.Helper()
	var told report.Told
	for i, in := range steps {
		var events []model.Event
		if events, told = report.News(told, in, began); news(events) != want[i] {
			t.Errorf("%s, step %d: %q, want %q", name, i, news(events), want[i])
		}
		all = append(all, events...)
	}
	return all
}

// step is what is found of the second server of a service, and what is told then.
type step struct {
	health model.Health
	want   string
}

// tell plays steps, each a second after the one before. alone: no other server does the work.
func tell(t *testing.T, name string, alone bool, began time.Time, steps ...step) (events []model.Event) {
	t.Helper()
	var told report.Told
	for i, s := range steps {
		weight := uint16(1)
		if s.health.State != model.HealthUp {
			weight = 0
		}
		in := checked(s.health, weight)
		in.Now = now.Add(time.Duration(i) * time.Second)
		if alone {
			in.Spec.Services[0].Servers[0].Weight = 0
		}
		events, told = report.News(told, in, began)
		if got := news(events); got != s.want {
			t.Errorf("%s, step %d: %q, want %q", name, i, got, s.want)
		}
	}
	return events
}

func TestNews(t *testing.T) {
	up, unknown := model.Health{State: model.HealthUp, Since: now}, model.Health{}
	down := model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	old := down
	old.Since = now.Add(-time.Hour)
	const isDown, isUp = "server_down 198.51.100.12:80", "server_up 198.51.100.12:80"
	began := now.Add(-time.Minute)
	tell(t, "it falls and comes back", false, began, step{unknown, ""}, step{up, ""}, step{down, isDown}, step{down, ""}, step{up, isUp}, step{up, ""})
	tell(t, "down from the first", false, began, step{unknown, ""}, step{down, isDown}, step{up, isUp})
	tell(t, "down before the daemon", false, began, step{old, ""}, step{old, ""}, step{up, isUp})
	tell(t, "asked something else", false, began, step{up, ""}, step{down, isDown}, step{unknown, ""}, step{down, ""}, step{unknown, ""}, step{up, isUp})
	tell(t, "the last one", true, began, step{unknown, ""}, step{up, ""}, step{down, isDown + ", service_down web"},
		step{unknown, ""}, step{up, isUp + ", service_up web"})
	tell(t, "the last one, down before the daemon", true, began, step{old, ""}, step{up, isUp + ", service_up web"})
	tell(t, "the last one, down from the first", true, began, step{unknown, ""}, step{down, isDown + ", service_down web"})
}

// TestNewsSayWhySinceWhen: what is over says how long it lasted.
func TestNewsSayWhySinceWhen(t *testing.T) {
	up := model.Health{State: model.HealthUp, Since: now.Add(90 * time.Second)}
	down := model.Health{State: model.HealthDown, Since: now, Reason: "no answer, 3 of 3"}
	got := tell(t, "down", true, now, step{down, "server_down 198.51.100.12:80, service_down web"})
	if e := got[0]; e.Reason != "no answer, 3 of 3" || !e.Time.Equal(now) || e.Severity() != model.Warning {
		t.Errorf("%+v", e)
	}
	if e := got[1]; e.Severity() != model.Critical || e.Reason != "198.51.100.12:80: down since 03:04:05: no answer, 3 of 3" {
		t.Errorf("%+v", e)
	}
	got = tell(t, "up", false, now, step{down, "server_down 198.51.100.12:80"}, step{up, "server_up 198.51.100.12:80"})
	if e := got[0]; !e.Time.Equal(up.Since) || !e.Since.Equal(now) || e.Severity() != model.Info {
		t.Errorf("%+v", e)
	}
}

// TestAServerThatIsNotAskedAnyMoreIsUp: else it would be down for ever.
func TestAServerThatIsNotAskedAnyMoreIsUp(t *testing.T) {
	down := model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	_, told := report.News(report.Told{}, checked(down, 0), now)
	got, told := report.News(told, healthy(), now)
	if news(got) != "server_up 198.51.100.12:80" || len(told.Down) != 0 {
		t.Errorf("%q, told is %v", news(got), told)
	}
	_, told = report.News(report.Told{}, checked(down, 0), now)
	gone := healthy()
	gone.Spec.Services[0].Servers = gone.Spec.Services[0].Servers[:1]
	if got, told := report.News(told, gone, now); len(got) != 0 || len(told.Down) != 0 {
		t.Errorf("%q, told is %v", news(got), told)
	}
}

// TestServersWithoutACheckAreJudgedByTheWayToThem, but not while the daemon only begins to look.
func TestServersWithoutACheckAreJudgedByTheWayToThem(t *testing.T) {
	lost := healthy()
	for i := range lost.Desired.Dataplane.Services[0].Servers {
		lost.Desired.Dataplane.Services[0].Servers[i].MAC = model.MAC{}
	}
	tellEach(t, "no way", now, []report.Input{lost, healthy(), lost, lost, healthy()}, []string{"", "", "service_down web", "", "service_up web"})
}

// TestServerThatIsOutByItsSignsIsNews, as if its check had found it down; that it is tried again is, too.
func TestServerThatIsOutByItsSignsIsNews(t *testing.T) {
	in := checked(model.Health{State: model.HealthUp, Since: now.Add(-time.Hour)}, 0)
	here := model.ServiceServer{Service: webKey, Server: second}
	in.Desired.Ejections = map[model.ServiceServer]model.Ejection{
		here: {Since: now, Until: now.Add(30 * time.Second), Sign: model.Sign{Begun: 24}, Out: true},
	}
	events, told := report.News(report.Told{}, in, now.Add(-time.Minute))
	if got := news(events); got != "server_down 198.51.100.12:80" || events[0].Reason != "of 24 connections begun in 10s 0 were answered" {
		t.Errorf("%q, %+v", got, events)
	}
	if got := report.Make(in).Servers[1]; got.State != report.Down || got.Reason != "down since 03:04:05: of 24 connections begun in 10s 0 were answered; tried again at 03:04:35" {
		t.Errorf("%s: %s", got.State, got.Reason)
	}
	in.Now, in.Desired.Ejections = now.Add(30*time.Second), nil
	in.Desired.Dataplane.Services[0].Servers[1].Weight = 1
	events, _ = report.News(told, in, now.Add(-time.Minute))
	if got := news(events); got != "server_up 198.51.100.12:80" || !events[0].Time.Equal(in.Now) || !events[0].Since.Equal(now) {
		t.Errorf("%q, %+v", got, events)
	}
}
