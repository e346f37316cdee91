// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
)

// checkSpread is by how much the fullest and the emptiest tenth of a second differ from what is even, when many
// checks of one interval begin.
const checkSpread = "check_spread"

const (
	spreadChecks   = 1000
	spreadInterval = time.Second
	spreadBucket   = 100 * time.Millisecond
)

// spread is of the daemon's own monitor, by a clock that waits for nobody: no machine is too busy for it. What it asks
// for is a file that is not there, and that is a good answer.
func spread(t *testing.T) (percent float64, err error) {
	nowhere := t.TempDir() + "/nowhere"
	var keys []model.CheckKey
	for i := range spreadChecks {
		keys = append(keys, model.CheckKey{
			Target: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80),
			Check:  model.Check{Ask: model.AskFile{Path: nowhere}, Interval: spreadInterval, Timeout: model.DefaultTimeout, Rise: model.DefaultRise, Fall: model.DefaultFall},
		})
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		first := beginnings(t, keys, 2*spreadInterval)
		if len(first) != spreadChecks {
			err = fmt.Errorf("%d of %d checks began", len(first), spreadChecks)
			return
		}
		percent = unevenness(first, began)
	})
	return percent, err
}

// beginnings is when each check got its first answer: the verdict is of then.
func beginnings(t *testing.T, keys []model.CheckKey, within time.Duration) (out []time.Time) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var known map[model.CheckKey]model.Health
	monitor := health.NewMonitor(nil, slog.New(slog.DiscardHandler))
	monitor.Follow(keys)
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := monitor.Run(ctx, func(all map[model.CheckKey]model.Health) { known = all }); err != nil {
			t.Error(err)
		}
	})
	ended.Wait()
	for _, h := range known {
		out = append(out, h.Since)
	}
	return out
}

// unevenness is of the buckets of one interval, in percent of what each would have.
func unevenness(at []time.Time, began time.Time) (percent float64) {
	buckets := make([]float64, spreadInterval/spreadBucket)
	for _, t := range at {
		n := int(t.Sub(began) / spreadBucket)
		if n >= len(buckets) {
			return math.Inf(1) // it began later than an interval
		}
		buckets[n]++
	}
	even := float64(len(at)) / float64(len(buckets))
	for _, n := range buckets {
		percent = max(percent, 100*math.Abs(n-even)/even)
	}
	return percent
}
