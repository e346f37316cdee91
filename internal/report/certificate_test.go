// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// shows is healthy with a server that shows a certificate which ends then.
func shows(ends time.Time) report.Input {
	return looked(model.Health{State: model.HealthUp, Since: now, Advice: model.Advice{Ends: ends}}, 1, 14*24*time.Hour)
}

// looked is checked by a handshake that warns so long before the end.
func looked(h model.Health, weight uint16, expiry time.Duration) report.Input {
	in := checked(h, weight)
	service := in.Spec.Services[0]
	service.Servers[1].Checks.Of[0].Ask = model.AskTLS{TLS: model.TLS{Expiry: expiry}}
	in.Seen.Health = map[model.CheckKey]model.Health{service.Asks(service.Servers[1])[0]: h}
	return in
}

func TestCertificatesThatEndSoonAreProblems(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		ends time.Time
		want string
	}{
		{time.Time{}, ""},
		{now.Add(9*day + time.Hour), "its certificate ends in 9 days, 2026-01-11 04:04:05"},
		{now.Add(30 * time.Hour), "its certificate ends in 30h, 2026-01-03 09:04:05"},
		{now.Add(-time.Hour), "its certificate has ended, 2026-01-02 02:04:05"},
	} {
		got := report.Make(shows(test.ends))
		if s := got.Servers[1]; s.State != report.Up || s.Reason != test.want {
			t.Errorf("%s (%s), want %s", s.State, s.Reason, test.want)
		}
		var want []model.Problem
		if test.want != "" {
			want = []model.Problem{{What: "servers whose certificate has to be renewed: 1", Why: "198.51.100.12:80 of web: " + test.want,
				Fix: "renew it on the servers, and have them read it again"}}
		}
		if !slices.Equal(got.Problems, want) {
			t.Errorf("%+v, want %+v", got.Problems, want)
		}
	}
}

// TestACertificateOfManyServersIsOneProblem: a wildcard's is renewed once, however many show it.
func TestACertificateOfManyServersIsOneProblem(t *testing.T) {
	in := shows(now.Add(time.Hour))
	service := in.Spec.Services[0]
	ask := service.Servers[1].Checks
	for i := range service.Servers {
		service.Servers[i].Checks = ask
		in.Seen.Health[service.Asks(service.Servers[i])[0]] = model.Health{State: model.HealthUp, Since: now, Advice: model.Advice{Ends: now.Add(time.Hour)}}
	}
	got := report.Make(in).Problems
	want := fmt.Sprintf("servers whose certificate has to be renewed: %d", len(service.Servers))
	if len(service.Servers) < 2 || len(got) != 1 || got[0].What != want || !strings.Contains(got[0].Why, "; ") {
		t.Errorf("%+v, want %s", got, want)
	}
}

// TestNewsOfCertificates: once each, and not of what another daemon has told.
func TestNewsOfCertificates(t *testing.T) {
	soon := shows(now.Add(time.Hour))
	down := looked(model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}, 0, time.Hour)
	blind := looked(model.Health{State: model.HealthUp, Since: now}, 1, 0)
	const ends, renewed = "certificate_ends 198.51.100.12:80", "certificate_renewed 198.51.100.12:80"
	for _, test := range []struct {
		name  string
		steps []report.Input
		want  []string
	}{
		{"it ends and is renewed", []report.Input{shows(time.Time{}), soon, soon, shows(time.Time{})}, []string{"", ends, "", renewed}},
		{"the server is down meanwhile", []report.Input{shows(time.Time{}), soon, down, soon}, []string{"", ends, "server_down 198.51.100.12:80", "server_up 198.51.100.12:80"}},
		{"nobody looks any more", []report.Input{shows(time.Time{}), soon, blind, shows(time.Time{})}, []string{"", ends, "", ""}},
		{"nobody asks any more", []report.Input{shows(time.Time{}), soon, healthy(), soon}, []string{"", ends, "", ends}},
		{"before the daemon", []report.Input{soon, soon, shows(time.Time{})}, []string{"", "", renewed}},
	} {
		for _, e := range tellEach(t, test.name, now, test.steps, test.want) {
			if e.Kind == model.CertificateEnds && (e.Severity() != model.Warning || e.Reason != "its certificate ends in 1h, 2026-01-02 04:04:05") {
				t.Errorf("%s: %+v", test.name, e)
			}
		}
	}
}
