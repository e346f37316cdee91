// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// ground is a network under load, with a director that serves.
type ground struct {
	lab      *lab.Lab
	load     *lab.Load
	director *lab.Director
	daemon   *client.Client
	plan     lab.LoadPlan
	more     more
}

// usualLoad is what the catalogue calls load.
func usualLoad(size faults.Size) lab.LoadPlan {
	return lab.LoadPlan{Stay: size.Of(200, 10_000), Every: 5 * time.Second, Fresh: size.Of(50, 200)}
}

// newGround builds a network in which everything is ready. It goes with the test.
func newGround(t *testing.T, config lab.Config, plan lab.LoadPlan) *ground {
	t.Helper()
	return newGroundWith(t, config, plan, func(*lab.Lab) string { return "" })
}

// more is what the director's configuration has behind the services of the load.
type more func(*lab.Lab) string

// newLab is gone with its test.
func newLab(ctx context.Context, t testing.TB, config lab.Config) *lab.Lab {
	t.Helper()
	if faults.SizeOf(os.Getenv) == faults.Small {
		config.Table = lab.SmallTable
	}
	l, err := lab.New(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// newGroundWith has more in the director's configuration.
func newGroundWith(t *testing.T, config lab.Config, plan lab.LoadPlan, more more) *ground {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := newLab(ctx, t, config)
	g := &ground{lab: l, director: l.Directors[0], plan: plan, more: more}
	g.daemon = client.New(filepath.Join(g.director.Run, "weir.sock"))
	t.Cleanup(func() { g.tell(t) })
	if err := g.open(ctx, plan); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.load.Close)
	return g
}

func (g *ground) open(ctx context.Context, plan lab.LoadPlan) (err error) {
	if g.load, err = g.lab.NewLoad(ctx, plan); err != nil {
		return err
	}
	if g.lab.Forwarding != lab.NAT {
		for _, s := range g.lab.Servers {
			if err := s.HoldVIP(ctx); err != nil {
				return err
			}
		}
	}
	if err := g.director.Start(g.lab.LoadServices() + g.more(g.lab)); err != nil {
		return err
	}
	return g.director.WaitReady(ctx)
}

// tell shows what the daemon printed, if the test failed.
func (g *ground) tell(t *testing.T) {
	const enough = 16 << 10
	if text, err := os.ReadFile(g.director.Log); t.Failed() && err == nil {
		t.Logf("the daemon printed:\n%s", text[max(0, len(text)-enough):])
	}
}

// happening is what goes wrong while there is a load; it measures some of the figures itself.
type happening func(ctx context.Context) (map[string]float64, error)

// under lets something happen under load, and adds to its figures what was lost.
func (g *ground) under(ctx context.Context, happen happening) (faults.Measured, error) {
	figures := map[string]float64{}
	outcome, disturbed, err := g.outcome(ctx, func(ctx context.Context) (err error) {
		figures, err = happen(ctx)
		return err
	})
	if err != nil {
		return faults.Measured{}, err
	}
	figures[lost], figures[failedNew] = float64(outcome.Lost), float64(outcome.FailedFresh)
	return faults.Measured{Figures: figures, Disturbed: disturbed}, nil
}

// outcome is what came of the load while something happened, and which networks dropped packets meanwhile.
func (g *ground) outcome(ctx context.Context, happen func(context.Context) error) (lab.Outcome, string, error) {
	before, err := g.lab.Drops()
	if err != nil {
		return lab.Outcome{}, "", err
	}
	if err := g.load.Begin(ctx); err != nil {
		return lab.Outcome{}, "", err
	}
	err = happen(ctx)
	outcome, ended := g.load.End(ctx)
	after, unread := g.lab.Drops()
	if err := errors.Join(err, ended, unread); err != nil {
		return outcome, "", errors.Join(err, outcome.First)
	}
	if outcome.Fresh == 0 && g.plan.Fresh > 0 {
		return outcome, "", errors.New("there was no load: not one new connection")
	}
	return outcome, after.Since(before), nil
}

// Parts of every fault under load.
const (
	lost      = "lost"
	failedNew = "failed_new"
)

func partsOfLoad() []faults.Part {
	return []faults.Part{{Name: lost, Unit: "connections"}, {Name: failedNew, Unit: "connections"}}
}

// startAgain starts the daemon and waits until what it serves is in the maps.
func (g *ground) startAgain(ctx context.Context) (api.Status, error) {
	if err := g.director.Restart(); err != nil {
		return api.Status{}, err
	}
	return g.applied(ctx)
}

// applied waits for the daemon that was started last. How long it may take is generous: what is too
// long is a matter of bars.
func (g *ground) applied(ctx context.Context) (api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticks := time.NewTicker(2 * time.Millisecond)
	defer ticks.Stop()
	for {
		status, err := g.daemon.Status(ctx)
		if err == nil && status.Revision != 0 && status.Applied == status.Revision {
			return status, nil
		}
		select {
		case <-ctx.Done():
			return status, fmt.Errorf("%s: the daemon does not serve: %w", g.director.Name, errors.Join(context.Cause(ctx), err))
		case <-ticks.C:
		}
	}
}
