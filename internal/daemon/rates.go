// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"maps"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// Both are told the same readings.
var _ = [1]struct{}{}[report.EstimateSeconds*time.Second-health.PassiveTick]

// A refusal has the counts read at once, but reading takes no more than a small part of the time.
const (
	shortestRest = 20 * time.Millisecond
	restShare    = 20
)

// estimate keeps the rates, and watches for bad signs. A reading that fails is not one: the next has the counts
// of both.
func (d *daemon) estimate(ctx context.Context) error {
	var estimator report.Estimator
	watch := d.watch()
	ticks := time.NewTicker(report.EstimateSeconds * time.Second)
	defer ticks.Stop()
	refusals, rested := d.refusals, time.NewTimer(0)
	defer rested.Stop()
	for refused := false; ; {
		began := time.Now()
		switch counters, err := d.path.Counters(); {
		case err != nil:
			d.log.Debug("counters are not read for rates", "err", err)
		case refused:
			watch.refused(counters)
			refusals = nil
			rested.Reset(max(shortestRest, restShare*time.Since(began)))
		default:
			d.counted(counters, &estimator, &watch)
		}
		if refused = d.nextLook(ctx, ticks.C, rested.C, &refusals); ctx.Err() != nil {
			return nil
		}
	}
}

// watch is signs that the owner is told of.
func (d *daemon) watch() signs {
	return signs{tell: func(now map[model.ServiceServer]model.Sign) { d.tell(func(s *model.Seen) { s.Signs = now }) }}
}

// counted is what a tick has read.
func (d *daemon) counted(counters dataplane.Counters, estimator *report.Estimator, watch *signs) {
	rates := estimator.Tick(fromCounters(counters))
	d.rates.Store(&rates)
	watch.tick(counters)
}

// nextLook waits until the counts are to be read, and says whether because of refusals.
func (d *daemon) nextLook(ctx context.Context, ticks, rested <-chan time.Time, refusals *chan struct{}) (refused bool) {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticks:
			return false
		case <-*refusals:
			return true
		case <-rested:
			*refusals = d.refusals
		}
	}
}

// refused wakes estimate; who has been woken already looks at all that came.
func (d *daemon) refused() {
	select {
	case d.refusals <- struct{}{}:
	default:
	}
}

// signs are the bad ones of now, and who is told when they change.
type signs struct {
	passive health.Passive
	now     map[model.ServiceServer]model.Sign
	tell    func(map[model.ServiceServer]model.Sign)
}

func (s *signs) tick(counters dataplane.Counters) { s.become(s.passive.Tick(fromSigns(counters))) }

// refused adds what is bad since the last look.
func (s *signs) refused(counters dataplane.Counters) {
	now := maps.Clone(s.now)
	maps.Copy(now, s.passive.Burst(fromSigns(counters)))
	s.become(now)
}

func (s *signs) become(now map[model.ServiceServer]model.Sign) {
	if !maps.Equal(now, s.now) {
		s.tell(now)
	}
	s.now = now
}
