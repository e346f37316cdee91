// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

var checked = strings.Replace(web, "check: off", "check: {tcp: {}, fall: 1}", 1)

// TestADeathsLife: a verdict of a check becomes a weight in the maps, a file for who comes after, and a line in
// the log.
func TestADeathsLife(t *testing.T) {
	dir := t.TempDir()
	play(t, checked, func(s *stage) {
		var log bytes.Buffer
		s.options.RunDir, s.log = dir, slog.New(slog.NewTextHandler(&log, nil))
		s.see(mac, "192.0.2.11")
		s.expectServer(0, 0) // it waits
		keys := plan.Checks(s.state.Load().spec)
		if len(keys) != 1 {
			t.Fatalf("checks %+v", keys)
		}
		since := time.Now()
		s.found(model.Health{State: model.HealthUp, Since: since})
		s.expectServer(1, 0)
		s.found(model.Health{State: model.HealthDown, Since: since.Add(3 * time.Second), Reason: "http 503, 3 of 3"})
		s.expectServer(0, model.Reset)
		memory, err := health.Recall(s.options.verdicts())
		if err != nil || len(memory) != 1 {
			t.Errorf("remembered is %+v, %v", memory, err)
		}
		if info, err := os.Stat(s.options.verdicts()); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		s.found(model.Health{State: model.HealthUp, Since: since.Add(10 * time.Second)})
		s.expectServer(1, 0)
		for _, want := range []string{
			`level=WARN msg="server is down" service=web server=192.0.2.11:80 why="http 503, 3 of 3"`,
			`level=ERROR msg="the service is down" service=web why="192.0.2.11:80: down since`,
			`level=INFO msg="server is up again" service=web server=192.0.2.11:80 after=7s`,
			`level=INFO msg="the service has servers again" service=web`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, &log)
			}
		}
	})
}

// TestCheckThatIsNewTakesNobodyOut: a server that was asked nothing goes on until the first verdict.
func TestCheckThatIsNewTakesNobodyOut(t *testing.T) {
	dir := t.TempDir()
	play(t, web, func(s *stage) {
		s.options.RunDir = dir
		s.see(mac, "192.0.2.11")
		s.expectServer(1, 0)
		s.reload(checked)
		s.expectServer(1, 0)
		s.found(model.Health{State: model.HealthDown, Reason: "http 503, 3 of 3"})
		s.expectServer(0, model.Reset)
		s.reload(strings.Replace(checked, "fall: 1", "fall: 2", 1)) // nothing is known of this check
		s.expectServer(0, 0)
		s.reload(web)
		s.expectServer(1, 0)
	})
}

// TestServersAreAskedBehindBothTargets: what a program or a clsact that is put on a link loses is no reason to be down.
func TestServersAreAskedBehindBothTargets(t *testing.T) {
	asked := strings.Replace(web, "check: off", "check: {file: "+filepath.Join(t.TempDir(), "none")+"}", 1)
	for name, slow := range map[string]func(*stage) *host{
		"programs":  func(s *stage) *host { return &s.paths.host },
		"addresses": func(s *stage) *host { return &s.address.host },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, asked, func(s *stage) {
				const takes = 5 * time.Second
				*slow(s) = host{takes: takes, err: errors.New("not this time")}
				began, first := time.Now(), make(chan time.Duration, 100)
				go s.monitor.Run(s.running, func(map[model.CheckKey]model.Health) { first <- time.Since(began) })
				s.see(mac, "192.0.2.11")
				if got := <-first; got < takes {
					t.Errorf("a server was asked after %v, while targets took %v", got, takes)
				}
			})
		})
	}
}

// TestThePastHasABound: the oldest is forgotten.
func TestThePastHasABound(t *testing.T) {
	play(t, checked, func(s *stage) {
		s.see(mac, "192.0.2.11")
		now := s.state.Load()
		d := &daemon{spec: now.spec, seen: now.seen, past: make([]model.Event, mostPast)}
		for i := range d.past {
			d.past[i].Service = strconv.Itoa(i)
		}
		down := model.Health{State: model.HealthDown, Since: time.Now(), Reason: "no answer"}
		d.seen.Health = map[model.CheckKey]model.Health{plan.Checks(d.spec)[0]: down}
		events := d.news(now.desired, time.Now())
		if n := len(events); n == 0 || len(d.past) != mostPast || d.past[0].Service != strconv.Itoa(n) || d.past[mostPast-1] != events[n-1] {
			t.Errorf("%d events came, %d are remembered, the oldest of %q", n, len(d.past), d.past[0].Service)
		}
	})
}

// TestOnlyWhatDecidesIsUrgent: the words of bad answers may be others with each of them.
func TestOnlyWhatDecidesIsUrgent(t *testing.T) {
	dir := t.TempDir()
	play(t, checked, func(s *stage) {
		s.options.RunDir = dir
		s.see(mac, "192.0.2.11")
		advice := func(a model.Advice) model.Health { return model.Health{State: model.HealthUp, Advice: a} }
		for _, c := range []struct {
			name   string
			of     model.Health
			urgent bool
		}{
			{"down", model.Health{State: model.HealthDown, Reason: "http 503"}, true},
			{"otherwise", model.Health{State: model.HealthDown, Reason: "http 503", Latest: "http 500"}, false},
			{"nobody can ask", model.Health{State: model.HealthDown, Reason: "http 503", Unable: "no such file"}, false},
			{"up", advice(model.Advice{}), true},
			{"a certificate ends", advice(model.Advice{Ends: time.Now()}), false},
			{"a weight", advice(model.Advice{Given: true, Weight: 100}), true},
			{"in other words", advice(model.Advice{Given: true, Weight: 100, Says: "agent says 100"}), false},
			{"a part", advice(model.Advice{Given: true, Weight: 100, Percent: true}), true},
			{"another one", advice(model.Advice{Given: true, Weight: 50, Percent: true}), true},
			{"none", advice(model.Advice{Given: true, Percent: true}), true},
			{"nothing is said", advice(model.Advice{Percent: true}), true},
		} {
			before := s.state.Load()
			s.finds(c.of)
			synctest.Wait()
			if at := s.state.Load() != before; at != c.urgent {
				t.Errorf("%s: a plan at once is %t", c.name, at)
			}
			time.Sleep(settle)
			synctest.Wait()
			if s.state.Load() == before {
				t.Errorf("%s: no plan", c.name)
			}
		}
	})
}

// found lets all checks find the same, and what follows from it happen.
func (s *stage) found(h model.Health) {
	s.finds(h)
	time.Sleep(time.Second)
	synctest.Wait()
}

func (s *stage) finds(h model.Health) {
	known := map[model.CheckKey]model.Health{}
	for _, key := range plan.Checks(s.state.Load().spec) {
		known[key] = h
	}
	s.healthSeen(known)
}

// expectServer compares what the path was told last of the only server.
func (s *stage) expectServer(weight uint16, leaving model.Leaving) {
	s.t.Helper()
	got := s.paths.wants[len(s.paths.wants)-1].Services[0].Servers[0]
	if got.Weight != weight || got.Leaving != leaving {
		s.t.Errorf("weight %d, leaving %q, want %d and %q", got.Weight, got.Leaving, weight, leaving)
	}
}
