// SPDX-License-Identifier: Apache-2.0

package process

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// lasting is how what is tracked stands, and since when it is otherwise: a change counts when it has lasted.
type lasting struct {
	known  bool
	stands model.ProcessStands
	since  time.Time // zero: it is as it stands
}

// step takes in how many there are, and says how long another answer has to last yet; 0: there is none. The first one
// counts at once.
func (l *lasting) step(t model.TrackProcess, count int, now time.Time) time.Duration {
	enough := count >= t.Quorum
	l.stands.Count = count
	switch {
	case !l.known:
		l.known, l.stands.Enough = true, enough
		return 0
	case enough == l.stands.Enough:
		l.since = time.Time{}
		return 0
	case l.since.IsZero():
		l.since = now
	}
	delay := t.TerminateDelay
	if enough {
		delay = t.ForkDelay
	}
	if left := l.since.Add(delay).Sub(now); left > 0 {
		return left
	}
	l.stands.Enough, l.since = enough, time.Time{}
	return 0
}
