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
	// The same where directors speak to whoever is on the link, and none knows whom else the goodbye reaches: each waits
	// for its skew (RFC 9568 section 6.4.2), which is 22 % of an interval for a backup of priority 200. Who was master
	// sends on what comes meanwhile.
	spokenToAll = "multicast"
)

// advertised are the times between two adverts, and ended those of them with which a daemon is ended, too.
var (
	advertised = []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}
	ended      = advertised[1:]
)

// handover: the master leaves the addresses to the other one, because somebody wants it, or since its daemon is ended.
func handover(c *common) faults.Fault {
	const bar = 0.05
	parts := []faults.Part{{Name: failedNew, Unit: "connections"}, partOfCrowd()}
	for _, advertise := range advertised {
		parts = append(parts,
			faults.Part{Name: of(askedIn, advertise), Unit: faults.Seconds, Bar: bar},
			faults.Part{Name: of(spokenToAll, advertise), Unit: faults.Seconds, Bar: bar})
	}
	for _, advertise := range ended {
		parts = append(parts, faults.Part{Name: of(stoppedIn, advertise), Unit: faults.Seconds, Bar: bar})
	}
	return faults.Fault{
		Number: 7,
		Long:   true,
		Parts:  parts,
		Beside: "keepalived 2.2.7 that is stopped has a gap of 0.07 s with adverts each 100 ms, of 0.62 s with adverts each second",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			r := lab.Redundancy{Advertise: advertised[0], Preempt: "false", Unicast: true}
			s := c.loaded(t, size, r)
			var turns []func(context.Context, *faults.Measured) error
			for _, advertise := range advertised {
				alone, toAll := r, r
				alone.Advertise, toAll.Advertise, toAll.Unicast = advertise, advertise, false
				turns = append(turns, s.agreeing(alone, func(ctx context.Context, m *faults.Measured) error {
					return s.handsOver(ctx, m, of(askedIn, advertise), s.failover, stays)
				}), s.agreeing(toAll, func(ctx context.Context, m *faults.Measured) error {
					return s.handsOver(ctx, m, of(spokenToAll, advertise), s.failover, stays)
				}))
			}
			for _, advertise := range ended {
				alone := r
				alone.Advertise = advertise
				turns = append(turns, s.agreeing(alone, func(ctx context.Context, m *faults.Measured) error {
					return s.handsOver(ctx, m, of(stoppedIn, advertise), s.stop, (*lab.Director).Restart)
				}))
			}
			return suffers(t, turns...)
		},
	}
}

// handsOver has the master leave when both are in sync, and waits until it is back. With adverts each 10 ms a machine that
// stands still for 30 makes it master again.
func (s *sharing) handsOver(ctx context.Context, m *faults.Measured, part string, leave func(context.Context, *lab.Director) error, comeBack func(*lab.Director) error) error {
	r, err := s.ready(ctx)
	if err != nil {
		return err
	}
	seen, err := s.knocked(ctx, func(ctx context.Context) (err error) {
		if r, err = s.agreed(ctx); err != nil { // they may have changed places since
			return err
		}
		if err := leave(ctx, r.master); err != nil {
			return err
		}
		_, err = s.becomes(ctx, r.backup, "master")
		return err
	})
	if err != nil {
		return err
	}
	note(m, part, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	if err := comeBack(r.master); err != nil {
		return err
	}
	_, err = s.agreed(ctx)
	return err
}

func (p *pair) failover(ctx context.Context, d *lab.Director) error {
	_, err := p.daemons[d].StepDown(ctx)
	return err
}

// stays is of one that has not gone.
func stays(*lab.Director) error { return nil }

func (p *pair) stop(_ context.Context, d *lab.Director) error { return d.Stop() }
