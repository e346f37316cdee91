// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

const starts = "starts"

// startedAtOnce: the daemon is killed with -9 and started without a pause, again and again, when it
// serves and in every moment of its start.
func startedAtOnce(weir string) faults.Fault {
	return faults.Fault{
		Number: 2,
		Long:   true,
		Parts:  append(partsOfLoad(), faults.Part{Name: starts, Unit: "%", Bar: 100, AtLeast: true}),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			g := newGround(t, lab.Config{Shape: lab.TwoArm, Weir: weir}, usualLoad(size))
			rounds := size.Of(5, 100)
			return func() (faults.Measured, error) {
				return g.under(t.Context(), func(ctx context.Context) (map[string]float64, error) {
					served, err := g.killTwice(ctx, rounds, t.Logf)
					return map[string]float64{starts: 100 * float64(served) / float64(rounds)}, err
				})
			}
		},
	}
}

// killTwice kills a daemon that serves, and its successor after a pause from 0 to 300 ms, and counts
// how often the third one serves.
func (g *ground) killTwice(ctx context.Context, rounds int, log func(string, ...any)) (served int, err error) {
	const longest = 300 * time.Millisecond
	for i := range rounds {
		pause := longest * time.Duration(i) / time.Duration(rounds)
		if err := inOrder(g.director.Kill, g.director.Restart, wait(pause), g.director.Kill, g.director.Restart); err != nil {
			return served, err
		}
		if err := g.director.WaitReady(ctx); err != nil {
			log("killed after %v, started: %v", pause, err)
			continue
		}
		served++
	}
	return served, nil
}

func wait(pause time.Duration) func() error {
	return func() error {
		time.Sleep(pause)
		return nil
	}
}

// inOrder takes steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
