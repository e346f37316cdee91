// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"github.com/weir-lb/weir/internal/report"
)

// estimate keeps the rates. A reading that fails is not one: the next has the counts of both.
func (d *daemon) estimate(ctx context.Context) error {
	var estimator report.Estimator
	ticks := time.NewTicker(report.EstimateSeconds * time.Second)
	defer ticks.Stop()
	for {
		counters, err := d.path.Counters()
		if err != nil {
			d.log.Debug("counters are not read for rates", "err", err)
		} else {
			rates := estimator.Tick(fromCounters(counters))
			d.rates.Store(&rates)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}
