// SPDX-License-Identifier: Apache-2.0

// Package health asks servers whether they do their work. It changes nothing: what it finds out goes to the
// plan, which decides. Read machine.go for how answers become a verdict, probe.go for what is asked, and this
// file for who asks when.
package health

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

// Verdicts that come together are told together: a rack that dies is one change, although its checks ask a
// millisecond after each other, and up to a fiftieth of their interval sooner. The more have come, the longer
// the last ones are waited for.
const (
	quiet   = 10 * time.Millisecond  // so long nothing more must come
	each    = time.Millisecond       // is added for each that has come
	most    = 25 * time.Millisecond  // that it adds up to
	longest = 100 * time.Millisecond // that any of them waits
)

// burst is verdicts of which nobody was told yet.
type burst struct {
	began time.Time
	count int
}

// wait is for how long more may come, after one that has come now.
func (b *burst) wait(now time.Time) time.Duration {
	if b.count++; b.count == 1 {
		b.began = now
	}
	return min(quiet+time.Duration(b.count-1)*each, most, b.began.Add(longest).Sub(now))
}

// Monitor runs one check for each key that it follows.
//
//	Follow ──► Run ──► checker (one goroutine each) ──► verdicts ──► 10 to 100 ms ──► out
type Monitor struct {
	log    *slog.Logger
	memory Memory
	follow newest.Box[[]model.CheckKey]
	ways   *ways
}

// NewMonitor begins with what is remembered of the time before, until checks have verdicts of their own.
func NewMonitor(memory Memory, log *slog.Logger) *Monitor {
	return &Monitor{log: log, memory: memory, follow: newest.NewBox[[]model.CheckKey](), ways: newWays()}
}

// Follow says which checks are wanted. The newest list wins.
func (m *Monitor) Follow(keys []model.CheckKey) {
	m.follow.Put(slices.Clone(keys))
}

// Ways says how detours are gone now; a check whose detour is not among them waits. The map is not changed any more.
func (m *Monitor) Ways(known map[model.Detour]model.DetourWay) { m.ways.set(known) }

// verdict is what a check found out now.
type verdict struct {
	of     *checker
	health model.Health
}

// Run hands out what all checks have found out, whenever that changes, until ctx is done. What it hands out
// does not change any more.
func (m *Monitor) Run(ctx context.Context, out func(map[model.CheckKey]model.Health)) error {
	r := &round{Monitor: m, known: map[model.CheckKey]model.Health{}, checks: map[model.CheckKey]*checker{}, verdicts: make(chan verdict)}
	ctx, cancel := context.WithCancel(ctx)
	defer r.checkers.Wait() // each ends with ctx
	defer cancel()
	var untold burst
	due := time.NewTimer(quiet)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case keys := <-m.follow:
			if err := r.become(ctx, keys); err != nil {
				return err
			}
		case v := <-r.verdicts:
			if r.checks[v.of.key] != v.of {
				continue // it is not followed any more
			}
			r.known[v.of.key] = v.health
		case <-due.C:
			if untold.count > 0 {
				untold = burst{}
				out(maps.Clone(r.known))
			}
			continue
		}
		due.Reset(untold.wait(time.Now()))
	}
}

// round is the state of Run.
type round struct {
	*Monitor
	known    map[model.CheckKey]model.Health
	checks   map[model.CheckKey]*checker
	verdicts chan verdict
	checkers sync.WaitGroup
}

// apart is how long after each other new checks begin, so that many do not at the same moment: all of them
// within an interval.
func apart(interval time.Duration, count int) time.Duration {
	return min(time.Millisecond, interval/time.Duration(max(count, 1)))
}

// become starts and stops checks until exactly those run that are wanted.
func (r *round) become(ctx context.Context, keys []model.CheckKey) error {
	wanted := map[model.CheckKey]bool{}
	started := 0
	for _, key := range keys {
		wanted[key] = true
		if r.checks[key] != nil {
			continue
		}
		if err := r.start(ctx, key, time.Duration(started)*apart(key.Check.Interval, len(keys))); err != nil {
			return err
		}
		started++
	}
	r.memory = nil // of the time before; what is followed later begins anew
	for key, c := range r.checks {
		if !wanted[key] {
			c.stop()
			delete(r.checks, key)
			delete(r.known, key)
		}
	}
	return nil
}

func (r *round) start(ctx context.Context, key model.CheckKey, wait time.Duration) error {
	ask, err := adviserOf(key.Check.Ask)
	if err != nil {
		return fmt.Errorf("check %s of %s: %w", key.Check.Ask.Kind(), key.Target, err)
	}
	ctx, stop := context.WithCancel(ctx)
	c := &checker{log: r.log, stop: stop, key: key, ask: ask, ways: r.ways, machine: machine{check: key.Check, health: r.memory.of(key)}}
	if c.machine.health != (model.Health{}) {
		r.known[key] = c.machine.health
	}
	r.checks[key] = c
	r.checkers.Go(func() { c.run(ctx, wait, r.verdicts) })
	return nil
}
