// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"maps"
	"testing"
	"time"
	"unsafe"

	"github.com/weir-lb/weir/faults"
)

// set is a reading of the host's clock as it would be, had somebody set it by so many seconds: what time.Now returns
// has a second clock in it, which goes on (package time, Monotonic Clocks). Both are packed into one word.
func set(reading time.Time, by time.Duration) time.Time {
	wall := (*uint64)(unsafe.Pointer(&reading))
	*wall += uint64(int64(by/time.Second)) << 30
	return reading
}

// Parts of fault 41 of connection sync.
const (
	clockUnsynced = "out_of_sync"        // tenths of a second in which a director does not say that it is in sync
	clockDiffers  = "differing"          // connections that ended with one director alone, or did not come over
	clockSpurned  = "datagrams_refused"  // of those that were said a moment ago
	clockRecorded = "recordings_changed" // connections that came or went by those that were said before
)

// clockSet is fault 41: an hour or a day forward or back the peers stay in sync, what is new comes over, nothing ends that
// has not, nothing is refused but recordings, and those are.
func clockSet() faults.Fault {
	return faults.Fault{
		Number:  41,
		Divided: true,
		Parts: []faults.Part{
			{Name: clockUnsynced, Unit: "moments"}, {Name: clockDiffers, Unit: "connections"},
			{Name: clockSpurned, Unit: "datagrams"}, {Name: clockRecorded, Unit: "connections"},
		},
		Prepare: func(t *testing.T, _ faults.Size) faults.Run {
			seed := uint64(4100)
			return func() (faults.Measured, error) {
				seed++
				return faults.Measured{Figures: playSet(t, seed)}, nil
			}
		},
	}
}

// playSet is directors on one host, or on two that are set at once.
func playSet(t *testing.T, seed uint64) map[string]float64 {
	figures := map[string]float64{clockUnsynced: 0, clockDiffers: 0, clockSpurned: 0, clockRecorded: 0}
	w, master, backup := pair(t, seed)
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
				figures[clockUnsynced]++
			}
		}
		figures[clockDiffers] += float64(differ(master, backup) + max(0, 1000-len(backup.table)))
		w.fill(master, len(master.table)+100)
		w.run(2 * time.Second)
		figures[clockDiffers] += float64(differ(master, backup))
		figures[clockSpurned] += float64(more(before, backup.hookTo(master).tally.read().Refused))
		table := maps.Clone(backup.table)
		only(t, throw(t, backup.hookTo(master), (*all)[:recorded]), ReasonReplay)
		if !maps.Equal(table, backup.table) {
			figures[clockRecorded]++
		}
	}
	return figures
}

// more is by how much counts have grown.
func more(before, after map[Reason]uint64) (n uint64) {
	for why, now := range after {
		n += now - before[why]
	}
	return n
}
