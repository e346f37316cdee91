// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// sweepEvery is how long a round through the whole table takes: a connection outlives its timeout by
// at most two of them.
const sweepEvery = 2 * time.Second

// sliceBuckets are swept in one run of the program, which nothing on its CPU interrupts. Where all of their
// entries end, and the program has barriers against speculation, a run takes one or two milliseconds; it may
// take four (`make bench`).
const sliceBuckets = 256

// tickBuckets are swept whenever the daemon wakes up for it, slice by slice: a large table has so many slices that to
// wake up for each, or for four, would cost more than to sweep it.
const tickBuckets = 32 * sliceBuckets

// No more can end in a run than it can write down.
const _ = uint64(pathLimitMAX_FAREWELLS) - sliceBuckets*bucketEntries

// sweeper is the program that sweeps, and where it writes down who has ended.
type sweeper struct {
	Sweep     *ebpf.Program `ebpf:"sweep"`
	Farewells *ebpf.Map     `ebpf:"farewells"`
}

// Close may be called of one that was never loaded.
func (s sweeper) Close() error { return errors.Join(s.Sweep.Close(), s.Farewells.Close()) }

// clock relates the kernel's jiffies to our time.
type clock struct {
	jiffies uint32
	at      time.Time
}

// Swept is what a round of the sweep did.
type Swept struct {
	Seen, Marked, Deleted uint32
	Kept                  uint32 // of the entries seen: they are of connections that count no more
}

// Sweep looks at every connection once and takes those away that expired.
func (d *Dataplane) Sweep() (Swept, error) {
	var round Swept
	if err := d.sweepBuckets(0, d.table().buckets, &round); err != nil {
		return Swept{}, err
	}
	return round, nil
}

// sweepBuckets sweeps so many buckets from first on, as far as there are any, and adds to what the round has done.
func (d *Dataplane) sweepBuckets(first, n uint32, round *Swept) error {
	orphans := d.waiting.expire(time.Now())
	for end := min(first+n, d.table().buckets); first < end; first += sliceBuckets {
		if err := d.sweepSlice(first, orphans, round); err != nil {
			return err
		}
		orphans = 0
	}
	return nil
}

// sweepSlice is one run of the program, from the bucket first on. It counts the held fragments that were given up.
func (d *Dataplane) sweepSlice(first, orphans uint32, round *Swept) error {
	buckets := d.table().buckets
	s := pathSweep{First: first, Buckets: min(sliceBuckets, buckets-first), Round: d.round(), Orphans: orphans}
	hear := d.prepare(&s)
	if _, err := d.sweeper.Sweep.Run(&ebpf.RunOptions{Context: &s, ContextOut: &s}); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := d.tellFarewells(s.Told, hear); err != nil {
		return err
	}
	round.Seen += s.Seen
	round.Marked += s.Marked
	round.Deleted += s.Deleted
	round.Kept += s.Kept
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = clock{s.Now, time.Now()}
	if first+sliceBuckets >= buckets {
		d.rounds++
		d.used = uint64(round.Seen - round.Deleted - round.Kept)
	}
	return nil
}

// prepare says what sync wants of the sweep, and who hears what ends.
func (d *Dataplane) prepare(s *pathSweep) (hear func([]model.Identity)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holds {
		s.Holds = 1
	}
	if d.endsHeard != nil {
		s.Tells = 1
	}
	return d.endsHeard
}

// tellFarewells tells who has ended in the run that was just made.
func (d *Dataplane) tellFarewells(n uint32, hear func([]model.Identity)) error {
	if n == 0 {
		return nil
	}
	flows, err := readFirst[pathFlow](d.sweeper.Farewells, n)
	if err != nil {
		return fmt.Errorf("read who has ended: %w", err)
	}
	ids := make([]model.Identity, len(flows))
	for i, f := range flows {
		ids[i] = identityOf(f)
	}
	hear(ids)
	return nil
}

// round is the number of the round that goes on: connections take turns by it.
func (d *Dataplane) round() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rounds
}

// runSweeps spreads each round evenly over its time.
func (d *Dataplane) runSweeps(ctx context.Context) error {
	ticks := (d.table().buckets + tickBuckets - 1) / tickBuckets
	tick := time.NewTicker(sweepEvery / time.Duration(ticks))
	defer tick.Stop()
	var round Swept
	for next := uint32(0); ; next = (next + 1) % ticks {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if next == 0 {
			round = Swept{}
		}
		if err := d.sweepBuckets(next*tickBuckets, tickBuckets, &round); err != nil {
			d.log.Error("connections are not expired", "err", err)
		}
	}
}

// now is the present in jiffies.
func (d *Dataplane) now() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock.jiffies + uint32(time.Since(d.clock.at).Seconds()*float64(d.hz))
}
