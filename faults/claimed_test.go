// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 17.
const (
	unheardGap = "unheard_gap" // of a takeover whose first five announcements are lost
	reportedIn = "reported"    // from when a stray host has an address to the problem that names it
)

// claimed: the master is cut off, and what the new one says to its neighbours is lost at first; then a stray host has
// a virtual address too, and says so, or waits until it is asked.
func claimed(c *common) faults.Fault {
	return faults.Fault{
		Number: 17,
		Long:   true,
		Parts: []faults.Part{
			{Name: unheardGap, Unit: faults.Seconds, Bar: 1.5},
			{Name: reportedIn, Unit: faults.Seconds, Bar: 5},
			{Name: transitions, Unit: "takeovers"},
			{Name: failedNew, Unit: "connections"},
		},
		Beside: "keepalived sends five announcements at once and five after 5 s, and looks for no other owner",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := c.loaded(t, size, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"})
			return suffers(t, s.isNotHeard, s.isRobbed)
		},
	}
}

// isNotHeard loses the first five announcements: the sixth comes 1 s after the takeover.
func (p *pair) isNotHeard(ctx context.Context, m *faults.Measured) error {
	const five = 850 * time.Millisecond
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		return inOrder(
			func() error { return p.lab.Lose(&r.backup.Node, lab.Announcements, 100) },
			func() error { return p.lab.Unplug(&r.master.Node) },
			func() error { return r.master.Signal(syscall.SIGSTOP) },
			func() error { _, err := p.becomes(ctx, r.backup, "master"); return err },
			wait(five),
			func() error { return p.lab.Hear(&r.backup.Node) },
			wait(500*time.Millisecond),
		)
	})
	if err != nil {
		return err
	}
	note(m, unheardGap, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	return p.returns(ctx, r.master)
}

// isRobbed gives a stray host each address in turn, and takes it away again.
func (p *pair) isRobbed(ctx context.Context, m *faults.Measured) error {
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	if _, err := p.agreed(ctx); err != nil {
		return err
	}
	moved, err := p.counted(ctx, func() error {
		for i, f := range lab.Families() {
			took, err := p.stray(ctx, e, p.lab.VIP.In(f), i > 0)
			if err != nil {
				return err
			}
			note(m, reportedIn, took.Seconds(), "")
		}
		return nil
	})
	note(m, transitions, float64(moved), "")
	return err
}

func (p *pair) stray(ctx context.Context, e *ear, address netip.Addr, aloud bool) (time.Duration, error) {
	on := []string{address.String() + map[bool]string{true: "/32", false: "/128"}[address.Is4()], "dev", lab.FirstLink}
	if address.Is6() {
		on = append(on, "nodad")
	}
	began := time.Now()
	if _, err := p.lab.Stranger.Output(ctx, "ip", append([]string{"address", "add"}, on...)...); err != nil {
		return 0, err
	}
	if aloud {
		if err := e.say(packet.UnsolicitedNA(e.mac, address)); err != nil {
			return 0, err
		}
	}
	if err := p.untilReported(ctx, address, true); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if _, err := p.lab.Stranger.Output(ctx, "ip", "address", "del", on[0], "dev", lab.FirstLink); err != nil {
		return 0, err
	}
	return took, p.untilReported(ctx, address, false) // neighbours that have believed him are told then whose it is
}

// untilReported waits until a director reports that somebody else has an address, or none does any more.
func (p *pair) untilReported(ctx context.Context, address netip.Addr, reported bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, fmt.Errorf("another owner of %s is reported: not %t", address, reported))
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		for _, d := range p.lab.Directors {
			status, err := p.daemons[d].Status(ctx)
			if err != nil {
				return false, err
			}
			for _, problem := range status.Problems {
				if problem.What == "address "+address.String() && strings.Contains(problem.Why, "another host") {
					return reported, nil
				}
			}
		}
		return !reported, nil
	})
}
