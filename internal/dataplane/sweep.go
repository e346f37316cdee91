// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// sweepEvery is the pause between two looks at the whole table: a connection outlives its timeout
// by at most two of them.
const sweepEvery = 2 * time.Second

// expiry is what the sweep program was loaded with.
type expiry struct {
	hz       uint32    // jiffies per second
	timeouts [8]uint32 // seconds, by enum conn_state
}

// clock relates the kernel's jiffies to our time.
type clock struct {
	jiffies uint32
	at      time.Time
}

// Swept is what one sweep did.
type Swept struct {
	Seen, Marked, Deleted uint32
}

// Sweep looks at every connection once and takes those away that expired.
func (d *Dataplane) Sweep() (Swept, error) {
	s := pathSweep{Orphans: d.waiting.expire(time.Now())}
	if _, err := d.sweeper.Run(&ebpf.RunOptions{Context: &s, ContextOut: &s}); err != nil {
		return Swept{}, fmt.Errorf("sweep: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = clock{s.Now, time.Now()}
	d.used = uint64(s.Seen - s.Deleted)
	return Swept{s.Seen, s.Marked, s.Deleted}, nil
}

// now is the present in jiffies.
func (d *Dataplane) now() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock.jiffies + uint32(time.Since(d.clock.at).Seconds()*float64(d.expiry.hz))
}

// expires is how long a connection in a state lives on that was seen at a jiffy.
func (e expiry) expires(state pathConnState, seen, now uint32) time.Duration {
	idle := time.Duration(int32(now-seen)) * time.Second / time.Duration(e.hz)
	return max(time.Duration(e.timeouts[state&7])*time.Second-max(idle, 0), 0)
}
