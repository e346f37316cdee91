// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// tooBig: a router dropped a packet of this host. It is judged by what the owner made last, so that a
// flood of messages that change nothing does not reach the owner.
func (d *daemon) tooBig(said model.TooBig) {
	s := d.state.Load()
	if s == nil {
		return // nothing is forwarded yet that could be too big
	}
	judgement := plan.Judge(s.spec, s.seen, said, time.Now())
	if judgement.Believed {
		d.tell(func(seen *model.Seen) { d.learn(seen, said, time.Now()) })
	}
	if judgement.Why != "" {
		d.remark("a router's path MTU is not believed", said, "why", judgement.Why)
	}
}

// learn judges anew: others may have said the same before the owner came to this one.
func (d *daemon) learn(seen *model.Seen, said model.TooBig, now time.Time) {
	judgement := plan.Judge(d.spec, *seen, said, now)
	if !judgement.Believed {
		return
	}
	if old := seen.PathMTUs[said.Destination]; old.MTU != said.MTU {
		d.remark("the way to a server is narrower than its interface", said, "until", judgement.Path.Until)
	}
	seen.PathMTUs = plan.Learn(seen.PathMTUs, said.Destination, judgement.Path, now)
}

func (d *daemon) remark(text string, said model.TooBig, args ...any) {
	ok, missed := d.remarks.take(time.Now())
	if !ok {
		return
	}
	if missed > 0 {
		args = append(args, "not_logged", missed)
	}
	d.log.Warn(text, append([]any{"server", said.Destination, "mtu", said.MTU, "router", said.Router}, args...)...)
}

// A quota lets some lines into the log and counts the others.
const (
	quotaPeriod = time.Minute
	quotaLines  = 10
)

type quota struct {
	mu     sync.Mutex // guards what follows
	begun  time.Time
	taken  int
	missed int
}

// take reports whether a line may be written, and how many were not since the last one that was.
func (q *quota) take(now time.Time) (ok bool, missed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.begun) >= quotaPeriod {
		q.begun, q.taken = now, 0
	}
	if q.taken == quotaLines {
		q.missed++
		return false, 0
	}
	q.taken++
	missed, q.missed = q.missed, 0
	return true, missed
}
