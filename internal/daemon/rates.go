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

// A refusal has the signs read, and a plan made, at once, but reading takes no more than a small part of the time, and
// those that come together later are one plan, as all that does.
const (
	shortestRest = settle
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
		if refused {
			refusals = nil
			rested.Reset(d.readSigns(&watch))
		} else {
			d.readCounters(&estimator, &watch)
		}
		if refused = d.nextLook(ctx, ticks.C, rested.C, &refusals); ctx.Err() != nil {
			return nil
		}
	}
}

// readSigns is for refusals, and returns how long to rest.
func (d *daemon) readSigns(watch *signs) time.Duration {
	began := time.Now()
	if read, err := d.path.Signs(); err != nil {
		d.log.Debug("signs are not read", "err", err)
	} else {
		watch.refused(read)
	}
	return max(shortestRest, restShare*time.Since(began))
}

// readCounters is for ticks.
func (d *daemon) readCounters(estimator *report.Estimator, watch *signs) {
	d.syncReadings(time.Now()) // lest what was lately is what was since somebody last asked
	counters, err := d.path.Counters()
	if err != nil {
		d.log.Debug("counters are not read for rates", "err", err)
		return
	}
	d.counted(counters, estimator, watch)
}

// watch is signs that the owner is told of.
func (d *daemon) watch() signs {
	return signs{tell: func(now map[model.ServiceServer]model.Sign) { d.tellNow(func(s *model.Seen) { s.Signs = now }) }}
}

// counted is what a tick has read.
func (d *daemon) counted(counters dataplane.Counters, estimator *report.Estimator, watch *signs) {
	rates := estimator.Tick(fromCounters(counters))
	d.rates.Store(&rates)
	watch.tick(counters)
}

// nextLook waits until there is something to be read, and says whether because of refusals.
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

func (s *signs) tick(counters dataplane.Counters) { s.become(s.passive.Tick(fromCounted(counters))) }

// refused adds what is bad since the last look.
func (s *signs) refused(read map[model.ServiceServer]dataplane.Signs) {
	now := maps.Clone(s.now)
	maps.Copy(now, s.passive.Burst(fromSigns(read)))
	s.become(now)
}

func (s *signs) become(now map[model.ServiceServer]model.Sign) {
	if !maps.Equal(now, s.now) {
		s.tell(now)
	}
	s.now = now
}
