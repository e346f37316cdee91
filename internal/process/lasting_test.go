// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// TestChangeHasToLast as long as it is asked to; the first answer counts at once.
func TestChangeHasToLast(t *testing.T) {
	of := model.TrackProcess{Name: "haproxy", Quorum: 2, ForkDelay: 5 * time.Second, TerminateDelay: 2 * time.Second}
	start := time.Unix(0, 0)
	var story strings.Builder
	var l lasting
	for _, step := range []struct {
		at    time.Duration
		count int
	}{
		{0, 1}, {1, 2}, {4, 2}, {5, 1}, {6, 2}, {10, 2}, {11, 2}, // it runs, but for a moment
		{12, 1}, {13, 2}, {14, 0}, {15, 0}, {16, 0}, {17, 9}, {22, 9},
	} {
		left := l.step(of, step.count, start.Add(step.at*time.Second))
		fmt.Fprintf(&story, "%3ds %d: %t, again in %s\n", step.at, step.count, l.stands.Enough, left)
	}
	const want = `
  0s 1: false, again in 0s
  1s 2: false, again in 5s
  4s 2: false, again in 2s
  5s 1: false, again in 0s
  6s 2: false, again in 5s
 10s 2: false, again in 1s
 11s 2: true, again in 0s
 12s 1: true, again in 2s
 13s 2: true, again in 0s
 14s 0: true, again in 2s
 15s 0: true, again in 1s
 16s 0: false, again in 0s
 17s 9: false, again in 5s
 22s 9: true, again in 0s
`
	if got := "\n" + story.String(); got != want {
		t.Errorf("got%s", got)
	}
}

// TestChangeCountsAtOnce where nobody has asked for more.
func TestChangeCountsAtOnce(t *testing.T) {
	of := model.TrackProcess{Name: "haproxy", Quorum: 1}
	var l lasting
	for i, count := range []int{1, 0, 1, 0} {
		if left := l.step(of, count, time.Unix(int64(i), 0)); left != 0 || l.stands.Enough != (count == 1) {
			t.Errorf("%d: %+v, again in %s", i, l.stands, left)
		}
	}
}
