// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 7.
const (
	stoppedIn = "stop"     // the daemon was ended
	askedIn   = "failover" // weir failover
)

// handover: the master leaves the addresses to the other one, because somebody wants it, or since its daemon is ended.
func handover(weir string) faults.Fault {
	const bar = 0.05
	return faults.Fault{
		Number: 7,
		Paired: true,
		Parts: []faults.Part{
			{Name: of(askedIn, 100*time.Millisecond), Unit: faults.Seconds, Bar: bar},
			{Name: of(stoppedIn, 100*time.Millisecond), Unit: faults.Seconds, Bar: bar},
			{Name: of(askedIn, time.Second), Unit: faults.Seconds, Bar: bar},
			{Name: of(stoppedIn, time.Second), Unit: faults.Seconds, Bar: bar},
			{Name: failedNew, Unit: "connections"},
		},
		Beside: "keepalived 2.2.7 that is stopped has a gap of 0.07 s with adverts each 100 ms, of 0.62 s with adverts each second",
		Prepare: func(t *testing.T, _ faults.Size) faults.Run {
			handing := func(advertise time.Duration) func(context.Context, *faults.Measured) error {
				p := newPair(t, weir, lab.Redundancy{Advertise: advertise, Preempt: "false", Unicast: true})
				return func(ctx context.Context, m *faults.Measured) error {
					return inOrder(
						func() error { return p.handsOver(ctx, m, of(askedIn, advertise), p.failover) },
						func() error { return p.handsOver(ctx, m, of(stoppedIn, advertise), p.stop) },
					)
				}
			}
			return suffers(t, handing(100*time.Millisecond), handing(time.Second))
		},
	}
}

// handsOver has the master leave, and waits until it is back as backup.
func (p *pair) handsOver(ctx context.Context, m *faults.Measured, part string, leave func(context.Context, *lab.Director) error) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		if err := leave(ctx, r.master); err != nil {
			return err
		}
		_, err := p.becomes(ctx, r.backup, "master")
		return err
	})
	if err != nil {
		return err
	}
	note(m, part, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	if p.state(ctx, r.master) == "" {
		err = r.master.Restart()
	}
	if err == nil {
		_, err = p.becomes(ctx, r.master, "backup")
	}
	return err
}

func (p *pair) failover(ctx context.Context, d *lab.Director) error {
	_, err := p.daemons[d].StepDown(ctx)
	return err
}

func (p *pair) stop(_ context.Context, d *lab.Director) error { return d.Stop() }
