// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"
	"time"
	"unsafe"
)

// TestNoCheckMindsAClockThatIsSet (fault 41): the next question comes after the same time as ever, and what has lasted
// since before is as long as it was, whoever sets the host's clock meanwhile. What time.Now returns has a second clock
// in it, which goes on (package time, Monotonic Clocks); both are packed into one word.
func TestNoCheckMindsAClockThatIsSet(t *testing.T) {
	const pace = 2 * time.Second
	due := time.Now()
	for _, by := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
		for _, took := range []time.Duration{time.Millisecond, time.Second, 5 * time.Second} {
			now := due.Add(took)
			want := next(due, pace, now).Sub(now)
			*(*uint64)(unsafe.Pointer(&now)) += uint64(int64(by/time.Second)) << 30
			if now.Round(0).Sub(due.Round(0)) != took+by {
				t.Fatalf("the clock was not set by %s", by)
			}
			if got := next(due, pace, now).Sub(now); got != want || got < 0 || got > pace {
				t.Errorf("set by %s, %s after it was due: the next one in %s, want %s", by, took, got, want)
			}
		}
	}
}
