// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stalls are when the machine let this process stand still: by its own timers, which nothing that is measured has a
// hand in.
type stalls struct {
	mu  sync.Mutex
	all []standstill // in order
}

type standstill struct{ from, until time.Time }

const (
	stallPace  = 2 * time.Millisecond
	stallLeast = 5 * time.Millisecond // that a timer is late
)

// watch goes on until the test is over.
func (s *stalls) watch(ctx context.Context) {
	timer := time.NewTimer(stallPace)
	defer timer.Stop()
	for due := time.Now().Add(stallPace); ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		s.note(due, now)
		due = now.Add(stallPace)
		timer.Reset(stallPace)
	}
}

func (s *stalls) note(due, now time.Time) {
	if now.Sub(due) < stallLeast {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, standstill{due, now})
}

// within is how long the machine stood still in a time, in all.
func (s *stalls) within(from, until time.Time) (sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.all) - 1; i >= 0 && s.all[i].until.After(from); i-- {
		begin, end := s.all[i].from, s.all[i].until
		if begin.Before(from) {
			begin = from
		}
		if end.After(until) {
			end = until
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}

// TestStallsAreOfTheMachine: only late timers count, and only as far as they are in the time that is asked for.
func TestStallsAreOfTheMachine(t *testing.T) {
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	var s stalls
	s.note(at(0), at(4)) // no stall yet
	s.note(at(10), at(30))
	s.note(at(50), at(90))
	for _, tt := range []struct{ from, until, want int }{
		{0, 100, 60}, {0, 9, 0}, {20, 60, 20}, {60, 70, 10}, {30, 50, 0}, {90, 200, 0},
	} {
		if got := s.within(at(tt.from), at(tt.until)); got != time.Duration(tt.want)*time.Millisecond {
			t.Errorf("from %d to %d ms the machine stood still for %v, want %d ms", tt.from, tt.until, got, tt.want)
		}
	}
	synctest.Test(t, func(t *testing.T) { // a clock that is never late
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var s stalls
		began := time.Now()
		s.watch(ctx)
		if got := s.within(began, time.Now()); got != 0 || time.Since(began) < time.Second {
			t.Errorf("a machine that does nothing else stood still for %v", got)
		}
	})
}
