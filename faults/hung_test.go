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

// Parts of fault 5.
const (
	takenOver  = "taken_over"  // until the other director is master
	twoAnswers = "two_answers" // virtual addresses that two MACs answered for then
)

// hung: the master's daemon stands still. Its kernel has the addresses on, and its program forwards; once the lease
// is over nobody is told there where they are. Later it goes on where it was.
func hung(weir string) faults.Fault {
	return faults.Fault{
		Number: 5,
		Paired: true,
		Parts: []faults.Part{
			{Name: takenOver, Unit: faults.Seconds, Bar: 0.35},
			{Name: twoAnswers, Unit: "addresses"},
			{Name: gap, Unit: faults.Seconds, Bar: 0.05},
			{Name: oneOwner, Unit: faults.Seconds, Bar: 1},
			{Name: failedNew, Unit: "connections"},
		},
		Beside: "with keepalived 2.2.7 both directors have the address, and say so, for as long as it lasts",
		Prepare: func(t *testing.T, _ faults.Size) faults.Run {
			p := newPair(t, weir, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"})
			return suffers(t, p.hangs)
		},
	}
}

func (p *pair) hangs(ctx context.Context, m *faults.Measured) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
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
		if err := r.master.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		began := time.Now()
		_, err = p.agreed(ctx)
		note(m, oneOwner, time.Since(began).Seconds(), "")
		return err
	})
	note(m, gap, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
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
