// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

var spareKey = model.ServiceKey{Address: netip.MustParseAddr("192.0.2.20"), Port: model.AnyPort, Protocol: model.TCP}

// withSpare is healthy with a sorry service of two servers, of which the second has a check that found this. The
// weight is what the plan gives them in the service that borrows them: with one, its own servers have none.
func withSpare(found model.Health, web uint16) report.Input {
	in := healthy()
	server := model.Server{Key: model.ServerKey{Address: second.Address.Next()}, Forwarding: model.NAT, Weight: 4}
	other := server
	other.Key.Address = server.Key.Address.Next()
	other.Checks.Of = []model.Check{{Ask: model.AskTCP{}, Port: 80, Interval: time.Second}}
	services, wants := &in.Spec.Services, &in.Desired.Dataplane.Services
	*services = append(*services, model.Service{Name: "spare", Key: spareKey, Servers: []model.Server{server, other}})
	*wants = append(*wants, model.ServiceWant{Key: spareKey, Serving: true})
	in.Seen.Health = map[model.CheckKey]model.Health{(*services)[1].Asks(other)[0]: found}
	for i, s := range []model.Server{server, other} {
		want := model.ServerWant{Key: s.Key, Forwarding: s.Forwarding, Weight: 4, Link: 2, Next: s.Key.Address, MAC: mac}
		if i == 1 && found.State != model.HealthUp {
			want.Weight = 0
		}
		(*wants)[1].Servers = append((*wants)[1].Servers, want)
		s.Key.Port, s.LentBy, s.Sorry, s.Checks = 80, spareKey, true, model.Checks{}
		want.Key.Port, want.Weight = 80, min(want.Weight, web)
		(*services)[0].Servers, (*wants)[0].Servers = append((*services)[0].Servers, s), append((*wants)[0].Servers, want)
	}
	if web > 0 {
		for i := range 2 {
			(*services)[0].Servers[i].Weight, (*wants)[0].Servers[i].Weight = 0, 0
		}
	}
	return in
}

func TestSorryServiceIsTold(t *testing.T) {
	up, down := model.Health{State: model.HealthUp}, model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	const rests, works = "standby (of the sorry service spare)", "up (no other server takes connections)"
	for _, test := range []struct {
		name       string
		found      model.Health
		weight     uint16 // of those that are lent
		one, other string
		up         int
		problems   string
	}{
		{"it rests", up, 0, rests, rests, 2, ""},
		{"it rests, and one is down", down, 0, rests, "down (down since 03:04:05: no answer)", 2, "service spare goes on without server 198.51.100.14:*. "},
		{"it works", up, 4, works, works, 0, "service web has only its sorry service, spare (2 servers). "},
		{"it works, and one is down", down, 4, works, "down (down since 03:04:05: no answer)", 0, "service web has only its sorry service, spare (1 server). service spare goes on without server 198.51.100.14:*. "},
	} {
		got := report.Make(withSpare(test.found, test.weight))
		for i, want := range []string{test.one, test.other} {
			s := got.Servers[2+i]
			if text := string(s.State) + " (" + s.Reason + ")"; text != want || s.LentBy != "spare" {
				t.Errorf("%s: server %d, lent by %q: %s, want %s", test.name, i, s.LentBy, text, want)
			}
		}
		if web, spare := got.Services[0], got.Services[1]; web.Servers != 2 || web.Up != test.up || web.Sorry != "spare" || spare.Servers != 2 || spare.Sorry != "" {
			t.Errorf("%s: %+v", test.name, got.Services)
		}
		problems := ""
		for _, p := range got.Problems {
			problems += p.What + ". "
		}
		if problems != test.problems {
			t.Errorf("%s: %q, want %q", test.name, problems, test.problems)
		}
	}
}

// TestLentServersAreFullByTheConnectionsOfEachService: each counts its own.
func TestLentServersAreFullByTheConnectionsOfEachService(t *testing.T) {
	in := withSpare(model.Health{State: model.HealthUp}, 4)
	web, spare := in.Spec.Services[0].Servers, in.Spec.Services[1].Servers
	web[2].Thresholds.Upper, web[3].Thresholds.Upper = 9, 9
	in.Readings.Servers[model.ServiceServer{Service: webKey, Server: web[2].Key}] = report.ServerReading{Full: true}
	in.Readings.Servers[model.ServiceServer{Service: spareKey, Server: spare[1].Key}] = report.ServerReading{Full: true}
	got := report.Make(in).Servers
	for i, want := range []report.State{report.Full, report.Up, report.Up, report.Full} {
		if got[2+i].State != want {
			t.Errorf("server %d: %s (%s), want %s", i, got[2+i].State, got[2+i].Reason, want)
		}
	}
}

// TestLentServersAreToldOfOnce, by their own service.
func TestLentServersAreToldOfOnce(t *testing.T) {
	up := model.Health{State: model.HealthUp, Since: now}
	down := model.Health{State: model.HealthDown, Since: now, Reason: "no answer"}
	rest := withSpare(up, 0)
	rest.Desired.Resting = map[model.ServiceServer]model.Rest{
		{Service: spareKey, Server: rest.Spec.Services[1].Servers[0].Key}: {Why: "by the config"},
		{Service: webKey, Server: rest.Spec.Services[0].Servers[2].Key}:   {Why: "by the config"},
	}
	tellEach(t, "down, then in maintenance", now.Add(-time.Minute), []report.Input{withSpare(up, 0), withSpare(down, 0), rest},
		[]string{"", "server_down 198.51.100.14:*", "maintenance_begin 198.51.100.13:*, server_up 198.51.100.14:*"})
}
