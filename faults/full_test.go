// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 44.
const (
	unaccounted = "unaccounted" // new flows that neither began nor were counted as hashed_full or conn_full
	alarms      = "alarms"      // problems of status at 81 % of the table, before the first flow found no room
	servesAgain = "serves"      // from the end of the entries until a new connection has one
)

// tableFull: flows that have proved themselves fill a small table, and many more want to.
func tableFull(weir string) faults.Fault {
	return faults.Fault{
		Number: 44,
		Long:   true,
		Parts: []faults.Part{
			{Name: lost, Unit: "connections"}, {Name: unaccounted, Unit: "flows"},
			{Name: alarms, Unit: "problems", Bar: 1, AtLeast: true},
			{Name: servesAgain, Unit: faults.Seconds, Bar: 1},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plan := lab.LoadPlan{Stay: size.Of(200, 1000), Every: 5 * time.Second}
			g := newGroundWith(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir}, plan, floodable(smallTable))
			f := filler{newFlooder(t, g), plan.Stay, size.Of(10_000, 50_000), size}
			return func() (faults.Measured, error) { return f.run(t.Context()) }
		},
	}
}

const smallTable = 4096

// filler begins so many flows in a table with room for few.
type filler struct {
	*flooder
	stay, flows int
	size        faults.Size
}

func (f filler) run(ctx context.Context) (faults.Measured, error) {
	m := faults.Measured{Figures: map[string]float64{}}
	clients := f.somebodies(f.flows)
	var end error
	outcome, disturbed, err := f.ground.outcome(ctx, func(ctx context.Context) error {
		if err := f.fill(ctx, clients, m.Figures); err != nil {
			return err
		}
		m.Figures[servesAgain], end = f.empty(ctx, clients)
		return end
	})
	m.Figures[lost], m.Disturbed = float64(outcome.Lost), disturbed
	return m, err
}

// fill stops at 81 %, for the alarm, which is promised at 80.
func (f filler) fill(ctx context.Context, clients []netip.AddrPort, figures map[string]float64) error {
	before, err := f.admitted(ctx)
	if err != nil {
		return err
	}
	early := smallTable*81/100 - f.stay
	if err := f.floodFrom(ctx, clients[:early], f.settle); err != nil {
		return err
	}
	if figures[alarms], err = f.alarm(ctx); err != nil {
		return err
	}
	if now, err := f.admitted(ctx); err != nil || now.roomless() != before.roomless() {
		return errors.Join(err, fmt.Errorf("%d flows found no room at 81 %% of the table", now.roomless()-before.roomless()))
	}
	if err := f.floodFrom(ctx, clients[early:], f.settle); err != nil {
		return err
	}
	after, err := f.admitted(ctx)
	if err == nil && after.hashed == before.hashed {
		err = errors.New("the table was never full, or nobody was served without an entry")
	}
	figures[unaccounted] = math.Abs(float64(len(clients) - (after.sum() - before.sum())))
	return err
}

// settle is a client that sends what it takes to prove itself.
func (f filler) settle(from netip.AddrPort) []packet.Layers {
	out := []packet.Layers{segment(from, f.target(), packet.SYN, 1, 0)}
	for range 3 {
		out = append(out, segment(from, f.target(), packet.ACK, 2, 1))
	}
	return out
}

func (f filler) reset(from netip.AddrPort) []packet.Layers {
	return []packet.Layers{segment(from, f.target(), packet.RST, 2, 0)}
}

// admissions are new flows of the flood's service that began, and all that found no room: they were
// forwarded without an entry, or refused.
type admissions struct{ began, hashed, refused int }

func (a admissions) roomless() int { return a.hashed + a.refused }
func (a admissions) sum() int      { return a.began + a.roomless() }

func (f filler) admitted(ctx context.Context) (a admissions, err error) {
	counters, err := f.ground.daemon.Counters(ctx)
	if err != nil {
		return a, err
	}
	services, err := f.ground.daemon.Services(ctx)
	for _, s := range services {
		if strings.HasPrefix(s.Name, "flooded") {
			a.began += int(s.Connections)
		}
	}
	a.hashed, a.refused = int(counters["hashed_full"]), int(counters["conn_full"])
	return a, err
}

// alarm waits until status says how full the table is. It looks once in a round of the sweep.
func (f filler) alarm(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	n := 0
	err := eachMoment(ctx, func() (bool, error) {
		status, err := f.ground.daemon.Status(ctx)
		n = problemsOf(status, "connection table")
		return n > 0, err
	})
	if ctx.Err() != nil {
		return 0, nil // it was never raised
	}
	return float64(n), err
}

func problemsOf(status api.Status, what string) (n int) {
	for _, p := range status.Problems {
		if strings.HasPrefix(p.What, what) {
			n++
		}
	}
	return n
}

// empty resets the flows, waits until their entries have ended, and says how long it takes from then
// on until a new connection begins. Small, it does not wait: TestFullTableServesAgain does without a
// network and without time.
func (f filler) empty(ctx context.Context, clients []netip.AddrPort) (seconds float64, err error) {
	if f.size == faults.Small {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// A busy machine may lose an RST. A second one does not end a connection later than the last.
	flooded := client.ConnectionsQuery{Service: "flooded-ipv4"}
	for living := f.flows; living > 0; {
		if err := f.floodFrom(ctx, clients, f.reset); err != nil {
			return 0, err
		}
		if living, err = f.ground.connections(ctx, client.ConnectionsQuery{Service: flooded.Service, State: established}); err != nil {
			return 0, err
		}
	}
	err = eachMoment(ctx, func() (bool, error) {
		n, err := f.ground.connections(ctx, flooded)
		return n == 0, err
	})
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	err = eachMoment(ctx, func() (bool, error) { return f.beginsWithAnEntry(ctx) })
	return time.Since(begin).Seconds(), err
}

// beginsWithAnEntry: without one a new connection begins at any time.
func (f filler) beginsWithAnEntry(ctx context.Context) (bool, error) {
	before, err := f.admitted(ctx)
	if err != nil || !f.ground.opens(ctx) {
		return false, err
	}
	after, err := f.admitted(ctx)
	return after.roomless() == before.roomless(), err
}

// connections is how many the director has of a kind.
func (g *ground) connections(ctx context.Context, of client.ConnectionsQuery) (int, error) {
	totals, err := g.daemon.CountConnections(ctx, of)
	return int(totals.Connections), err
}

// opens says whether a new connection begins at once.
func (g *ground) opens(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c := g.lab.Client
	conn, err := c.Dial(ctx, "tcp", c.Address.IPv4, netip.AddrPortFrom(g.lab.VIP.IPv4, lab.FreshPort))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// eachMoment looks until it sees what it waits for.
func eachMoment(ctx context.Context, look func() (bool, error)) error {
	return every(ctx, 20*time.Millisecond, look)
}

func every(ctx context.Context, pause time.Duration, look func() (bool, error)) error {
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for {
		if seen, err := look(); seen || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticks.C:
		}
	}
}
