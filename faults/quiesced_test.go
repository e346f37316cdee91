// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
)

// share is how many new connections a server gets that has its weight again, of those that it is to get.
const share = "share"

// quiesced: a server gets weight 0 while connections live, and later its weight again.
func quiesced(weir string) faults.Fault {
	return faults.Fault{
		Number: 31,
		Long:   true,
		Parts: append(partsOfLoad(),
			faults.Part{Name: newThere, Unit: "connections"},
			faults.Part{Name: share, Unit: "%", Bar: 90, AtLeast: true}, // new ones come and go while servers are counted
		),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plan := usualLoad(size)
			plan.Fresh = 200
			all, newOnes := byBoth(t, weir, plan), size.Of(100, 1000)
			return func() (faults.Measured, error) {
				q := quiet{newOnes: newOnes, figures: map[string]float64{share: 100}}
				err := inTurn(t.Context(), all, q.see)
				return faults.Measured{Figures: q.figures, Disturbed: strings.Join(q.disturbed, ", ")}, err
			}
		},
	}
}

// quiet is what was seen of servers without weight.
type quiet struct {
	newOnes   int // for which each weight is there
	figures   map[string]float64
	disturbed []string
}

// usual is a server's weight; the others have 1.
const usual = 2

func (q *quiet) see(ctx context.Context, c *changer) error {
	if err := c.weigh(ctx, usual); err != nil {
		return err
	}
	for _, stage := range []func(context.Context, *changer) error{q.rest, q.work} {
		outcome, disturbed, err := c.outcome(ctx, func(ctx context.Context) error { return stage(ctx, c) })
		if err != nil {
			return err
		}
		q.figures[lost] += float64(outcome.Lost)
		q.figures[failedNew] += float64(outcome.FailedFresh)
		q.disturbed = append(q.disturbed, disturbed...)
	}
	return nil
}

// rest is without weight. The load's end asks every connection, behind it.
func (q *quiet) rest(ctx context.Context, c *changer) error {
	there, _, err := q.weighing(ctx, c, 0)
	q.figures[newThere] += float64(there)
	return err
}

func (q *quiet) work(ctx context.Context, c *changer) error {
	there, all, err := q.weighing(ctx, c, usual)
	due := all * usual / (usual + len(c.lab.Servers) - 1)
	q.figures[share] = min(q.figures[share], percent(there, due))
	return err
}

// weighing gives the server a weight, and returns how many new connections come to it, and to all.
func (q *quiet) weighing(ctx context.Context, c *changer, weight int) (there, all int, err error) {
	if err := c.weigh(ctx, weight); err != nil {
		return 0, 0, err
	}
	before, err := c.load.Arrived()
	if err != nil {
		return 0, 0, err
	}
	if err := c.waitForNew(ctx, q.newOnes); err != nil {
		return 0, 0, err
	}
	after, err := c.load.Arrived()
	if err != nil {
		return 0, 0, err
	}
	for i := range after {
		all += after[i] - before[i]
	}
	return after[c.server] - before[c.server], all, nil
}

// weigh gives the server a weight, by a scheduler that looks at it.
func (c *changer) weigh(ctx context.Context, weight int) error {
	text := c.but(func(line string) string { return weighted(line, weight) })
	return c.become(ctx, strings.ReplaceAll(text, "scheduler: rr\n", "scheduler: wrr\n"))
}

// waitForNew waits for so many new connections.
func (c *changer) waitForNew(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	until := c.load.Fresh() + n
	return eachMoment(ctx, func() (bool, error) { return c.load.Fresh() >= until, nil })
}
