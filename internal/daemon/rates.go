// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"maps"
	"time"

	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// Both are told the same readings.
var _ = [1]struct{}{}[report.EstimateSeconds*time.Second-health.PassiveTick]

// estimate keeps the rates, and watches for bad signs. A reading that fails is not one: the next has the counts
// of both.
func (d *daemon) estimate(ctx context.Context) error {
	var estimator report.Estimator
	var passive health.Passive
	var signs map[model.ServiceServer]model.Sign
	ticks := time.NewTicker(report.EstimateSeconds * time.Second)
	defer ticks.Stop()
	for {
		counters, err := d.path.Counters()
		if err != nil {
			d.log.Debug("counters are not read for rates", "err", err)
		} else {
			rates := estimator.Tick(fromCounters(counters))
			d.rates.Store(&rates)
			if now := passive.Tick(fromSigns(counters)); !maps.Equal(now, signs) {
				signs = now
				d.tell(func(s *model.Seen) { s.Signs = now })
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}
