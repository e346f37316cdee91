// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/lab"
)

// event is what happens to a pair that is calm, and leaves it so, by itself or when it is mended. The one exception is
// cutOff, whose better director is off when it is over, and returned, which begins there.
type event struct {
	name   string
	what   string // for people
	may    int    // requests that may fail: those that began, in vain, so shortly before it that nobody else was told
	happen func(context.Context, *pair) error
	mend   func(context.Context, *pair) error // not seen by new connections; nil: nothing is to be done
}

// The events.
var (
	planned = event{
		name: "planned", what: "weir failover",
		happen: func(ctx context.Context, p *pair) error {
			_, err := p.daemons[p.better].StepDown(ctx)
			return errors.Join(err, p.becomes(ctx, p.other, master))
		},
		mend: func(ctx context.Context, p *pair) error { // it stays backup until then
			return errors.Join(p.better.Stop(), p.restart(ctx))
		},
	}
	killed = event{
		name: "killed", what: "kill -9 of the master's daemon", may: 2,
		happen: func(ctx context.Context, p *pair) error {
			return errors.Join(p.better.Kill(), p.becomes(ctx, p.other, master))
		},
		mend: func(ctx context.Context, p *pair) error { return p.restart(ctx) },
	}
	cutOff = event{
		name: "cut-off", what: "the master loses its power: cable out, nothing runs", may: 2,
		happen: func(ctx context.Context, p *pair) error {
			return errors.Join(p.lab.Unplug(&p.better.Node), p.better.Signal(syscall.SIGSTOP), p.becomes(ctx, p.other, master))
		},
	}
	// Both live: the better one serves when the other one has told all, and left.
	returned = event{
		name: "returned", what: "it is back, is told of all connections, and is master again",
		happen: func(ctx context.Context, p *pair) error {
			return errors.Join(p.better.Kill(), p.lab.Plug(&p.better.Node), p.restart(ctx))
		},
	}
	linkFlap = event{
		name: "link-flap", what: "the master's cable is out for 0.3 s, three times", may: 6,
		happen: func(ctx context.Context, p *pair) error {
			for range 3 {
				err := p.lab.Unplug(&p.better.Node)
				time.Sleep(300 * time.Millisecond)
				if err := errors.Join(err, p.lab.Plug(&p.better.Node)); err != nil {
					return err
				}
				time.Sleep(700 * time.Millisecond)
			}
			return p.calm(ctx)
		},
	}
	oneWay = event{
		name: "one-way", what: "the master's adverts are lost, both are masters for a second", may: 2,
		happen: func(ctx context.Context, p *pair) error {
			err := errors.Join(p.lab.Lose(&p.better.Node, lab.Adverts, 100), p.becomes(ctx, p.other, master))
			time.Sleep(time.Second)
			return errors.Join(err, p.lab.Hear(&p.better.Node), p.calm(ctx))
		},
	}
)

// pair is two directors with clients.
type pair struct {
	lab           *lab.Lab
	better, other *lab.Director // the one of the higher priority, who is master when all is well
	daemons       map[*lab.Director]*client.Client
	connections   int
	crowds        map[lab.Family]*lab.Crowd
}

func newPair(l *lab.Lab) *pair {
	p := &pair{lab: l, better: l.Directors[0], other: l.Directors[1], daemons: map[*lab.Director]*client.Client{}, crowds: map[lab.Family]*lab.Crowd{}}
	for _, d := range l.Directors {
		p.daemons[d] = client.New(filepath.Join(d.Run, "weir.sock"))
	}
	return p
}

// open starts everything, and returns when clients stay and both directors know of them.
func (p *pair) open(ctx context.Context, connections int) error {
	for _, s := range p.lab.Servers {
		if _, err := s.StartTCPEcho(ctx, lab.StayPort, lab.FreshPort); err != nil {
			return err
		}
		if p.lab.Forwarding == lab.NAT {
			continue
		}
		if err := s.HoldVIP(ctx); err != nil {
			return err
		}
	}
	for _, d := range p.lab.Directors {
		if err := d.Start(p.config(d)); err != nil {
			return err
		}
	}
	for _, d := range p.lab.Directors {
		if err := waitReady(ctx, d); err != nil {
			return err
		}
	}
	if err := within(ctx, func(ctx context.Context, p *pair) error { return p.calm(ctx) }, p); err != nil {
		return err
	}
	return p.gather(ctx, connections)
}

// config differs in priority and addresses alone.
func (p *pair) config(d *lab.Director) string {
	agree := lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true", Unicast: true}
	return p.lab.LoadServices() + p.lab.VirtualRouters(d, agree) + p.lab.ConnectionSync(d)
}

func (p *pair) gather(ctx context.Context, connections int) error {
	p.connections = connections
	for _, f := range lab.Families() {
		to := netip.AddrPortFrom(p.lab.VIP.In(f), lab.StayPort)
		crowd, err := p.lab.Client.Gather(ctx, to, connections, speakEvery)
		if err != nil {
			return err
		}
		p.crowds[f] = crowd
	}
	return nil
}

func (p *pair) close() error {
	for _, c := range p.crowds {
		c.Close()
	}
	return p.lab.Close()
}

// seen is what clients see of an event: those who stay, and others that come all the time.
func (p *pair) seen(ctx context.Context, e event) (rows []failoverRow, err error) {
	knockers := map[lab.Family]*lab.Knocker{}
	for _, f := range lab.Families() {
		knockers[f] = p.lab.Client.Knock(netip.AddrPortFrom(p.lab.VIP.In(f), lab.FreshPort))
	}
	time.Sleep(beforeEvent)
	err = within(ctx, e.happen, p)
	time.Sleep(afterEvent)
	came, failed := stop(knockers)
	err = errors.Join(err, failed)
	for _, f := range lab.Families() {
		row, failed := p.row(ctx, f, came[f])
		row.Event, row.what, row.may = e.name, e.what, e.may
		rows, err = append(rows, row), errors.Join(err, failed)
	}
	return rows, err
}

// stop lets nobody come any more, at once: some may still wait for an answer.
func stop(knockers map[lab.Family]*lab.Knocker) (map[lab.Family]lab.Knocked, error) {
	var mu sync.Mutex // guards came and err
	came, err := map[lab.Family]lab.Knocked{}, error(nil)
	var ending sync.WaitGroup
	for f, k := range knockers {
		ending.Go(func() {
			seen, failed := k.Stop()
			mu.Lock()
			defer mu.Unlock()
			came[f], err = seen, errors.Join(err, failed)
		})
	}
	ending.Wait()
	return came, err
}

// row is what those of a family saw: some came, others have stayed.
func (p *pair) row(ctx context.Context, f lab.Family, came lab.Knocked) (failoverRow, error) {
	const busy = 20 * time.Millisecond
	lost, first, failed := p.crowds[f].Muster(ctx)
	row := failoverRow{
		Method: p.lab.Forwarding, Family: f, GapMS: came.Gap.Milliseconds(),
		Connections: p.connections, Lost: lost, Requests: came.Clients, RequestsFailed: came.Failed,
	}
	if first != nil {
		row.notes = append(row.notes, fmt.Sprintf("the first connection was lost by this: %v", first))
	}
	if came.First != nil {
		row.notes = append(row.notes, fmt.Sprintf("the first request failed by this: %v", came.First))
	}
	if came.Stalled > busy {
		row.notes = append(row.notes, fmt.Sprintf("this machine was too busy to let clients come for %v", came.Stalled.Round(time.Millisecond)))
	}
	return row, failed
}

// restart has the better director's daemon run again, and be master.
func (p *pair) restart(ctx context.Context) error {
	if err := p.better.Restart(); err != nil {
		return err
	}
	return p.calm(ctx)
}

// States of virtual routers, as weir calls them, and how a peer stands whose connections are all here.
const (
	master = "master"
	backup = "backup"
	inSync = "in sync"
)

// calm waits until the better director is master and has the addresses, and each has all connections of the other. Who
// connects while both have an address may be answered by one and served by the other.
func (p *pair) calm(ctx context.Context) error {
	err := errors.Join(p.becomes(ctx, p.better, master), p.becomes(ctx, p.other, backup),
		until(ctx, p.better.Name+" has the addresses, and the other director has not", func() bool { return p.has(p.better, true) && p.has(p.other, false) }))
	for _, d := range p.lab.Directors {
		err = errors.Join(err, until(ctx, d.Name+" has all connections of the other director", func() bool { return p.knows(ctx, d) }))
	}
	return err
}

// becomes waits until a director is something in all virtual routers.
func (p *pair) becomes(ctx context.Context, d *lab.Director, state string) error {
	return until(ctx, d.Name+" is "+state, func() bool {
		routers, err := p.daemons[d].VirtualRouters(ctx)
		good := err == nil && len(routers) > 0
		for _, r := range routers {
			good = good && r.State == state
		}
		return good
	})
}

// has says whether a director has all virtual addresses, or none.
func (p *pair) has(d *lab.Director, all bool) bool {
	addresses, err := d.Addresses()
	good := err == nil
	for _, f := range lab.Families() {
		good = good && slices.Contains(addresses, p.lab.VIP.In(f)) == all
	}
	return good
}

func (p *pair) knows(ctx context.Context, d *lab.Director) bool {
	peers, err := p.daemons[d].Sync(ctx)
	good := err == nil && len(peers) > 0
	for _, peer := range peers {
		good = good && peer.State == inSync
	}
	return good
}

// eventTime is what an event may take, and what mends it.
const eventTime = 30 * time.Second

func within(ctx context.Context, do func(context.Context, *pair) error, p *pair) error {
	ctx, cancel := context.WithTimeoutCause(ctx, eventTime, fmt.Errorf("gave up after %v", eventTime))
	defer cancel()
	return do(ctx, p)
}

// until asks again and again.
func until(ctx context.Context, what string, good func() bool) error {
	for !good() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited until %s: %w", what, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
