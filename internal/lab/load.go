// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Tally is what came of a number of HTTP requests, each over a connection of its own.
type Tally struct {
	Requests int            // all of them
	Failed   int            // those without an answer of a server
	Servers  map[string]int // answers of each server
	Hidden   int            // answers in which the server saw another address than the client's own
	First    error          // why the first one failed

	seen map[netip.Addr]bool
}

// Clients is the number of distinct addresses that servers saw.
func (t *Tally) Clients() int { return len(t.seen) }

// Transparent tells whether servers saw the client's own address every time.
func (t *Tally) Transparent() bool { return t.Hidden == 0 && len(t.seen) > 0 }

func (t *Tally) count(from netip.Addr, a Answer, err error) {
	t.Requests++
	if err != nil {
		t.Failed++
		if t.First == nil {
			t.First = err
		}
		return
	}
	t.Servers[a.Server]++
	t.seen[a.Client] = true
	if a.Client != from {
		t.Hidden++
	}
}

// counter lets many requests count at once.
type counter struct {
	mu    sync.Mutex // guards tally
	tally Tally
}

func newCounter() *counter {
	return &counter{tally: Tally{Servers: map[string]int{}, seen: map[netip.Addr]bool{}}}
}

// patience is how long a request may take. It lets a lost packet be sent again more than once: what
// fails was not lost by chance.
const patience = 5 * time.Second

func (c *counter) request(ctx context.Context, client *Client, from netip.Addr, to netip.AddrPort) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	answer, err := client.Get(ctx, from, to)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.count(from, answer, err)
}

// Visit lets each client ask a web server some times, as fast as it goes. What was not asked when
// the context ended has failed.
func (c *Client) Visit(ctx context.Context, to netip.AddrPort, times int) Tally {
	const atOnce = 8
	visitors := make(chan netip.Addr)
	count := newCounter()
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for from := range visitors {
				count.request(ctx, c, from, to)
			}
		})
	}
	for i := range times * c.count {
		visitors <- c.inTurn(familyOf(to), i)
	}
	close(visitors)
	running.Wait()
	return count.tally
}

// Pace opens a connection every interval, whatever became of those before, to each of the
// addresses in turn and from each client in turn.
func (c *Client) Pace(ctx context.Context, to []netip.AddrPort, requests int, interval time.Duration) Tally {
	count := newCounter()
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	var running sync.WaitGroup
	for i := range requests {
		if ctx.Err() != nil {
			break
		}
		<-ticks.C
		target := to[i%len(to)]
		from := c.inTurn(familyOf(target), i)
		running.Go(func() { count.request(ctx, c, from, target) })
	}
	running.Wait()
	return count.tally
}

// inTurn takes one client after the other.
func (c *Client) inTurn(f Family, i int) netip.Addr {
	return c.net.host(clientHost + i%c.count).In(f)
}

func familyOf(a netip.AddrPort) Family {
	if a.Addr().Is4() {
		return IPv4
	}
	return IPv6
}
