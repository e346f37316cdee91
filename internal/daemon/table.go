// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/weir-lb/weir/internal/report"
)

const (
	// tableEvery is as often as the table is counted.
	tableEvery = 2 * time.Second
	// lowPercent is less than report.HighPercent, so that a table around that is not told of again and again.
	lowPercent = 75
)

// watchTable tells the log, and whom else it concerns, when the connection table fills, and when there is room again.
func watchTable(ctx context.Context, usage func() (used, size uint64), high func(bool), log *slog.Logger) error {
	tick := time.NewTicker(tableEvery)
	defer tick.Stop()
	var water highWater
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		used, size := usage()
		switch water.turn(report.Usage{Used: used, Size: size}.Percent()) {
		case rises:
			log.Warn("connection table is nearly full", "used", used, "size", size)
			high(true)
		case falls:
			log.Info("connection table has room again", "used", used, "size", size)
			high(false)
		}
	}
}

// highWater is on which side of its two marks the table was last.
type highWater struct{ high bool }

// turning is a mark that was crossed.
type turning int

const (
	stays turning = iota
	rises
	falls
)

// turn takes the next reading.
func (w *highWater) turn(percent uint64) turning {
	switch {
	case !w.high && percent >= report.HighPercent:
		w.high = true
		return rises
	case w.high && percent < lowPercent:
		w.high = false
		return falls
	}
	return stays
}
