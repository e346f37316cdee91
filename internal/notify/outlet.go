// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/program"
)

// outlet delivers what one notice has to tell. Who tells does not wait for who delivers, so a lock is between them,
// and nobody holds it for longer than it takes to look into a queue.
type outlet struct {
	log     *slog.Logger
	senders func(model.Channel) sender
	wake    chan struct{} // of one: there is something new

	mu    sync.Mutex // guards the rest
	queue queue
	count Count              // all but its notice and what waits
	abort context.CancelFunc // ends the delivery that is under way
}

func newOutlet(notice model.Notice, log *slog.Logger, senders func(model.Channel) sender) *outlet {
	return &outlet{log: log, senders: senders, wake: make(chan struct{}, 1), queue: newQueue(notice), abort: func() {}}
}

func (o *outlet) notice() model.Notice {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queue.notice
}

func (o *outlet) tell(now time.Time, events []model.Event) {
	o.mu.Lock()
	wasLost, how := o.queue.lost, o.queue.notice.How
	dropped := o.queue.add(now, events)
	o.count.Dropped += uint64(dropped)
	o.mu.Unlock()
	if dropped > 0 && wasLost == 0 {
		o.log.Warn("too many events wait for a notice, the oldest are dropped", "notice", how.String(), "waiting", spool)
	}
	poke(o.wake)
}

func (o *outlet) forget(known map[subject]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue.forget(known)
}

// become takes the place of a notice. A message that hangs is taken back, if it may be sent twice.
func (o *outlet) become(now time.Time, notice model.Notice) {
	o.mu.Lock()
	if o.queue.notice.How != notice.How && retried(notice.How) {
		o.abort()
	}
	o.queue.become(now, notice)
	o.count.Error = ""
	o.mu.Unlock()
	poke(o.wake)
}

func (o *outlet) counts() Count {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.count
	out.Notice = o.queue.notice
	out.Error = model.OneLine(out.Error) // servers have a say in it
	out.Waiting = len(o.queue.waiting) + len(o.queue.flying)
	return out
}

// task is a message on its way.
type task struct {
	message
	how model.Channel
	ctx context.Context // ends early if nobody wants it to go this way any more
	end context.CancelFunc
}

// begin takes what is due, or says when something will be; zero: not by itself.
func (o *outlet) begin(ctx context.Context, now time.Time) (*task, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, ok := o.queue.due(now)
	if !ok {
		return nil, o.queue.next()
	}
	out := &task{message: m, how: o.queue.notice.How}
	out.ctx, out.end = context.WithCancel(ctx)
	o.abort = out.end
	return out, time.Time{}
}

// run delivers until ctx is done, and then what still waits until last is.
func (o *outlet) run(ctx, last context.Context) {
	by := &way{outlet: o}
	defer by.hangUp()
	for ctx.Err() == nil {
		by.reach(o.notice().How)
		t, next := o.begin(last, time.Now())
		if t == nil {
			o.wait(ctx, next)
			continue
		}
		o.deliver(by, t)
	}
	o.finish(last, by)
}

func (o *outlet) wait(ctx context.Context, next time.Time) {
	var due <-chan time.Time
	if !next.IsZero() {
		due = time.After(time.Until(next))
	}
	select {
	case <-ctx.Done():
	case <-o.wake:
	case <-due:
	}
}

// finish tries each message once.
func (o *outlet) finish(last context.Context, by *way) {
	o.mu.Lock()
	o.queue.hurry(time.Now())
	o.mu.Unlock()
	for last.Err() == nil {
		t, _ := o.begin(last, time.Now())
		if t == nil {
			break
		}
		o.deliver(by, t)
	}
	if c := o.counts(); c.Waiting > 0 {
		o.log.Warn("a notice ends before all of it is told", "notice", c.Notice.How.String(), "waiting", c.Waiting)
	}
}

func (o *outlet) deliver(by *way, t *task) {
	err := by.reach(t.how).send(t.ctx, t.message)
	takenBack := t.ctx.Err() != nil
	t.end()
	o.settle(time.Now(), t, err, takenBack)
}

// settle counts how it went, and lets the queue know.
func (o *outlet) settle(now time.Time, t *task, err error, takenBack bool) {
	o.mu.Lock()
	before := o.count.Error
	switch {
	case err == nil || isPartly(err):
		o.count.Sent++
		o.queue.sent(now, t.message)
	case takenBack && retried(t.how):
		o.count.Dropped += uint64(o.queue.putBack(now))
		o.mu.Unlock()
		return
	case retried(t.how) && !isFinal(err):
		o.count.Dropped += uint64(o.queue.failed(now))
	default:
		o.count.Dropped += uint64(o.queue.gaveUp(now, t.message))
	}
	o.count.Error = ""
	if err != nil {
		o.count.Failed++
		o.count.Error = err.Error()
	}
	o.mu.Unlock()
	o.say(t.how, before, err)
}

// say logs the first of several failures that are alike, and their end.
func (o *outlet) say(how model.Channel, before string, err error) {
	switch {
	case err == nil && before != "":
		o.log.Info("a notice gets through again", "notice", how.String())
	case err != nil && err.Error() != before:
		attrs := []any{"notice", how.String(), "err", err}
		if failed, ok := errors.AsType[*program.Failure](err); ok && failed.Output != "" {
			attrs = append(attrs, "output", failed.Output)
		}
		o.log.Warn("a notice does not get through", attrs...)
	}
}

// way is the sender that an outlet uses now.
type way struct {
	*outlet
	how    model.Channel
	sender sender // nil: none yet
}

// reach returns a sender for a channel: the one that there is, if it is the same.
func (w *way) reach(how model.Channel) sender {
	if w.sender != nil && w.how == how {
		return w.sender
	}
	w.hangUp()
	w.how, w.sender = how, w.senders(how)
	if err := w.sender.open(); err != nil {
		w.log.Warn("a notice is not ready", "notice", how.String(), "err", err)
	}
	return w.sender
}

func (w *way) hangUp() {
	if w.sender != nil {
		w.sender.close()
	}
	w.sender = nil
}
