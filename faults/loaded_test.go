// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// common is where faults get a pair of directors under load. Small, they get the same one, each behind the other: to
// build one takes longer than most of them do. What is measured gets one of its own.
type common struct {
	t     *testing.T // of all of them
	weir  string
	small *sharing // nil: nobody has wanted one yet, or a fault that failed has had it
}

// newLoaded is a pair whose clients hold connections that stay, by DR, half of them silent, the others sending a byte
// every 5 seconds. A director that does not know one of these sends it to any of three servers. New ones have one server,
// as those of newPair do: which of them fail is not a matter of connection sync.
func newLoaded(t testing.TB, weir string, size faults.Size, r lab.Redundancy) *sharing {
	t.Helper()
	s := newSharingOf(t, lab.Config{Forwarding: lab.DR, Servers: 3, Stranger: true, Confined: true, Weir: weir},
		lab.LoadPlan{Stay: size.Of(60, 10_000), Every: 5 * time.Second})
	for _, server := range s.lab.Servers {
		if err := server.HoldVIP(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.serves = func(d *lab.Director) string { return s.freshOfOne(s.lab.LoadServices()) + s.lab.ConnectionSync(d) }
	s.watch(t, time.Duration(size.Of(1, 5))*time.Second)
	s.begin(t, r)
	return s
}

// watch has both daemons say that they live, as systemd wants to hear it: the unit says 5 seconds. What comes of silence
// is up to a fault.
func (s *sharing) watch(t testing.TB, limit time.Duration) {
	t.Helper()
	s.watchdogs = map[*lab.Director]*lab.Watchdog{}
	for _, d := range s.lab.Directors {
		w, err := d.Watch(limit)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		s.watchdogs[d] = w
	}
}

// freshOfOne leaves the services of new connections the first server.
func (s *sharing) freshOfOne(services string) string {
	var out strings.Builder
	for line := range strings.Lines(services) {
		if !strings.Contains(line, fmt.Sprintf(":%d\"}", lab.FreshPort)) || s.isOf(line, s.lab.Servers[0]) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func (s *sharing) isOf(line string, server *lab.Server) bool {
	return strings.Contains(line, server.Address.IPv4.String()+":") || strings.Contains(line, server.Address.IPv6.String()+"]")
}

// lent is the test that something goes with, and that of its first user, which fails if it cannot be built: a test ends
// by Fatal in its own goroutine only.
type lent struct {
	testing.TB
	user *testing.T
}

func (l lent) Fatal(why ...any) {
	l.user.Helper()
	l.user.Fatal(why...)
}

// loaded is a pair that agrees by these words.
func (c *common) loaded(t *testing.T, size faults.Size, r lab.Redundancy) *sharing {
	t.Helper()
	if size == faults.Full {
		return newLoaded(t, c.weir, size, r)
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.small = nil // who knows what it has left behind
		}
	})
	if c.small == nil {
		c.small = newLoaded(lent{c.t, t}, c.weir, size, r)
		return c.small
	}
	if err := c.small.reload(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return c.small
}

// endures lets something happen to a pair that is in sync while clients hold connections, and counts those that do not
// outlive it, at either end.
func (s *sharing) endures(happen func(context.Context, *faults.Measured) error) func(context.Context, *faults.Measured) error {
	return func(ctx context.Context, m *faults.Measured) error {
		if _, err := s.ready(ctx); err != nil {
			return err
		}
		if err := s.load.Begin(ctx); err != nil {
			return err
		}
		err := sleep(ctx, young)
		if err == nil {
			err = happen(ctx, m)
		}
		outcome, ended := s.load.End(ctx)
		note(m, lost, float64(outcome.Lost), "")
		return errors.Join(err, ended)
	}
}

// agreeing has the directors agree by other words first.
func (s *sharing) agreeing(r lab.Redundancy, happen func(context.Context, *faults.Measured) error) func(context.Context, *faults.Measured) error {
	return func(ctx context.Context, m *faults.Measured) error {
		if err := s.reload(ctx, r); err != nil {
			return err
		}
		return s.endures(happen)(ctx, m)
	}
}

// partOfCrowd is of those faults.
func partOfCrowd() faults.Part { return faults.Part{Name: lost, Unit: "connections"} }
