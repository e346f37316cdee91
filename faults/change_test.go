// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/lab"
)

// services is the configuration of the load, after an edit of each server's line.
func (g *ground) services(edit func(server int, line string) string) string {
	var out strings.Builder
	for line := range strings.Lines(g.lab.LoadServices()) {
		if server := g.serverOf(line); server >= 0 {
			line = edit(server, line)
		}
		out.WriteString(line)
	}
	return out.String()
}

// serverOf is the server that a line of the configuration is about; -1: none.
func (g *ground) serverOf(line string) int {
	for i, s := range g.lab.Servers {
		for _, f := range lab.Families() {
			for _, port := range []uint16{lab.StayPort, lab.FreshPort} {
				if strings.Contains(line, fmt.Sprintf("- {address: %q", netip.AddrPortFrom(s.Address.In(f), port))) {
					return i
				}
			}
		}
	}
	return -1
}

// weighted is a server's line with a weight.
func weighted(line string, weight int) string {
	return strings.Replace(line, "}", fmt.Sprintf(", weight: %d}", weight), 1)
}

// become lets the daemon read another configuration, and waits until that is in the maps.
func (g *ground) become(ctx context.Context, text string) error {
	if err := g.director.Configure(text); err != nil {
		return err
	}
	reloaded, err := g.daemon.Reload(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		status, err := g.daemon.Status(ctx)
		return status.Applied >= reloaded.Revision, err
	})
}

// changer changes one server of a director after the other.
type changer struct {
	*ground
	server int // whose turn it is
	log    func(string, ...any)
}

// byBoth are directors of DR and of NAT. They take turns: the connections of one are as many as a process may have.
func byBoth(t *testing.T, weir string, plan lab.LoadPlan) []*changer {
	t.Helper()
	var all []*changer
	for _, config := range []lab.Config{
		{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir}, {Shape: lab.TwoArm, Forwarding: lab.NAT, Weir: weir},
	} {
		all = append(all, &changer{ground: newGround(t, config, plan), log: t.Logf})
	}
	return all
}

// inTurn lets each do something, and ends its load.
func inTurn(ctx context.Context, all []*changer, do func(context.Context, *changer) error) error {
	for _, c := range all {
		err := do(ctx, c)
		c.load.Close()
		if err != nil {
			return fmt.Errorf("%s: server %s: %w", c.lab.Forwarding, c.lab.Servers[c.server].Name, err)
		}
		c.server = (c.server + 1) % len(c.lab.Servers)
	}
	return nil
}

// clients are some, by address and port.
type clients map[netip.AddrPort]bool

// outcome is as usual; a machine that has no time for the load disturbs it, too.
func (c *changer) outcome(ctx context.Context, happen func(context.Context) error) (lab.Outcome, []string, error) {
	outcome, dropped, err := c.ground.outcome(ctx, happen)
	var disturbed []string
	if dropped != "" {
		disturbed = append(disturbed, dropped)
	}
	if outcome.Stalled > stall {
		disturbed = append(disturbed, fmt.Sprintf("the load stood still for %v", outcome.Stalled.Round(time.Millisecond)))
	}
	return outcome, disturbed, err
}

// stall is how long everybody may be kept waiting before what they wait for says nothing.
const stall = 100 * time.Millisecond

// but is the configuration with an edit of the line of the server whose turn it is.
func (c *changer) but(edit func(line string) string) string {
	return c.services(func(server int, line string) string {
		if server != c.server {
			return line
		}
		return edit(line)
	})
}

// clientsNow are those of the connections that the server has of those that stay.
func (c *changer) clientsNow(ctx context.Context) (clients, error) {
	conns, err := c.daemon.Connections(ctx, client.ConnectionsQuery{State: established})
	if err != nil {
		return nil, err
	}
	all, address := clients{}, c.lab.Servers[c.server].Address
	for _, conn := range conns {
		from, err := netip.ParseAddrPort(conn.Client)
		if err != nil {
			return nil, err
		}
		for _, f := range lab.Families() {
			if conn.Server == netip.AddrPortFrom(address.In(f), lab.StayPort).String() {
				all[from] = true
			}
		}
	}
	return all, nil
}

// residents are the connections that stay, by their client.
func (c *changer) residents() map[netip.AddrPort]lab.Resident {
	all := map[netip.AddrPort]lab.Resident{}
	for _, r := range c.load.Residents() {
		all[r.Client] = r
	}
	return all
}

// arrived is how many new connections the server has ever had.
func (c *changer) arrived() (int, error) {
	all, err := c.load.Arrived()
	if err != nil {
		return 0, err
	}
	return all[c.server], nil
}

// oneByOne lets things happen one after the other, until one fails.
func oneByOne(things ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, happen := range things {
			if err := happen(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// percent of a whole. What was never tried has not passed.
func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}
