// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sync/errgroup"
)

// Run sweeps the connections, hands on what the path tells, and puts in what has waited for its server, until ctx ends.
func (d *Dataplane) Run(ctx context.Context, hears Hears) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.runSweeps(ctx) })
	group.Go(func() error { return d.runEvents(ctx, hears) })
	group.Go(d.runHeld)
	group.Go(func() error { return d.runUnbound(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		return errors.Join(d.events.Flush(), d.held.Flush()) // wakes the readers; a deadline would wait for it
	})
	return group.Wait()
}

// The path asks once for every packet that it drops. So many questions are heard at once; behind
// them comes a pause, so that a flood towards a silent neighbour does not keep a CPU busy here. What
// does not fit the ring meanwhile is asked again by the next packet.
const (
	questions     = 256
	questionPause = 50 * time.Millisecond
)

func (d *Dataplane) runEvents(ctx context.Context, hears Hears) error {
	var record ringbuf.Record
	for heard := 1; ; heard++ {
		if err := d.events.ReadInto(&record); err != nil {
			if errors.Is(err, ringbuf.ErrFlushed) {
				return nil
			}
			return fmt.Errorf("events: %w", err)
		}
		hears.tell(record.RawSample)
		if heard%questions == 0 {
			pause(ctx, questionPause)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
