// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 10.
const (
	whenStarved = "transitions_starved" // how often a director became master meanwhile
	lateAtWorst = "late"                // by how much a timer was that has no priority: so busy the machine was
)

// starved: the host has far more to do than it has CPUs, and both directors are on it.
func starved(weir string) faults.Fault {
	return faults.Fault{
		Number: 10,
		Long:   true,
		Parts: []faults.Part{
			{Name: whenStarved, Unit: "takeovers"},
			{Name: lateAtWorst, Unit: faults.Seconds, Bar: 0.01, AtLeast: true},
		},
		Beside: "keepalived's issue 2066: a timer 6.68 s late, and two masters; a real-time priority cured it",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			requireStress(t)
			p := newPair(t, weir, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true"})
			seconds, dir := size.Of(2, 60), t.TempDir()
			return suffers(t, func(ctx context.Context, m *faults.Measured) error { return p.starves(ctx, m, seconds, dir) })
		},
	}
}

// requireStress skips where nothing can keep the machine so busy; in CI that is a failure.
func requireStress(t *testing.T) {
	t.Helper()
	const missing = "stress-ng is not installed: apt-get install stress-ng"
	_, err := exec.LookPath("stress-ng")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	if err != nil {
		t.Skip(missing)
	}
}

// starves lets many processes compute and write, for so long.
func (p *pair) starves(ctx context.Context, m *faults.Measured, seconds int, dir string) error {
	if _, err := p.agreed(ctx); err != nil {
		return err
	}
	moved, err := p.counted(ctx, func() error {
		late := watchTimers()
		text, err := exec.CommandContext(ctx, "stress-ng", "--cpu", "8", "--iomix", "4",
			"--temp-path", dir, "--timeout", fmt.Sprintf("%ds", seconds)).CombinedOutput()
		note(m, lateAtWorst, late().Seconds(), "")
		if err != nil {
			return fmt.Errorf("stress-ng: %w\n%s", err, text)
		}
		return nil
	})
	note(m, whenStarved, float64(moved), "")
	return err
}

// watchTimers sleeps again and again for a moment; what it returns ends that, and says by how much one was too long at
// the worst.
func watchTimers() (late func() time.Duration) {
	const moment = 5 * time.Millisecond
	ended, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for {
			began := time.Now()
			select {
			case <-ended:
				worst <- most
				return
			case <-time.After(moment):
				most = max(most, time.Since(began)-moment)
			}
		}
	}()
	return func() time.Duration {
		close(ended)
		return <-worst
	}
}
