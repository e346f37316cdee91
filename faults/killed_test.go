// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

const back = "back"

// killed: the daemon is killed with -9 under load, and started again at once, as a supervisor does.
func killed(weir string) faults.Fault {
	return faults.Fault{
		Number: 1,
		Parts:  append(partsOfLoad(), faults.Part{Name: back, Unit: faults.Seconds, Bar: 1}),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			g := newGround(t, lab.Config{Shape: lab.TwoArm, Weir: weir}, usualLoad(size))
			return func() (faults.Measured, error) { return g.under(t.Context(), g.killAndStart) }
		},
	}
}

// killAndStart measures from the signal until what is served is applied. The load goes on for a
// while before and after it.
func (g *ground) killAndStart(ctx context.Context) (map[string]float64, error) {
	const around = 500 * time.Millisecond
	time.Sleep(around)
	begin := time.Now()
	if err := g.director.Kill(); err != nil {
		return nil, err
	}
	if _, err := g.startAgain(ctx); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	time.Sleep(around)
	return map[string]float64{back: took.Seconds()}, nil
}
