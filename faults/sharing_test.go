// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// sharing is a pair whose directors tell each other of their connections, and what depends on that: by NAT a connection
// that a director does not know goes nowhere.
type sharing struct {
	*pair
	load      *lab.Load
	watchdogs map[*lab.Director]*lab.Watchdog // nil: nobody wants to hear that the daemons live
}

// silence is for how long a client that is silent says nothing: longer than any run takes.
const silence = 24 * time.Hour

// newSharing has so many connections that stay and are silent. It goes with the test.
func newSharing(t *testing.T, config lab.Config, r lab.Redundancy, stay int) *sharing {
	t.Helper()
	s := newSharingOf(t, config, lab.LoadPlan{Stay: stay, Every: silence})
	s.serves = func(d *lab.Director) string { return s.lab.LoadServices() + s.lab.ConnectionSync(d) }
	s.begin(t, r)
	return s
}

// newSharingOf has a load that is not there yet, and directors that do not run.
func newSharingOf(t testing.TB, config lab.Config, plan lab.LoadPlan) *sharing {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	config.Shape, config.Directors = lab.LAN, 2
	s := &sharing{pair: newPairIn(newLab(ctx, t, config))}
	t.Cleanup(func() { s.tell(t) })
	var err error
	if s.load, err = s.lab.NewLoad(ctx, plan); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.load.Close)
	return s
}

// begin starts the daemons.
func (s *sharing) begin(t testing.TB, r lab.Redundancy) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, d := range s.lab.Directors {
		s.config[d] = s.serves(d) + s.lab.VirtualRouters(d, r)
		if err := errors.Join(d.Start(s.config[d]), d.WaitReady(ctx)); err != nil {
			t.Fatal(err)
		}
	}
}

// ready has the directors be in sync before anything is injected.
func (s *sharing) ready(ctx context.Context) (roles, error) {
	if r, err := s.together(ctx); err != nil {
		return r, err
	}
	return s.inSync(ctx)
}

// inSync waits until one director is master, and each has all that the other one serves.
func (s *sharing) inSync(ctx context.Context) (roles, error) {
	r, err := s.agreed(ctx)
	if err != nil {
		return r, err
	}
	for _, d := range s.lab.Directors {
		if err := s.stands(ctx, d, "in sync"); err != nil {
			return r, err
		}
	}
	return r, nil
}

// stands waits until a director says that so it stands with its peer.
func (s *sharing) stands(ctx context.Context, d *lab.Director, state string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("%s is not %s with its peer", d.Name, state))
	defer cancel()
	return every(ctx, glance, func() (bool, error) {
		peer, err := s.peer(ctx, d)
		return err == nil && peer.State == state, nil // a daemon that begins does not answer yet
	})
}

// peer is what a director says of the other one.
func (s *sharing) peer(ctx context.Context, d *lab.Director) (api.Peer, error) {
	peers, err := s.daemons[d].Sync(ctx)
	if err == nil && len(peers) != 1 {
		err = fmt.Errorf("%s has %d peers", d.Name, len(peers))
	}
	if err != nil {
		return api.Peer{}, err
	}
	return peers[0], nil
}

// loses cuts the master off while nobody speaks, and says how many connections are lost when all do, with the other one
// for their master. The one that was cut off is backup, and in sync, when it returns.
func (s *sharing) loses(ctx context.Context, r roles, m *faults.Measured, part string) error {
	return s.losesThen(ctx, r, m, part, func() error { return nil })
}

// losesThen lets something happen when the other one is master, before all speak.
func (s *sharing) losesThen(ctx context.Context, r roles, m *faults.Measured, part string, happen func() error) error {
	before, err := s.masteredBy(ctx, r.backup)
	if err != nil {
		return err
	}
	settled := s.ask(ctx).roles() == r
	err = inOrder(
		func() error { return s.lab.Unplug(&r.master.Node) },
		func() error { return r.master.Signal(syscall.SIGSTOP) },
		s.hear,
	)
	if err == nil {
		_, err = s.becomes(ctx, r.backup, "master")
	}
	if err == nil {
		err = happen()
	}
	if err != nil {
		return err
	}
	outcome, err := s.load.End(ctx)
	if err != nil {
		return err
	}
	after, err := s.masteredBy(ctx, r.backup)
	if err != nil {
		return err
	}
	said := ""
	if !settled || most(before, after) != 1 {
		said = "the machine let the directors take over by themselves" // what the one knows that was not cut off says nothing
	}
	note(m, part, float64(outcome.Lost), said)
	s.load.Close()
	if err := s.returns(ctx, r.master); err != nil {
		return err
	}
	_, err = s.inSync(ctx)
	return err
}

// loseSync has the switches lose so much of a hundred of what the directors tell each other of connections, until hear.
func (s *sharing) loseSync(percent int) error {
	for _, d := range s.lab.Directors {
		if err := s.lab.Lose(&d.Node, lab.Connections, percent); err != nil {
			return err
		}
	}
	return nil
}

func (s *sharing) hear() error {
	for _, d := range s.lab.Directors {
		if err := s.lab.Hear(&d.Node); err != nil {
			return err
		}
	}
	return nil
}

// servers is which server each connection has.
func (s *sharing) servers(ctx context.Context, d *lab.Director) (map[string]string, error) {
	table, err := s.table(ctx, d)
	out := map[string]string{}
	for row := range table {
		at := strings.LastIndexByte(row, ' ')
		out[row[:at]] = row[at+1:]
	}
	return out, err
}

// compare notes how many connections have another server than before.
func (s *sharing) compare(ctx context.Context, m *faults.Measured, part string, d *lab.Director, before map[string]string) error {
	now, err := s.servers(ctx, d)
	n := 0
	for connection, server := range now {
		if was, known := before[connection]; known && was != server {
			n++
		}
	}
	note(m, part, float64(n), "")
	return err
}

// table is what a director has of connections that are established. These are what digests are of.
func (s *sharing) table(ctx context.Context, d *lab.Director) (map[string]bool, error) {
	all, err := s.daemons[d].Connections(ctx, client.ConnectionsQuery{State: established})
	out := map[string]bool{}
	for _, c := range all {
		out[c.Protocol+" "+c.Client+" "+c.Virtual+" "+c.Server] = true
	}
	return out, err
}

// differing is how many connections one of the directors has, and the other one has not, or by another server.
func (s *sharing) differing(ctx context.Context) (n int, err error) {
	var tables []map[string]bool
	for _, d := range s.lab.Directors {
		table, err := s.table(ctx, d)
		if err != nil {
			return 0, err
		}
		tables = append(tables, table)
	}
	for i, table := range tables {
		for each := range table {
			if !tables[1-i][each] {
				n++
			}
		}
	}
	return n, nil
}
