// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // this host may have no zones

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// files are those of the maintenance directory.
func files(names ...string) model.MaintenanceFiles {
	out := model.MaintenanceFiles{Dir: "/etc/weir/maintenance", Since: map[string]time.Time{}}
	for _, name := range names {
		out.Since[name] = noon.Add(-time.Hour)
	}
	return out
}

func TestFilesNameWhoIsInMaintenance(t *testing.T) {
	s := spec("192.0.2.10", server("198.51.100.11", model.NAT), server("2001:db8:1::12", model.TUN))
	for _, test := range []struct {
		name, file string
		want       string // who rests: 1, 2, s(ervice)
		strange    bool
	}{
		{"an address", "198.51.100.11", "1", false},
		{"an address and a port", "198.51.100.11:80", "1", false},
		{"another port", "198.51.100.11:81", "", true},
		{"IPv6", "2001:db8:1::12", "2", false},
		{"IPv6, written otherwise", "2001:DB8:1:0::12", "2", false},
		{"IPv6 and a port", "[2001:db8:1::12]:80", "2", false},
		{"a service", "web0", "12s", false},
		{"a name", "real1.example.org", "", true},
		{"nobody's address", "198.51.100.12", "", true},
	} {
		seen := model.Seen{Network: network("198.51.100.11"), Maintenance: files(test.file)}
		desired, _ := plan.Make(s, seen, noon)
		got := ""
		for i, server := range append(s.Services[0].Servers, model.Server{}) {
			if rest, rests := desired.Resting[model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}]; rests {
				got += "12s"[i:][:1]
				if rest.Why != "file /etc/weir/maintenance/"+test.file || !rest.Since.Equal(noon.Add(-time.Hour)) {
					t.Errorf("%s: %+v", test.name, rest)
				}
			}
		}
		strange := len(desired.Problems) == 1 && strings.HasSuffix(desired.Problems[0].What, ": "+test.file)
		if got != test.want || strange != test.strange {
			t.Errorf("%s: %q rest, want %q; problems %+v", test.name, got, test.want, desired.Problems)
		}
	}
}

// TestWhoIsInMaintenanceIsQuiesced: no new connections, those that there are live on, and neither quorum nor panic
// counts it, nor does a sorry server wait for it.
func TestWhoIsInMaintenanceIsQuiesced(t *testing.T) {
	for _, test := range []struct {
		name  string
		spec  model.Spec
		rest  string
		finds string
		want  string
	}{
		{"a server", checkedPool(3, 3), "198.51.100.11", "uu", "0,3"},
		{"a server that is down", checkedPool(3, 3), "198.51.100.11", "du", "0,3"},
		{"all", checkedPool(3, 3), "web0", "uu", "0,0"},
		{"all, with a sorry server", withSorry(checkedPool(3, 3)), "web0", "uu", "0,0,1"},
		{"each, with a sorry server", withSorry(checkedPool(3)), "198.51.100.11", "u", "0,1"},
		{"the sorry server", withSorry(checkedPool(3)), "198.51.100.99", "d", "0,0"},
	} {
		if got := play(test.spec, model.Seen{Maintenance: files(test.rest)}, test.finds); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	s := checkedPool(3, 3)
	s.Services[0].Servers[0].Maintenance.Always = true
	s.Services[0].Quorum.Weight = 4
	if got := play(s, model.Seen{}, "uu"); got != "0,3-" {
		t.Errorf("quorum: %s", got)
	}
	s.Services[0].Quorum.Weight, s.Services[0].Panic = 0, 50
	if got := play(s, model.Seen{}, "du uu dd"); got != "0,3 0,3 0,3!" {
		t.Errorf("panic: %s", got)
	}
	desired, _ := plan.Make(s, model.Seen{Network: everybody(s), Health: found(s.Services[0].Servers[0], "u")}, noon)
	if got := desired.Dataplane.Services[0].Servers[0]; got.Leaving != 0 || !got.Absent {
		t.Errorf("%+v", got)
	}
}

// TestWhoIsBackFromMaintenanceBeginsSlowly.
func TestWhoIsBackFromMaintenanceBeginsSlowly(t *testing.T) {
	s := checkedPool(8, 8)
	s.Services[0].SlowStart = 4 * time.Second
	seen := model.Seen{Network: everybody(s), InPool: map[model.ServiceServer]bool{}, Health: found(s.Services[0].Servers[0], "u")}
	for i, server := range s.Services[0].Servers {
		seen.InPool[model.ServiceServer{Service: s.Services[0].Key, Server: server.Key}] = i == 1
	}
	desired, _ := plan.Make(s, seen, noon)
	if got := looks(desired, s.Services[0].Key); got != "1,8" {
		t.Error(got)
	}
}

// TestSchedules: noon is a Thursday.
func TestSchedules(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const minute, hour = 1, 60
	thursday := model.Days(0).With(time.Thursday)
	night := model.Maintenance{From: 22 * hour, To: 2 * hour, Days: thursday}
	for _, test := range []struct {
		name  string
		of    model.Maintenance
		now   string
		until string // "": it is not in maintenance
	}{
		{"before", model.Maintenance{From: 2 * hour, To: 3 * hour}, "2026-11-26 01:59:59", ""},
		{"at the beginning", model.Maintenance{From: 2 * hour, To: 3 * hour}, "2026-11-26 02:00:00", "2026-11-26 03:00"},
		{"at the end", model.Maintenance{From: 2 * hour, To: 3 * hour}, "2026-11-26 03:00:00", ""},
		{"over midnight, in the evening", night, "2026-11-26 22:00:00", "2026-11-27 02:00"},
		{"over midnight, in the morning", night, "2026-11-27 01:59:59", "2026-11-27 02:00"},
		{"over midnight, of another day", night, "2026-11-26 01:00:00", ""},
		{"another day", night, "2026-11-25 23:00:00", ""},
		{"a whole day", model.Maintenance{To: 24 * hour, Days: thursday}, "2026-11-26 23:59:59", "2026-11-27 00:00"},
		{"a whole day is over", model.Maintenance{To: 24 * hour, Days: thursday}, "2026-11-27 00:00:00", ""},
		{"an hour that spring leaves out", model.Maintenance{From: 2 * hour, To: 3*hour + 30*minute}, "2026-03-29 03:10:00", "2026-03-29 03:30"},
		{"an hour that comes twice", model.Maintenance{From: hour, To: 4 * hour}, "2026-10-25 03:30:00", "2026-10-25 04:00"},
	} {
		now, err := time.ParseInLocation(time.DateTime, test.now, zone)
		if err != nil {
			t.Fatal(err)
		}
		s := spec("192.0.2.10", one, two)
		s.Services[0].Servers[1].Maintenance = test.of
		desired, next := plan.Make(s, model.Seen{Network: network("198.51.100.11", "198.51.100.12")}, now)
		rest, rests := desired.Resting[model.ServiceServer{Service: s.Services[0].Key, Server: two.Key}]
		until := ""
		if rests {
			until = rest.Until.Format("2006-01-02 15:04")
		}
		if weight := desired.Dataplane.Services[0].Servers[1].Weight; until != test.until || (weight == 0) != rests {
			t.Errorf("%s: until %q, want %q; weight %d", test.name, until, test.until, weight)
		}
		if !next.After(now) || next.After(now.Add(time.Minute)) {
			t.Errorf("%s: the next plan is due at %s", test.name, next)
		}
		s.Services[0].Maintenance, s.Services[0].Servers[1].Maintenance = test.of, model.Maintenance{}
		desired, _ = plan.Make(s, model.Seen{}, now)
		if _, all := desired.Resting[model.ServiceServer{Service: s.Services[0].Key}]; all != rests || len(desired.Resting) != map[bool]int{true: 3}[all] {
			t.Errorf("%s, of the service: %+v", test.name, desired.Resting)
		}
	}
}

// TestPlansWakeWhenSchedulesDo, to the second.
func TestPlansWakeWhenSchedulesDo(t *testing.T) {
	s := spec("192.0.2.10", one)
	s.Services[0].Servers[0].Maintenance = model.Maintenance{From: 12 * 60, To: 12*60 + 1}
	at := time.Date(2026, 11, 26, 11, 59, 30, 0, time.UTC)
	for _, want := range []time.Duration{30 * time.Second, time.Minute, time.Minute} {
		_, next := plan.Make(s, model.Seen{}, at)
		if got := next.Sub(at); got != want {
			t.Errorf("at %s: in %s, want %s", at, got, want)
		}
		at = next
	}
}

func TestTroubleWithTheDirectoryIsAProblem(t *testing.T) {
	desired, _ := plan.Make(spec("192.0.2.10", one), model.Seen{Maintenance: model.MaintenanceFiles{Trouble: "open /x: no such file or directory"}}, noon)
	if len(desired.Problems) != 1 || desired.Problems[0].Why != "open /x: no such file or directory" {
		t.Errorf("%+v", desired.Problems)
	}
}
