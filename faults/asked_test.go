// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/lab"
)

// asked is a network with a director whose checks ask servers of the test's own. Many services have the same
// servers and ask them in different words, so many checks see in seconds what one would see in minutes.
type asked struct {
	lab      *lab.Lab
	director *lab.Director
	daemon   *client.Client
}

func newAsked(t *testing.T, config lab.Config) *asked {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := newLab(ctx, t, config)
	if config.Forwarding == lab.DR { // checks go to the VIP
		for _, s := range l.Servers {
			if err := s.HoldVIP(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := l.Directors[0]
	return &asked{l, d, client.New(filepath.Join(d.Run, "weir.sock"))}
}

// start serves, and waits until every server takes new connections.
func (a *asked) start(ctx context.Context, text string) error {
	if err := a.director.Start(text); err != nil {
		return err
	}
	return errors.Join(a.director.WaitReady(ctx), a.allUp(ctx))
}

func (a *asked) allUp(ctx context.Context) error {
	services, err := a.daemon.Services(ctx)
	if err != nil {
		return err
	}
	for _, s := range services {
		if err := a.until(ctx, "every server is up", s.Address, s.Protocol, func(_ string, weight uint16) bool { return weight > 0 }); err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
	}
	return nil
}

// until waits for something to be true of every server of a service, by its weight in the maps.
func (a *asked) until(ctx context.Context, what, service, protocol string, good func(server string, weight uint16) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("it is never so that %s", what))
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		e, err := a.daemon.Explain(ctx, a.clientOf(service), service, protocol)
		if err != nil {
			return false, err
		}
		for _, c := range e.Servers {
			if !good(c.Address, c.Weight) {
				return false, nil
			}
		}
		return len(e.Servers) > 0, nil
	})
}

// clientOf is somebody who could use a service.
func (a *asked) clientOf(service string) string {
	family := lab.IPv4
	if strings.HasPrefix(service, "[") {
		family = lab.IPv6
	}
	return netip.AddrPortFrom(a.lab.Client.Addresses(family)[0], 9).String()
}

// service is one of many: with all servers of the lab, or those that are given, by DR, on a port of its own.
func (a *asked) service(port int, check string, servers ...string) string {
	if len(servers) == 0 {
		for _, s := range a.lab.Servers {
			servers = append(servers, s.Address.IPv4.String())
		}
	}
	return fmt.Sprintf("  - {name: s%d, address: \"%s:%d\", scheduler: rr, forwarding: %s, check: %s, servers: [%s]}\n",
		port, a.lab.VIP.IPv4, port, a.lab.Forwarding, check, strings.Join(servers, ", "))
}

// changes is how often the servers of an address went down, and came up again.
type changes struct{ down, up int }

func (c changes) all() float64 { return float64(c.down + c.up) }

// told is what the log has by now, in bytes.
func (a *asked) told() (int64, error) {
	info, err := os.Stat(a.director.Log)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

var changeLine = regexp.MustCompile(`msg="server is (down|up again)".* server=(\S+)`)

// changesSince reads them from the log.
func (a *asked) changesSince(told int64) (map[netip.Addr]changes, error) {
	text, err := os.ReadFile(a.director.Log)
	if err != nil {
		return nil, err
	}
	out := map[netip.Addr]changes{}
	for _, found := range changeLine.FindAllSubmatch(text[told:], -1) {
		server, err := netip.ParseAddrPort(string(found[2]))
		if err != nil {
			return nil, err
		}
		c := out[server.Addr()]
		if string(found[1]) == "down" {
			c.down++
		} else {
			c.up++
		}
		out[server.Addr()] = c
	}
	return out, nil
}
