// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 45, of a flood of SYNs and of one in which an ACK follows each.
const (
	served   = "served" // new connections that began and were answered meanwhile, none a second late
	growth   = "growth" // of the most memory that maps and daemon ever took
	afterACK = "_acks"  // the second flood's
)

// synFlood: SYNs of random clients, ten times as many as the connection table has room for, while
// everybody else is silent. Then the same, but each of them acknowledges what it never got, so that to
// a director which sees the client's side only their connections look established.
func synFlood(weir string) faults.Fault {
	var parts []faults.Part
	for _, suffix := range []string{"", afterACK} {
		parts = append(parts,
			faults.Part{Name: lost + suffix, Unit: "connections"},
			faults.Part{Name: served + suffix, Unit: "%", Bar: 99, AtLeast: true})
	}
	return faults.Fault{
		Number: 45,
		Long:   true,
		Parts:  append(parts, faults.Part{Name: growth, Unit: "KiB"}),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			room := size.Of(16_384, 65_536)
			plan := lab.LoadPlan{Stay: size.Of(200, 10_000), Every: time.Hour, Fresh: 250}
			g := newGroundWith(t, lab.Config{Shape: lab.TwoArm, Weir: weir}, plan, floodable(room))
			f := synFlooder{newFlooder(t, g), size, size.Of(2, 10) * room / 2, t.Logf}
			if err := f.accustom(t.Context()); err != nil {
				t.Fatal(err)
			}
			return func() (faults.Measured, error) { return f.run(t.Context()) }
		},
	}
}

// synFlooder pretends to be so many clients.
type synFlooder struct {
	*flooder
	size    faults.Size
	clients int
	log     func(string, ...any)
}

func (f synFlooder) run(ctx context.Context) (faults.Measured, error) {
	m := faults.Measured{Figures: map[string]float64{}}
	before, err := f.ground.afresh(ctx, f.size)
	if err != nil {
		return m, err
	}
	for suffix, wave := range map[string]wave{"": f.syn, afterACK: f.synAndACK} {
		outcome, disturbed, err := f.ground.outcome(ctx, func(ctx context.Context) error { return f.flood(ctx, f.clients, wave) })
		if err == nil && outcome.Fresh < f.size.Of(1, 1000) {
			err = fmt.Errorf("%d new connections are too few", outcome.Fresh)
		}
		if err != nil {
			return m, err
		}
		m.Figures[lost+suffix], m.Figures[served+suffix] = float64(outcome.Lost), servedWell(outcome, f.size)
		m.Disturbed += disturbed
		f.tell(outcome)
	}
	after, err := f.ground.memory(f.size)
	m.Figures[growth] = float64(after-before) / 1024
	return m, errors.Join(err)
}

// accustom has the daemon do what it does in each run, and the load what it does, without a flood: what a daemon that has
// just begun takes of memory for the first time, it takes for these. Small, its memory is not judged.
func (f synFlooder) accustom(ctx context.Context) error {
	if f.size == faults.Small {
		return nil
	}
	if _, err := f.ground.afresh(ctx, f.size); err != nil {
		return err
	}
	const threeTimesBothFloods = 90 * time.Second
	if _, _, err := f.ground.outcome(ctx, nothing(threeTimesBothFloods)); err != nil {
		return err
	}
	_, err := f.ground.afresh(ctx, f.size)
	return err
}

// afresh lets go of the connections of earlier runs that have ended: each takes two entries for two minutes, and
// what some runs leave would fill a table which is small for the sake of the flood. It returns the memory then.
func (g *ground) afresh(ctx context.Context, size faults.Size) (int, error) {
	for _, f := range lab.Families() {
		if _, err := g.daemon.KillConnections(ctx, client.ConnectionsQuery{Service: "fresh-" + string(f)}); err != nil {
			return 0, err
		}
	}
	return g.memory(size)
}

// tell says why new connections failed, if some did.
func (f synFlooder) tell(o lab.Outcome) {
	if o.FailedFresh > 0 {
		f.log("%d of %d new connections failed, the first: %v", o.FailedFresh, o.Fresh, o.First)
	}
}

// servedWell is how many of a hundred new connections were answered. One that took a second had to
// repeat its SYN. Small, times are not judged.
func servedWell(o lab.Outcome, size faults.Size) float64 {
	const late = time.Second
	good := 0
	for _, took := range o.Took {
		if took < late || size == faults.Small {
			good++
		}
	}
	return 100 * float64(good) / float64(o.Fresh)
}

func (f *flooder) target() netip.AddrPort {
	return netip.AddrPortFrom(f.ground.lab.VIP.IPv4, floodPort)
}

func (f synFlooder) syn(from netip.AddrPort) []packet.Layers {
	return []packet.Layers{segment(from, f.target(), packet.SYN, f.random.Uint32(), 0)}
}

func (f synFlooder) synAndACK(from netip.AddrPort) []packet.Layers {
	first := f.random.Uint32()
	return []packet.Layers{
		segment(from, f.target(), packet.SYN, first, 0),
		segment(from, f.target(), packet.ACK, first+1, f.random.Uint32()),
	}
}
