// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"maps"
	"testing"
	"time"
	"unsafe"
)

// set is a reading of the host's clock as it would be, had somebody set it by so many seconds: what time.Now returns
// has a second clock in it, which goes on (package time, Monotonic Clocks). Both are packed into one word.
func set(reading time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&reading))
	*wall += uint64(int64(by/time.Second)) << 30
	return reading
}

// TestNobodyMindsAClockThatIsSet (fault 41): an hour or a day forward or back, the peers stay in sync, what is new
// comes over, nothing ends that has not, nothing is refused but recordings, and those are.
func TestNobodyMindsAClockThatIsSet(t *testing.T) {
	w, master, backup := pair(t, 41)
	now := time.Now() // with both clocks in it
	w.now, w.air = now.Add(time.Second-now.Sub(begun)%time.Second), nil
	for _, n := range w.nodes {
		n.start(true)
	}
	master.serve(RoleAll)
	all := w.record(backup)
	w.fill(master, 1000)
	w.until(2*time.Second, "equal", func() bool { return backup.inSync() && differ(master, backup) == 0 })
	for _, step := range []time.Duration{time.Hour, -time.Hour, -time.Hour, 25 * time.Hour, -24 * time.Hour, -24 * time.Hour, 24 * time.Hour} {
		recorded, before := len(*all), backup.hookTo(master).tally.read().Refused
		w.now = set(w.now, step)
		for range 30 {
			w.run(100 * time.Millisecond)
			if !backup.inSync() || !master.inSync() {
				t.Fatalf("clock set by %s: not in sync", step)
			}
		}
		if differ(master, backup) != 0 || len(backup.table) < 1000 {
			t.Fatalf("clock set by %s: %d differ, and there are %d", step, differ(master, backup), len(backup.table))
		}
		w.fill(master, len(master.table)+100)
		w.until(2*time.Second, "what is new comes over", func() bool { return differ(master, backup) == 0 })
		if refused := backup.hookTo(master).tally.read().Refused; !maps.Equal(refused, before) {
			t.Errorf("clock set by %s: %v is refused, after %v", step, refused, before)
		}
		table := maps.Clone(backup.table)
		only(t, throw(t, backup.hookTo(master), (*all)[:recorded]), ReasonReplay)
		if !maps.Equal(table, backup.table) {
			t.Errorf("clock set by %s: a recording changes something", step)
		}
	}
}
