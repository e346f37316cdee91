// SPDX-License-Identifier: Apache-2.0

// Package reconcile keeps a part of the system equal to what is wanted: the newest want wins, what
// fails is tried again, and what somebody else changed is mended. It knows nothing about what it
// keeps equal.
package reconcile

import (
	"context"
	"log/slog"
	"time"

	"github.com/weir-lb/weir/internal/newest"
)

// Pauses between attempts: after a failure they double from the first to the last; after a success
// the same want is applied again once in a while, which repairs what somebody else changed.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
	refresh    = time.Minute
)

// A Target is a part of the system that can be made equal to a W.
type Target[W any] interface {
	// Apply reads what is there, changes what differs, and may be called again with the same want
	// at any time.
	Apply(ctx context.Context, want W) error
}

// Loop applies the newest want to a target.
type Loop[W any] struct {
	name   string
	target Target[W]
	done   func(want W, err error) // told after each attempt
	log    *slog.Logger
	wants  newest.Box[W] // a slow target skips the stale ones
}

// NewLoop makes a loop; done is called from Run's goroutine after each attempt.
func NewLoop[W any](name string, target Target[W], done func(W, error), log *slog.Logger) *Loop[W] {
	return &Loop[W]{name: name, target: target, done: done, log: log, wants: newest.NewBox[W]()}
}

// Want replaces what is wanted. It never blocks.
func (l *Loop[W]) Want(w W) { l.wants.Put(w) }

// Run applies wants until ctx ends.
func (l *Loop[W]) Run(ctx context.Context) error {
	var want W
	var failed error
	pause := firstRetry
	wake := time.NewTimer(0)
	wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case want = <-l.wants:
			pause = firstRetry
		case <-wake.C:
		}
		err := l.target.Apply(ctx, want)
		if ctx.Err() != nil {
			return nil
		}
		l.tell(failed, err)
		failed = err
		l.done(want, err)
		if err == nil {
			pause = firstRetry
			wake.Reset(refresh)
			continue
		}
		wake.Reset(pause)
		pause = min(2*pause, lastRetry)
	}
}

// tell logs the first failure of a kind, and its end.
func (l *Loop[W]) tell(before, now error) {
	switch {
	case now == nil && before != nil:
		l.log.Info("applied", "target", l.name)
	case now != nil && (before == nil || before.Error() != now.Error()):
		l.log.Error("not applied, trying again", "target", l.name, "err", now)
	}
}
