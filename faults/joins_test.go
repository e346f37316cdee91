// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// joinShare is of the new connections in any second, as a part of what is fair: those that an empty server gets that
// comes to others.
const joinShare = "join_share"

const (
	joinPort  = 7100
	joinCheck = 7101
)

// joining is two servers with connections, to which a third one comes. All connections stay.
type joining struct {
	*asked
	slow  time.Duration // the slow start
	after time.Duration // so long do connections come when it is over
	rate  int           // connections a second
	begun int           // those that each of the two has before
	from  time.Time     // when the two began to serve

	mu      sync.Mutex
	arrived []arrival
	held    []io.Closer // both ends
}

// arrival is a connection that came to a server.
type arrival struct {
	at     time.Time
	server int
}

func newJoining(t *testing.T, weir string, size faults.Size) *joining {
	t.Helper()
	j := &joining{asked: newAsked(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir})}
	j.slow, j.rate, j.begun = time.Duration(size.Of(1, 20))*time.Second, size.Of(50, 200), size.Of(30, 300)
	j.after = time.Duration(size.Of(0, 1)) * time.Second
	if err := j.open(t); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *joining) open(t *testing.T) error {
	var servers []string
	for i, s := range j.lab.Servers {
		if err := j.hold(t, i); err != nil {
			return err
		}
		if i > 0 {
			well, err := s.Listen(t.Context(), joinCheck)
			if err != nil {
				return err
			}
			t.Cleanup(func() { well.Close() })
		}
		servers = append(servers, fmt.Sprintf("{address: %s, weight: 100}", s.Address.IPv4))
	}
	text := fmt.Sprintf("services:\n  - {name: join, address: \"%s\", scheduler: wlc, forwarding: dr, slow_start: %s, check: {tcp: {}, port: %d, interval: 200ms}, servers: [%s]}\n",
		j.service(), j.slow, joinCheck, strings.Join(servers, ", "))
	if err := errors.Join(j.director.Start(text), j.director.WaitReady(t.Context()), j.others(t.Context(), false)); err != nil {
		return err
	}
	j.from = time.Now()
	return nil
}

func (j *joining) service() netip.AddrPort { return netip.AddrPortFrom(j.lab.VIP.IPv4, joinPort) }

// hold takes connections, and notes when they came.
func (j *joining) hold(t *testing.T, server int) error {
	listener, err := j.lab.Servers[server].Take(t.Context(), joinPort, func(c *net.TCPConn) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.arrived, j.held = append(j.arrived, arrival{time.Now(), server}), append(j.held, c)
	})
	if err != nil {
		return err
	}
	t.Cleanup(func() { listener.Close() })
	return nil
}

// others waits until the maps have the two, and the first one or not.
func (j *joining) others(ctx context.Context, first bool) error {
	alone := netip.AddrPortFrom(j.lab.Servers[0].Address.IPv4, joinPort).String()
	return j.until(ctx, "the right ones are in", j.service().String(), "tcp", func(server string, weight uint16) bool {
		return weight > 0 == (first || server != alone)
	})
}

// run adds its figure.
func (j *joining) run(ctx context.Context, m *faults.Measured) error {
	defer j.release()
	if err := j.others(ctx, false); err != nil {
		return err
	}
	time.Sleep(time.Until(j.from.Add(j.slow))) // before that nobody would be spared
	for range 2 * j.begun {
		if err := j.connect(ctx); err != nil {
			return err
		}
	}
	well, err := j.lab.Servers[0].Listen(ctx, joinCheck)
	if err != nil {
		return err
	}
	defer well.Close()
	if err := j.pour(ctx); err != nil {
		return err
	}
	var fewest int
	if m.Figures[joinShare], fewest, err = j.share(); err == nil && fewest < j.rate*9/10 {
		m.Disturbed = fmt.Sprintf("only %d connections began in a second, not %d", fewest, j.rate)
	}
	return err
}

// pour opens connections until the slow start is over, and longer.
func (j *joining) pour(ctx context.Context) error {
	ticks := time.NewTicker(time.Second / time.Duration(j.rate))
	defer ticks.Stop()
	for ended := time.Now().Add(j.slow + j.after); time.Now().Before(ended); <-ticks.C {
		if err := j.connect(ctx); err != nil {
			return err
		}
	}
	return j.others(ctx, true)
}

func (j *joining) connect(ctx context.Context) error {
	c, err := j.lab.Client.Dial(ctx, "tcp", j.lab.Client.Addresses(lab.IPv4)[0], j.service())
	if err != nil {
		return err
	}
	err = c.(*net.TCPConn).SetLinger(0)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.held = append(j.held, c)
	return err
}

// share is the largest one in any second since the first connection to the server that joined, and how many
// connections there were in the second with the fewest.
func (j *joining) share() (worst float64, fewest int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := slices.IndexFunc(j.arrived, func(a arrival) bool { return a.server == 0 })
	if first < 0 {
		return 0, 0, errors.New("the server that joins gets no connection")
	}
	fewest = len(j.arrived)
	for i := first; i < len(j.arrived); i++ {
		there, all := 0, 0
		for _, a := range j.arrived[i:] {
			if a.at.Sub(j.arrived[i].at) > time.Second {
				worst, fewest = max(worst, float64(there)/float64(all)*float64(len(j.lab.Servers))), min(fewest, all)
				break // a whole second
			}
			if all++; a.server == 0 {
				there++
			}
		}
	}
	return worst, fewest, nil
}

// release ends all connections.
func (j *joining) release() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range slices.Backward(j.held) {
		c.Close()
	}
	j.held, j.arrived = nil, nil
}
