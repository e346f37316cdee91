// SPDX-License-Identifier: Apache-2.0

package address

import "time"

// Pauses between attempts at what was lost. Who takes it away each time that it comes back is not raced, and what fails
// is tried again, less and less often: what keeps it from coming back may go without an event.
const (
	mendPause = 100 * time.Millisecond
	lastPause = 10 * time.Second
)

// mend is when something that was lost is made again.
type mend struct {
	due   time.Time     // zero: nothing was lost
	tried time.Time     // the last time; zero: never
	pause time.Duration // after which it is tried again; 0: it has not failed
	told  string        // why it failed, as the log has it already
}

// lose notes that something may be gone, or that what has failed may do now. A burst of it is mended once.
func (m *mend) lose(now time.Time) {
	soon := now.Add(settle)
	if next := m.tried.Add(mendPause); next.After(soon) {
		soon = next
	}
	m.due = earlier(m.due, soon)
}

func (m *mend) isDue(now time.Time) bool { return !m.due.IsZero() && !m.due.After(now) }

// done notes how an attempt went, and returns what is to be logged of it.
func (m *mend) done(now time.Time, err error) error {
	if err == nil {
		*m = mend{tried: now}
		return nil
	}
	m.tried, m.pause = now, min(max(2*m.pause, mendPause), lastPause)
	m.due = now.Add(m.pause)
	if text := err.Error(); text != m.told {
		m.told = text
		return err
	}
	return nil
}

// replaced is that somebody else has tried, who tries again himself.
func (m *mend) replaced() { *m = mend{tried: m.tried} }
