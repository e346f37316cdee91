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
		out = append(out, string(e.Kind)+" "+who)
	}
	return strings.Join(out, ", ")
}

func TestNews(t *testing.T) {
	up, unknown := model.Health{State: model.HealthUp, Since: now}, model.Health{}
	down := model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	old := down
	old.Since = now.Add(-time.Hour)
	for _, test := range []struct {
		name        string
		before, now model.Health
		alone       bool // no other server does the work
		want        string
	}{
		{"nothing", up, up, false, ""},
		{"it is found", unknown, up, false, ""},
		{"it falls", up, down, false, "server_down 198.51.100.12:80"},
		{"it is down from the first", unknown, down, false, "server_down 198.51.100.12:80"},
		{"it comes back", down, up, false, "server_up 198.51.100.12:80"},
		{"it stays down", down, down, false, ""},
		{"it was down before the daemon", unknown, old, false, ""},
		{"it is asked something else", down, unknown, false, ""},
		{"the last one falls", up, down, true, "server_down 198.51.100.12:80, service_down web"},
		{"the first one comes back", down, up, true, "server_up 198.51.100.12:80, service_up web"},
		{"the last one waits", up, unknown, true, ""},
	} {
		before, after := checked(test.before, 1), checked(test.now, 1)
		for _, in := range []report.Input{before, after} {
			if test.alone {
				in.Spec.Services[0].Servers[0].Weight = 0
			}
		}
		got := report.News(before, after, now.Add(-time.Minute))
		if news(got) != test.want {
			t.Errorf("%s: %q, want %q", test.name, news(got), test.want)
		}
	}
}

// TestNewsSayWhySinceWhen: what was told once tells how long it lasted when it is over.
func TestNewsSayWhySinceWhen(t *testing.T) {
	fell, rose := now, now.Add(90*time.Second)
	down := checked(model.Health{State: model.HealthDown, Since: fell, Reason: "no answer, 3 of 3"}, 0)
	up := checked(model.Health{State: model.HealthUp, Since: rose}, 1)
	got := report.News(checked(model.Health{State: model.HealthUp}, 1), down, now.Add(-time.Hour))
	if len(got) != 1 || got[0].Reason != "no answer, 3 of 3" || !got[0].Time.Equal(fell) || got[0].Severity() != model.Warning {
		t.Errorf("%+v", got)
	}
	got = report.News(down, up, now.Add(-time.Hour))
	if len(got) != 1 || !got[0].Time.Equal(rose) || !got[0].Since.Equal(fell) || got[0].Severity() != model.Info {
		t.Errorf("%+v", got)
	}
	for _, in := range []report.Input{down, up} {
		in.Spec.Services[0].Servers[0].Weight = 0
	}
	got = report.News(up, down, now.Add(-time.Hour))
	if len(got) != 2 || got[1].Severity() != model.Critical || got[1].Reason != "198.51.100.12:80: down since 03:04:05: no answer, 3 of 3" {
		t.Errorf("%+v", got)
	}
}

// TestTheFirstPlanOfADaemonIsNoNews.
func TestTheFirstPlanOfADaemonIsNoNews(t *testing.T) {
	if got := report.News(report.Input{}, checked(model.Health{}, 0), now); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestServersWithoutACheckAreJudgedByTheWayToThem, but not while the daemon only begins to look.
func TestServersWithoutACheckAreJudgedByTheWayToThem(t *testing.T) {
	lost := healthy()
	for i := range lost.Desired.Dataplane.Services[0].Servers {
		lost.Desired.Dataplane.Services[0].Servers[i].MAC = model.MAC{}
	}
	for _, test := range []struct {
		before, now report.Input
		want        string
	}{
		{healthy(), lost, "service_down web"}, {lost, healthy(), "service_up web"}, {report.Input{}, lost, ""}, {lost, lost, ""},
	} {
		if got := news(report.News(test.before, test.now, now)); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
