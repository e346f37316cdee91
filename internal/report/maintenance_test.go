// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// rests is checked with a second server, or a whole service, in maintenance.
func rests(h model.Health, whole bool, rest model.Rest) report.Input {
	in := checked(h, 0)
	service := in.Spec.Services[0]
	in.Desired.Resting = map[model.ServiceServer]model.Rest{{Service: service.Key, Server: service.Servers[1].Key}: rest}
	if whole {
		in.Desired.Resting[model.ServiceServer{Service: service.Key}] = rest
		rest.Whole = true
		for _, server := range service.Servers {
			in.Desired.Resting[model.ServiceServer{Service: service.Key, Server: server.Key}] = rest
		}
	}
	return in
}

func TestMaintenanceSaysSinceWhenAndWhy(t *testing.T) {
	up, down := model.Health{State: model.HealthUp}, model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	file := model.Rest{Since: now.Add(-time.Minute), Why: "file /etc/weir/maintenance/198.51.100.12"}
	for want, in := range map[string]report.Input{
		"maintenance: since 03:03:05, file /etc/weir/maintenance/198.51.100.12":                                 rests(up, false, file),
		"maintenance: since 03:03:05, file /etc/weir/maintenance/198.51.100.12; down since 03:04:05: no answer": rests(down, false, file),
		"maintenance: by the config":                               rests(up, false, model.Rest{Why: "by the config"}),
		"maintenance: since 02:04:05, until 05:04:05, by schedule": rests(up, true, model.Rest{Since: now.Add(-time.Hour), Until: now.Add(2 * time.Hour), Why: "by schedule"}),
	} {
		if got := report.Make(in).Servers[1]; got.State != report.Quiesced || got.Reason != want || got.Weight != 1 {
			t.Errorf("%s (%s), want %s", got.State, got.Reason, want)
		}
	}
	in := rests(down, false, file)
	in.Desired.Dataplane.Services[0].Servers[1].MAC = model.MAC{} // it boots
	if got := report.Make(in); got.Servers[1].State != report.Quiesced || len(got.Problems) != 0 {
		t.Errorf("%s, %+v", got.Servers[1].State, got.Problems)
	}
}

func TestServiceInMaintenanceIsAProblem(t *testing.T) {
	got := report.Make(rests(model.Health{State: model.HealthUp}, true, model.Rest{Why: "by the config"})).Problems
	if len(got) != 1 || got[0].What != "service web takes no connections" || got[0].Fix != "end the maintenance, or give a server a weight and run `weir reload`" {
		t.Errorf("%+v", got)
	}
}

// TestNewsOfMaintenance: what happens in it is no alarm, and what is still so behind it is one.
func TestNewsOfMaintenance(t *testing.T) {
	up, down := model.Health{State: model.HealthUp, Since: now.Add(-time.Hour)}, model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	old := down
	old.Since = now.Add(-time.Hour)
	rest := model.Rest{Since: now.Add(-time.Hour), Why: "by schedule"}
	const fell, rose = "server_down 198.51.100.12:80", "server_up 198.51.100.12:80"
	const begin, end = "maintenance_begin 198.51.100.12:80", "maintenance_end 198.51.100.12:80"
	works := func(h model.Health) report.Input { return checked(h, 1) }
	one := func(h model.Health) report.Input { return rests(h, false, rest) }
	all := func(h model.Health) report.Input { return rests(h, true, rest) }
	for _, test := range []struct {
		name  string
		steps []report.Input
		want  []string
	}{
		{"a reboot", []report.Input{works(up), one(up), one(down), one(up), works(up)}, []string{"", begin, "", "", end}},
		{"down before, and up behind it", []report.Input{works(down), one(down), works(up)}, []string{fell, begin, end}},
		{"it did not come up", []report.Input{works(up), one(up), one(down), works(down), works(up)}, []string{"", begin, "", end + ", " + fell, rose}},
		{"it did not come up, and another daemon came meanwhile", []report.Input{one(old), works(old)}, []string{"", end + ", " + fell}},
		{"so before the daemon", []report.Input{one(up), one(up), works(up)}, []string{"", "", end}},
		{"all of a service", []report.Input{works(up), all(up), all(down), works(up)}, []string{"", "maintenance_begin web", "", "maintenance_end web"}},
		{"a server's own, and then all of the service", []report.Input{works(up), one(up), all(up), works(up)}, []string{"", begin, "maintenance_begin web", end + ", maintenance_end web"}},
		{"all of a service, and a server's own goes on", []report.Input{works(up), all(up), one(up), one(up), works(up)},
			[]string{"", "maintenance_begin web", begin + ", maintenance_end web", "", end}},
		{"a server's own before the daemon, and then all", []report.Input{one(up), all(up), works(up)}, []string{"", "maintenance_begin web", end + ", maintenance_end web"}},
		{"all of a service, and it did not come up", []report.Input{all(old), works(old)}, []string{"", fell + ", maintenance_end web"}},
	} {
		for _, e := range tellEach(t, test.name, now, test.steps, test.want) {
			if e.Kind == model.MaintenanceBegin && (e.Severity() != model.Info || e.Reason != "since 02:04:05, by schedule") {
				t.Errorf("%s: %+v", test.name, e)
			}
		}
	}
}
