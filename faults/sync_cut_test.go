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

// Parts of fault 20.
const (
	equalAfterCut  = "equal_after_cut"  // from the end of the cut until both tables are equal, and both say so
	equalAfterLoss = "equal_after_loss" // the same of loss
	lostAtLoss     = "lost_at_loss"     // connections that did not outlive a takeover while datagrams were lost
	copied         = "copied"           // from the start of a daemon that knows nothing until it has all, and says so
	early          = "early"            // virtual routers that it took over before
	lacking        = "missing"          // connections that it had not when it took over
)

// syncCut: the directors cannot tell each other of connections for a minute, or part of it is lost; and one comes that
// knows none, and is the better one by its priority.
func syncCut(weir string) faults.Fault {
	return faults.Fault{
		Number: 20,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: equalAfterCut, Unit: faults.Seconds, Bar: 2},
			{Name: equalAfterLoss, Unit: faults.Seconds, Bar: 2},
			{Name: lostAtLoss, Unit: "connections"},
			{Name: copied, Unit: faults.Seconds, Bar: 5},
			{Name: early, Unit: "virtual routers"},
			{Name: lacking, Unit: "connections"},
		},
		Beside: "what IPVS's connection sync has lost is lost for good, and who comes later is told of nothing that was there before",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := newSharing(t, lab.Config{Forwarding: lab.NAT, Servers: 3, Confined: true, Weir: weir},
				lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"}, size.Of(100, 10_000))
			c := parting{s, size.Of(50, 1000), time.Duration(size.Of(3, 60)) * time.Second, time.Duration(size.Of(1, 10)) * time.Second}
			return suffers(t, c.isCut, c.isLossy, c.fallsAtLoss, newJoined(t, weir, size).joins)
		},
	}
}

// parting is directors that cannot hear each other for a while.
type parting struct {
	*sharing
	some        int // connections that end meanwhile, and as many that begin
	cuts, loses time.Duration
}

// changes lets connections end and others begin while something is wrong, which lasts for a while, and says how long
// it takes from its end until both directors have the same and say so.
func (c parting) changes(ctx context.Context, percent int, lasts time.Duration, standing string) (time.Duration, error) {
	r, err := c.inSync(ctx)
	if err != nil {
		return 0, err
	}
	if err := c.load.Begin(ctx); err != nil {
		return 0, err
	}
	defer c.load.Close()
	gather := func() (*lab.Crowd, error) {
		return c.lab.Client.Gather(ctx, netip.AddrPortFrom(c.lab.VIP.IPv4, lab.StayPort), c.some, silence)
	}
	leave, err := gather()
	if err != nil {
		return 0, err
	}
	defer leave.Close()
	if _, err := c.equal(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := c.loseSync(percent); err != nil {
		return 0, err
	}
	leave.Close()
	come, err := gather()
	if err != nil {
		return 0, err
	}
	defer come.Close()
	if err := sleep(ctx, lasts-time.Since(began)); err != nil {
		return 0, err
	}
	if standing != "" {
		if err := c.stands(ctx, r.backup, standing); err != nil {
			return 0, err
		}
		if n, err := c.differing(ctx); err != nil || n < 2*c.some {
			return 0, errors.Join(err, fmt.Errorf("%d connections differ, %d have ended and begun", n, 2*c.some))
		}
	}
	if err := c.hear(); err != nil {
		return 0, err
	}
	return c.equal(ctx)
}

// equal waits until both directors have the same, and say that each has all that the other one serves.
func (c parting) equal(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the directors do not come to have the same"))
	defer cancel()
	err := every(ctx, 20*time.Millisecond, func() (bool, error) {
		for _, d := range c.lab.Directors {
			if peer, err := c.peer(ctx, d); err != nil || peer.State != "in sync" {
				return false, err
			}
		}
		n, err := c.differing(ctx)
		return n == 0, err
	})
	return time.Since(began), err
}

func (c parting) isCut(ctx context.Context, m *faults.Measured) error {
	took, err := c.changes(ctx, 100, c.cuts, "silent")
	note(m, equalAfterCut, took.Seconds(), "")
	return err
}

func (c parting) isLossy(ctx context.Context, m *faults.Measured) error {
	took, err := c.changes(ctx, 20, c.loses, "")
	note(m, equalAfterLoss, took.Seconds(), "")
	return err
}

// fallsAtLoss has clients come, and the master fall, while three of ten datagrams are lost: what is missing takes longer
// to be asked for.
func (c parting) fallsAtLoss(ctx context.Context, m *faults.Measured) error {
	r, err := c.inSync(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return c.loseSync(30) },
		func() error { return c.load.Begin(ctx) },
		func() error { return sleep(ctx, time.Second) },
	)
	if err != nil {
		return err
	}
	return c.sharing.loses(ctx, r, m, lostAtLoss)
}

// joined is a pair of which the better one comes again and again, and knows nothing then.
type joined struct {
	*sharing
	weir  string
	flows int
}

func newJoined(t *testing.T, weir string, size faults.Size) joined {
	s := newSharing(t, lab.Config{Forwarding: lab.DR, Servers: 2, Weir: weir}, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true"}, 0)
	return joined{s, weir, size.Of(5000, 100_000)}
}

// joins has the better one leave and forget everything, fills the other one's table, and has it come again.
func (j joined) joins(ctx context.Context, m *faults.Measured) error {
	better, other := j.lab.Directors[0], j.lab.Directors[1]
	err := inOrder(
		func() error { _, err := j.becomes(ctx, better, "master"); return err },
		better.Stop,
		func() error { _, err := better.Output(ctx, j.weir, "cleanup", "--bpffs", better.BPFFS); return err },
		func() error { _, err := j.becomes(ctx, other, "master"); return err },
		func() error { return j.fill(ctx, other) },
		better.Restart,
	)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := j.stands(ctx, better, "in sync"); err != nil {
		return err
	}
	if n, err := j.connections(ctx, better); err != nil || n < j.flows {
		return errors.Join(err, fmt.Errorf("%s is in sync, and has %d of %d connections", better.Name, n, j.flows))
	}
	note(m, copied, time.Since(began).Seconds(), "")
	if _, err := j.becomes(ctx, better, "master"); err != nil {
		return err
	}
	n, err := j.connections(ctx, better)
	if err != nil {
		return err
	}
	note(m, lacking, float64(max(0, j.flows-n)), "")
	before, err := j.before(ctx, better)
	note(m, early, float64(before), "")
	if err == nil {
		_, err = j.daemons[better].KillAllConnections(ctx)
	}
	return err
}

// fill makes connections that have proved themselves, of clients that are not there.
func (j joined) fill(ctx context.Context, d *lab.Director) error {
	frames, err := j.openings(d)
	if err != nil {
		return err
	}
	feed, err := d.Feed()
	if err != nil {
		return err
	}
	if err := errors.Join(feed.Pass(frames), feed.Close()); err != nil {
		return err
	}
	n, err := j.connections(ctx, d)
	if err == nil && n != j.flows {
		err = fmt.Errorf("%s has %d connections of %d", d.Name, n, j.flows)
	}
	return err
}

func (j joined) openings(d *lab.Director) (frames [][]byte, err error) {
	mac, err := macOf(&d.Node, lab.FirstLink)
	if err != nil {
		return nil, err
	}
	to := netip.AddrPortFrom(j.lab.VIP.IPv4, lab.StayPort)
	for i := range j.flows {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000)
		for turn, flags := range []packet.TCPFlags{packet.SYN, packet.ACK, packet.ACK, packet.ACK} {
			layers := segment(from, to, flags, uint32(1+min(turn, 1)), uint32(min(turn, 1)))
			frames = append(frames, packet.Build(append(packet.Layers{packet.Ethernet{Source: packet.MAC{2, 0, 0, 0, 0, 9}, Destination: mac}}, layers...)...))
		}
	}
	return frames, nil
}

// connections is how many a director has that are established.
func (j joined) connections(ctx context.Context, d *lab.Director) (int, error) {
	totals, err := j.daemons[d].CountConnections(ctx, client.ConnectionsQuery{State: established})
	return int(totals.Connections), err
}

// before is how many virtual routers a director has taken over before it was in sync, in this life of its daemon.
func (j joined) before(ctx context.Context, d *lab.Director) (n int, err error) {
	events, err := j.daemons[d].Events(ctx)
	var ready time.Time
	for _, e := range events {
		if e.Kind == "sync_ready" && (ready.IsZero() || e.Time.Before(ready)) {
			ready = e.Time
		}
	}
	for _, e := range events {
		if e.Kind == "vrrp_master" && (ready.IsZero() || e.Time.Before(ready)) {
			n++
		}
	}
	return n, err
}
