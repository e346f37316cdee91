// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 5.
const (
	takenOver  = "taken_over"  // until the other director is master
	twoAnswers = "two_answers" // virtual addresses that two MACs answered for then
	restarted  = "restarted"   // from when it stands still until systemd has it run again, as backup
)

// hung: the master's daemon stands still. Its kernel has the addresses on, and its program forwards; once the lease
// is over nobody is told there where they are. Later it goes on where it was.
func hung(c *common) faults.Fault {
	return faults.Fault{
		Number: 5,
		Long:   true,
		Parts: []faults.Part{
			{Name: takenOver, Unit: faults.Seconds, Bar: 0.35},
			{Name: twoAnswers, Unit: "addresses"},
			{Name: gap, Unit: faults.Seconds, Bar: 0.05},
			{Name: oneOwner, Unit: faults.Seconds, Bar: 1},
			{Name: reportedIn, Unit: faults.Seconds, Bar: 0.3},
			{Name: restarted, Unit: faults.Seconds, Bar: 6},
			{Name: failedNew, Unit: "connections"},
			partOfCrowd(),
		},
		Beside: "with keepalived 2.2.7 both directors have the address, and say so, for as long as it lasts",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := c.loaded(t, size, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"})
			return suffers(t, s.endures(s.hangs), s.endures(s.isWatched))
		},
	}
}

func (p *pair) hangs(ctx context.Context, m *faults.Measured) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	// Which of the two gives way is a matter of priority. The one that is to stand still is asked before: then it does not answer.
	turned := roles{master: r.backup, backup: r.master}
	before, err := p.tells(ctx, turned)
	if err != nil {
		return err
	}
	told := map[roles]int{turned: before}
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		if err := r.master.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		took, err := p.becomes(ctx, r.backup, "master")
		if err != nil {
			return err
		}
		note(m, takenOver, took.Seconds(), "")
		if err := p.askAround(m); err != nil {
			return err
		}
		if told[r], err = p.tells(ctx, r); err != nil {
			return err
		}
		if err := r.master.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		began := time.Now()
		left, err := p.agreed(ctx)
		if err != nil {
			return err
		}
		note(m, oneOwner, time.Since(began).Seconds(), "")
		ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("two were masters, and the one that gave way does not tell of it"))
		defer cancel()
		err = every(ctx, 2*time.Millisecond, func() (bool, error) {
			now, err := p.tells(ctx, left)
			return now > told[left], err
		})
		note(m, reportedIn, time.Since(began).Seconds(), "")
		return err
	})
	note(m, gap, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	return err
}

// tells is how often the backup has told of a change, or of a conflict, for which the master is the reason.
func (p *pair) tells(ctx context.Context, r roles) (int, error) {
	return p.reasons(ctx, r.backup, r.master.Address.IPv4)
}

// isWatched is that nobody lets it go on: systemd, whose part the lab plays, ends it and starts it again.
func (s *sharing) isWatched(ctx context.Context, m *faults.Measured) error {
	r, err := s.agreed(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the watchdog does not have the daemon run again"))
	defer cancel()
	began := time.Now()
	err = inOrder(
		func() error { return r.master.Signal(syscall.SIGSTOP) },
		func() error { return s.watchdogs[r.master].Await(ctx) },
		func() error { _, err := s.becomes(ctx, r.master, "backup"); return err },
	)
	note(m, restarted, time.Since(began).Seconds(), "")
	return err
}

// askAround counts the virtual addresses for which two answer.
func (p *pair) askAround(m *faults.Measured) error {
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	for _, f := range lab.Families() {
		owners, err := e.owners(p.lab.VIP.In(f), 10)
		if err != nil {
			return err
		}
		if len(owners) != 1 {
			m.Figures[twoAnswers]++
		}
	}
	note(m, twoAnswers, 0, "")
	return nil
}
