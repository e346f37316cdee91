// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestWhatIsLostIsTriedUntilItIsBack: less and less often, at once where something has changed, and the log has each
// reason once.
func TestWhatIsLostIsTriedUntilItIsBack(t *testing.T) {
	start := time.Unix(0, 0)
	busy, denied := errors.New("busy"), errors.New("denied")
	var m mend
	var story strings.Builder
	now := start
	try := func(err error) {
		now = m.due
		if !m.isDue(now) || m.isDue(now.Add(-1)) {
			t.Errorf("%s is not when it is due", now.Sub(start))
		}
		fmt.Fprintf(&story, "%7s %v, logged: %v\n", now.Sub(start), err, m.done(now, err))
	}
	m.lose(now)
	for range 9 {
		try(busy)
	}
	try(denied)
	now = now.Add(time.Second)
	m.lose(now) // a link has come up
	m.lose(now)
	try(denied)
	try(nil)
	if m.isDue(now.Add(time.Hour)) {
		t.Error("what is back is put back again")
	}
	m.lose(now)
	try(busy)
	try(nil)
	const want = `
   10ms busy, logged: busy
  110ms busy, logged: <nil>
  310ms busy, logged: <nil>
  710ms busy, logged: <nil>
  1.51s busy, logged: <nil>
  3.11s busy, logged: <nil>
  6.31s busy, logged: <nil>
 12.71s busy, logged: <nil>
 22.71s busy, logged: <nil>
 32.71s denied, logged: denied
 33.72s denied, logged: <nil>
 43.72s <nil>, logged: <nil>
 43.82s busy, logged: busy
 43.92s <nil>, logged: <nil>
`
	if got := "\n" + story.String(); got != want {
		t.Errorf("got%s", got)
	}
}
