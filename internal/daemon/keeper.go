// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// seldom is how far apart verdicts are written down while nothing differs but weights, which may do so every second:
// writing takes some microseconds of every check that there is.
const seldom = 5 * time.Second

// written is what health.json holds.
type written struct {
	known map[model.CheckKey]model.Health
	at    time.Time
}

// wait is for how long these verdicts may stay unwritten.
func (w written) wait(known map[model.CheckKey]model.Health, now time.Time) time.Duration {
	if len(known) != len(w.known) {
		return 0
	}
	for key, h := range known {
		before, ok := w.known[key]
		if !ok || decisive(h) != decisive(before) {
			return 0
		}
	}
	return max(0, w.at.Add(seldom).Sub(now))
}

// decisive is of a verdict what says whether a server gets connections, since when, and why.
func decisive(h model.Health) model.Health {
	none := h.Advice.Given && h.Advice.Weight == 0
	h.Advice, h.Latest = model.Advice{Given: none}, ""
	return h
}

// keeper writes verdicts down: those that decide at once, others soon.
type keeper struct {
	mu     sync.Mutex
	last   written
	latest map[model.CheckKey]model.Health // which late will write
	late   *time.Timer                     // nil: all is written
}

// keep has write called with these verdicts or newer ones. It returns those of before.
func (k *keeper) keep(known map[model.CheckKey]model.Health, now time.Time, write func(map[model.CheckKey]model.Health) bool) (before map[model.CheckKey]model.Health) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, k.latest = k.latest, known
	wait := k.last.wait(known, now)
	if wait == 0 {
		k.writeLatest(now, write)
	} else if k.late == nil {
		k.late = time.AfterFunc(wait, func() { k.finish(time.Now(), write) })
	}
	return before
}

// finish writes what was not written yet.
func (k *keeper) finish(now time.Time, write func(map[model.CheckKey]model.Health) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.late != nil {
		k.writeLatest(now, write)
	}
}

// writeLatest remembers nothing of a file that could not be written: the next verdict is written at once.
func (k *keeper) writeLatest(now time.Time, write func(map[model.CheckKey]model.Health) bool) {
	if k.late != nil {
		k.late.Stop()
		k.late = nil
	}
	k.last = written{}
	if write(k.latest) {
		k.last = written{k.latest, now}
	}
}
