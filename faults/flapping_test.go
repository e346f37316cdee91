// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// linkFlaps: the link of the director with the higher priority comes and goes. It is told to wait a minute before it
// takes over from a living master.
func linkFlaps(c *common) faults.Fault {
	return faults.Fault{
		Number: 8,
		Long:   true,
		Parts: []faults.Part{
			{Name: transitions, Unit: "takeovers", Bar: 1, Timely: true},
			{Name: "gaps", Unit: faults.Seconds, Bar: 0.5},
			{Name: failedNew, Unit: "connections"},
			partOfCrowd(),
		},
		Beside: "keepalived 2.2.7 with adverts each second has one transition, and a gap of 2.86 s",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := c.loaded(t, size, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "{delay: 1m}"})
			return suffers(t, func(ctx context.Context, m *faults.Measured) error {
				if _, err := s.together(ctx); err != nil {
					return err
				}
				if err := s.crown(ctx, s.lab.Directors[0]); err != nil {
					return err
				}
				return s.endures(func(ctx context.Context, m *faults.Measured) error { return s.flaps(ctx, m, size.Of(2, 10)) })(ctx, m)
			})
		},
	}
}

// flaps is of the better one, who is master.
func (p *pair) flaps(ctx context.Context, m *faults.Measured, times int) error {
	better := p.lab.Directors[0]
	var seen fared
	moved, err := p.counted(ctx, func() (err error) {
		seen, err = p.knocked(ctx, func(context.Context) error { return p.flap(better, times) })
		return err
	})
	if err != nil {
		return err
	}
	note(m, transitions, float64(moved), "")
	note(m, "gaps", seen.Gaps.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	return nil
}

// flap takes the cable of a director out of the switch and puts it in again.
func (p *pair) flap(d *lab.Director, times int) error {
	const down, up = 300 * time.Millisecond, 700 * time.Millisecond
	for range times {
		err := inOrder(
			func() error { return p.lab.Unplug(&d.Node) }, wait(down),
			func() error { return p.lab.Plug(&d.Node) }, wait(up),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// crown makes a director master: the other one leaves.
func (p *pair) crown(ctx context.Context, d *lab.Director) error {
	r, err := p.agreed(ctx)
	if err != nil || r.master == d {
		return err
	}
	if err := p.failover(ctx, r.master); err != nil {
		return err
	}
	_, err = p.becomes(ctx, d, "master")
	return err
}
