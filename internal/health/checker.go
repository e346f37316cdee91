// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// checker asks one endpoint again and again.
type checker struct {
	log     *slog.Logger
	stop    context.CancelFunc
	key     model.CheckKey
	ask     adviser
	ways    *ways
	machine machine
	unable  bool // to ask, the last time
}

// run tells every change of the verdict, until ctx is done. It begins after a wait, and keeps its distance from
// other checks: each question is due an interval after the one before was.
func (c *checker) run(ctx context.Context, wait time.Duration, verdicts chan<- verdict) {
	due := time.Now().Add(wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		way, ok := c.ways.await(ctx, c.key.Detour)
		if !ok {
			return
		}
		said, err := c.once(ctx, way)
		if ctx.Err() != nil {
			return // what came of it is no answer
		}
		now := time.Now()
		if c.hear(said, err, now) {
			select {
			case verdicts <- verdict{c, c.machine.health}:
			case <-ctx.Done():
				return
			}
		}
		pace := c.machine.pace()
		due = next(due, pace, now)
		timer.Reset(time.Until(due) + jitter(pace))
	}
}

// hear reports whether what is known is something else by what came of a question.
func (c *checker) hear(said model.Advice, err error, now time.Time) (changed bool) {
	if !c.couldAsk(err) {
		return c.machine.cannot(err, now)
	}
	return c.machine.hear(said, err, now)
}

// couldAsk tells whether an error is an answer, and logs when that changes.
func (c *checker) couldAsk(err error) bool {
	unable := isOwn(err)
	switch {
	case unable && !c.unable:
		c.about().Error("a check cannot ask, and leaves what it is about as it is", "why", err)
	case c.unable && !unable:
		c.about().Info("a check can ask again")
	}
	c.unable = unable
	return !unable
}

// about names the server, unless it is of what a virtual router tracks.
func (c *checker) about() *slog.Logger {
	log := c.log.With("check", c.key.Check.Ask.Kind())
	if server := c.key.Server(); server.IsValid() {
		return log.With("server", server)
	}
	return log
}

// next is when the question after this one is due. Who is late does not hurry after it.
func next(due time.Time, pace time.Duration, now time.Time) time.Time {
	if due = due.Add(pace); due.Before(now) {
		return now
	}
	return due
}

// once is one question.
func (c *checker) once(ctx context.Context, way model.DetourWay) (model.Advice, error) {
	if way.Stops(c.key.Check) {
		return model.Advice{}, ownFault{errors.New(way.Why)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.key.Check.Timeout)
	defer cancel()
	said, err := c.ask(withWay(ctx, way.To), c.key.Target)
	return said, timed(err, c.key.Check.Timeout)
}

// jitter is up to a fiftieth sooner, so that checks by two directors do not stay in step. Never later: who is
// told an interval counts on it.
func jitter(pace time.Duration) time.Duration { return -rand.N(pace/50 + 1) }
