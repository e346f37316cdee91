// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// slower is how many times longer the slowest of a hundred requests take during the flood.
const slower = "slower"

// oneFlooded: of several services one is flooded. The others must not feel it.
func oneFlooded(weir string) faults.Fault {
	return faults.Fault{
		Number: 46,
		Long:   true,
		Parts:  append(partsOfLoad(), faults.Part{Name: slower, Unit: faults.Times, Bar: 2}),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plan := usualLoad(size)
			plan.Fresh = 200
			g := newGroundWith(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir}, plan, floodable(65_536))
			n := neighbour{synFlooder{flooder: newFlooder(t, g), clients: size.Of(20_000, 300_000)}, size.Of(1, 2)}
			return func() (faults.Measured, error) { return n.run(t.Context()) }
		},
	}
}

// neighbour asks a service while another one is flooded, and while none is, so many times in turn.
type neighbour struct {
	synFlooder
	rounds int
}

func (n neighbour) run(ctx context.Context) (faults.Measured, error) {
	m := faults.Measured{Figures: map[string]float64{lost: 0, failedNew: 0}}
	var calm, flooded []time.Duration
	for range n.rounds {
		frames := n.frames(n.somebodies(n.clients), n.syn)
		began := time.Now()
		took, err := n.ask(ctx, &m, func(ctx context.Context) error { return n.pour(ctx, frames) })
		if err != nil {
			return m, err
		}
		flooded = append(flooded, took...)
		if took, err = n.ask(ctx, &m, nothing(time.Since(began))); err != nil {
			return m, err
		}
		calm = append(calm, took...)
	}
	m.Figures[slower] = slowest(flooded).Seconds() / slowest(calm).Seconds()
	return m, nil
}

// ask adds what was lost, and returns how long answers took.
func (n neighbour) ask(ctx context.Context, m *faults.Measured, happen func(context.Context) error) ([]time.Duration, error) {
	outcome, disturbed, err := n.ground.outcome(ctx, happen)
	m.Figures[lost] += float64(outcome.Lost)
	m.Figures[failedNew] += float64(outcome.FailedFresh)
	m.Disturbed += disturbed
	return outcome.Took, err
}

// slowest is what 99 of 100 did not exceed.
func slowest(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}

// nothing happens for a while.
func nothing(pause time.Duration) func(context.Context) error {
	return func(context.Context) error { return wait(pause)() }
}
