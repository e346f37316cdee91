// SPDX-License-Identifier: Apache-2.0

// Package process sees which processes of this host run, for virtual routers that track some. It decides nothing but
// how long a change has to last; what follows from it is internal/plan's.
//
// Those that are found are watched by pidfds, so the end of one is known at once. For those that begin /proc is looked
// at once a second: the kernel would tell of them, too (the proc connector), but in the first network namespace alone,
// of every fork of every process, and without their names (docs/why/processes.md).
//
// Read this file first, then table.go (a look), watch.go (an end), and lasting.go.
package process

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

const (
	every  = time.Second           // a look
	settle = 10 * time.Millisecond // the ends of several become one look
	share  = 20                    // looks take one part in so many of a CPU at most
	whole  = 30 * time.Second      // a look that trusts no name of before
)

// Watcher says how the processes stand that are tracked.
type Watcher struct {
	log    *slog.Logger
	root   string // where processes are listed
	follow newest.Box[[]model.TrackProcess]
}

func NewWatcher(log *slog.Logger) *Watcher {
	return &Watcher{log: log, root: "/proc", follow: newest.NewBox[[]model.TrackProcess]()}
}

// Follow says which are tracked. The newest list wins.
func (w *Watcher) Follow(tracked []model.TrackProcess) {
	w.follow.Put(slices.Clone(tracked))
}

// Run hands out how all that are tracked stand, at first and whenever that has changed, until ctx is done. out must not
// change what it is given.
func (w *Watcher) Run(ctx context.Context, out func(model.Processes)) error {
	s := state{table: newTable(w.root), lasting: map[model.TrackProcess]*lasting{}, watches: newWatches()}
	defer s.watches.close()
	look := newAlarm()
	var told model.Processes
	for {
		select {
		case <-ctx.Done():
			return nil
		case tracked := <-w.follow:
			s.track(tracked)
			look.set(0)
			continue
		case <-s.watches.ended:
			look.within(s.soon())
			continue
		case <-look.timer.C:
		}
		if len(s.tracked) == 0 {
			continue
		}
		now, next := s.look(time.Now())
		look.set(next)
		if !same(now, told) {
			if now.Hidden != "" && now.Hidden != told.Hidden {
				w.log.Warn("processes cannot be seen", "err", now.Hidden)
			}
			told = now
			out(now)
		}
	}
}

func same(a, b model.Processes) bool { return a.Hidden == b.Hidden && maps.Equal(a.Stand, b.Stand) }

// alarm says when the next look is due.
type alarm struct {
	timer *time.Timer
	due   time.Time
}

// newAlarm makes one that nothing is due by.
func newAlarm() *alarm {
	a := &alarm{timer: time.NewTimer(0)}
	a.timer.Stop()
	return a
}

func (a *alarm) set(in time.Duration) {
	a.due = time.Now().Add(in)
	a.timer.Reset(in)
}

// within never puts off what is due already: ends that follow each other closely must not keep all from being seen.
func (a *alarm) within(in time.Duration) {
	if time.Now().Add(in).Before(a.due) {
		a.set(in)
	}
}

// state is what a Watcher knows.
type state struct {
	tracked []model.TrackProcess
	table   *table
	lasting map[model.TrackProcess]*lasting
	watches *watches

	began time.Time // of the last look
	took  time.Duration
	full  time.Time // when the last one was that trusted no name
}

// track forgets what is not tracked any more. Where nothing is there are no more looks, which would forget processes.
func (s *state) track(tracked []model.TrackProcess) {
	s.tracked = tracked
	s.table.read(tracked)
	maps.DeleteFunc(s.lasting, func(t model.TrackProcess, _ *lasting) bool { return !slices.Contains(tracked, t) })
	if len(tracked) == 0 {
		s.watches.keep(nil)
	}
}

// soon is how long a look has to wait after an end: not at all, unless ends come faster than a host's CPU is for that.
func (s *state) soon() time.Duration {
	return max(settle, time.Until(s.began.Add(share*s.took)))
}

// look counts those that are tracked, and says when to look again.
func (s *state) look(now time.Time) (model.Processes, time.Duration) {
	s.began = now
	full := now.Sub(s.full) >= whole
	if full {
		s.full = now
	}
	found, err := s.table.look(full)
	s.took = time.Since(now)
	next := max(every, share*s.took)
	out := model.Processes{Stand: map[model.TrackProcess]model.ProcessStands{}}
	if err != nil {
		out.Hidden = fmt.Sprint(err)
		for t, l := range s.lasting {
			out.Stand[t] = l.stands
		}
		return out, next
	}
	running := s.watches.keep(found)
	for _, t := range s.tracked {
		count := 0
		for pid, p := range found {
			if running[pid] && p.is(t) {
				count++
			}
		}
		l := s.lasting[t]
		if l == nil {
			l = &lasting{}
			s.lasting[t] = l
		}
		if due := l.step(t, count, now); due > 0 {
			next = min(next, due)
		}
		out.Stand[t] = l.stands
	}
	return out, next
}
