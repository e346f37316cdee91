// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/lab"
)

// The balancer's own link, in Mbit/s. What passes it counts with all its headers, what clients
// receive is the files alone: by NAT they get some percent less than the link carries.
const (
	link    = 100.0
	atLeast = 80.0 // by NAT; with less, something else than the link was the limit
)

// sum is what clients receive together while they take all that they can get. By NAT that is what
// the balancer's link carries; by DR and TUN answers do not pass it.
func (g *ground) sum(t *testing.T, f lab.Family) bench.Figure {
	t.Helper()
	g.throttle(t, &g.director.Node, link)
	clients := g.download(t, f, 12)
	figure := repeat(t, g.name("sum", f), "Mbit/s", func() (sample, error) { return g.received(clients) })
	if err := clients.Stop(); err != nil {
		t.Fatal(err)
	}
	return figure
}

// received takes one sample.
func (g *ground) received(clients *lab.Downloads) (sample, error) {
	before, err := g.lab.Carried(&g.director.Node)
	if err != nil {
		return sample{}, err
	}
	begin, already := time.Now(), clients.Received()
	time.Sleep(lasting)
	took, received := time.Since(begin), clients.Received()-already
	after, err := g.lab.Carried(&g.director.Node)
	if err != nil {
		return sample{}, err
	}
	return judgeSum(g.lab.Forwarding, mbits(uint64(received), took), mbits(after-before, took)), nil
}

func mbits(bytes uint64, took time.Duration) float64 {
	return float64(bytes) * 8 / 1e6 / took.Seconds()
}

func judgeSum(method lab.Forwarding, received, carried float64) sample {
	s := sample{value: received, beside: fmt.Sprintf("the balancer's link carried %.1f Mbit/s to it", carried)}
	switch {
	case carried == 0 || carried > link*1.01: // a hundredth for what may come at once
		s.void = fmt.Sprintf("the balancer's link carried %.1f Mbit/s, of %g", carried, link)
	case method == lab.NAT && (received > link || received < atLeast):
		s.void = fmt.Sprintf("by NAT clients received %.1f Mbit/s over a link of %g", received, link)
	}
	return s
}
