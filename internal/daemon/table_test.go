// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHighWaterIsToldOncePerCrossing(t *testing.T) {
	var water highWater
	for i, step := range []struct {
		percent uint64
		want    turning
	}{
		{0, stays}, {79, stays}, {80, rises}, {100, stays}, {80, stays}, {79, stays}, {75, stays},
		{80, stays}, {74, falls}, {79, stays}, {0, stays}, {100, rises}, {0, falls},
	} {
		if got := water.turn(step.percent); got != step.want {
			t.Errorf("step %d, %d %%: got %d, want %d", i, step.percent, got, step.want)
		}
	}
}

func TestFullTableIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		used := uint64(10)
		ctx, cancel := context.WithCancel(t.Context())
		go watchTable(ctx, func() (uint64, uint64) { return used, 100 }, func(bool) {}, slog.New(slog.NewTextHandler(&text, nil)))
		for _, used = range []uint64{50, 90, 95, 10} {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		for _, want := range []string{
			"level=WARN msg=\"connection table is nearly full\" used=90 size=100\n",
			"level=INFO msg=\"connection table has room again\" used=10 size=100\n",
		} {
			if strings.Count(text.String(), want) != 1 {
				t.Errorf("want once %q:\n%s", want, &text)
			}
		}
		if lines := strings.Count(text.String(), "\n"); lines != 2 {
			t.Errorf("%d lines:\n%s", lines, &text)
		}
	})
}
