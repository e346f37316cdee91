// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// powerLoss: the master is cut off, and its daemon stands still; nobody says goodbye.
func powerLoss(c *common) faults.Fault {
	return faults.Fault{
		Number: 6,
		Long:   true,
		Parts: []faults.Part{
			{Name: of(gap, 100*time.Millisecond), Unit: faults.Seconds, Bar: 0.35},
			{Name: of(gap, 10*time.Millisecond), Unit: faults.Seconds, Bar: 0.1},
			{Name: failedNew, Unit: "connections"},
			partOfCrowd(),
		},
		Beside: "keepalived 2.2.7 has a gap of 0.29 to 0.34 s with adverts each 100 ms, of at most 0.06 s with adverts each 10 ms",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			every := func(advertise time.Duration) lab.Redundancy {
				return lab.Redundancy{Advertise: advertise, Preempt: "false"}
			}
			s := c.loaded(t, size, every(100*time.Millisecond))
			lossOf := func(advertise time.Duration) func(context.Context, *faults.Measured) error {
				return s.agreeing(every(advertise), func(ctx context.Context, m *faults.Measured) error { return s.pair.loses(ctx, m, advertise) })
			}
			return suffers(t, lossOf(100*time.Millisecond), lossOf(10*time.Millisecond))
		},
	}
}

// loses cuts the master off, and starts its daemon again when the other one has taken over.
func (p *pair) loses(ctx context.Context, m *faults.Measured, advertise time.Duration) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		err := inOrder(
			func() error { return p.lab.Unplug(&r.master.Node) },
			func() error { return r.master.Signal(syscall.SIGSTOP) },
		)
		if err == nil {
			_, err = p.becomes(ctx, r.backup, "master")
		}
		return err
	})
	if err != nil {
		return err
	}
	note(m, of(gap, advertise), seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	return p.returns(ctx, r.master)
}

// returns is that a director that was cut off has power again.
func (p *pair) returns(ctx context.Context, d *lab.Director) error {
	return inOrder(
		d.Kill,
		func() error { return p.lab.Plug(&d.Node) },
		d.Restart,
		func() error { _, err := p.becomes(ctx, d, "backup"); return err },
	)
}
