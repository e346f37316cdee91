// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// shelf is where a keeper writes in tests: what, and how often.
type shelf struct {
	keeper
	weight, times int
	broken        bool
}

func (s *shelf) write(known map[model.CheckKey]model.Health) bool {
	s.times++
	for _, h := range known {
		s.weight = h.Advice.Weight
	}
	return !s.broken
}

// says is what the only check found out.
func (s *shelf) says(h model.Health, weight int) {
	h.Advice = model.Advice{Given: true, Weight: weight}
	s.keep(map[model.CheckKey]model.Health{{}: h}, time.Now(), s.write)
}

func (s *shelf) expect(t *testing.T, weight, times int) {
	t.Helper()
	synctest.Wait()
	if s.weight != weight || s.times != times {
		t.Errorf("weight %d was written last, after %d times; want %d, %d", s.weight, s.times, weight, times)
	}
}

var isUp, isDown = model.Health{State: model.HealthUp}, model.Health{State: model.HealthDown}

// TestWeightsAreWrittenSeldom: the latest within some seconds, also when none comes after it.
func TestWeightsAreWrittenSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		s.says(isUp, 1)
		s.expect(t, 1, 1)
		for weight := range 50 {
			time.Sleep(seldom * 42 / 1000)
			s.says(isUp, 10+weight)
		}
		s.expect(t, 56, 3)
		time.Sleep(2 * seldom)
		s.expect(t, 59, 4)
		s.says(isUp, 60)
		s.expect(t, 60, 5) // nothing was written for long
		time.Sleep(2 * seldom)
		s.expect(t, 60, 5)
	})
}

// TestVerdictsAreWrittenAtOnce, and so is that a server shall get no connections, or some again.
func TestVerdictsAreWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		for i, is := range []model.Health{isUp, isDown, isUp, {State: model.HealthUp, Since: time.Now()}, {State: model.HealthUp, Reason: "http 503"}} {
			s.says(is, 1+i)
			s.expect(t, 1+i, 1+i)
		}
		s.says(isUp, 7)
		s.says(isUp, 0)
		s.expect(t, 0, 7)
		s.says(isUp, 9)
		s.expect(t, 9, 8)
		s.keep(nil, time.Now(), s.write)
		s.expect(t, 9, 9) // nothing is asked any more
		time.Sleep(2 * seldom)
		s.expect(t, 9, 9)
	})
}

// TestNothingIsLeftUnwritten at the end, nor after a write that failed.
func TestNothingIsLeftUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		s.says(isUp, 1)
		s.says(isUp, 2)
		s.finish(time.Now(), s.write)
		s.expect(t, 2, 2)
		s.finish(time.Now(), s.write)
		s.expect(t, 2, 2)
		s.broken = true
		s.says(isDown, 3)
		s.says(isDown, 4)
		s.expect(t, 4, 4)
	})
}
