// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/lab"
)

// What clients are to receive in sum, in MB/s, and how far from it a sample still counts.
const (
	passing = 20.0
	astray  = 1.0
)

// behind is the link, in Mbit/s, on which clients receive just that: so much of a file is in a frame
// of 1,514 bytes.
func behind(f lab.Family) float64 {
	if f == lab.IPv6 {
		return passing * 8 * 1514 / 1428
	}
	return passing * 8 * 1514 / 1448
}

// cpu is what share of one core the director takes, program and daemon together, while clients
// download 20 MB/s. By NAT all of it passes the director, by DR the requests do.
func (g *ground) cpu(t *testing.T, f lab.Family) bench.Figure {
	t.Helper()
	counting, err := lab.CountRunTime()
	if err != nil {
		t.Fatal(err)
	}
	defer counting.Close()
	// Clients that read slowly would acknowledge a dozen segments at once, and send the balancer less
	// than clients do. So their link is slow, not they.
	g.throttle(t, g.lab.Router, behind(f))
	clients := g.download(t, f, 20)
	figure := repeat(t, g.name("cpu", f), "%", func() (sample, error) { return g.share(clients) })
	if err := clients.Stop(); err != nil {
		t.Fatal(err)
	}
	return figure
}

// share takes one sample.
func (g *ground) share(clients *lab.Downloads) (sample, error) {
	before, err := g.director.Usage()
	if err != nil {
		return sample{}, err
	}
	begin, already := time.Now(), clients.Received()
	time.Sleep(lasting)
	took, received := time.Since(begin), clients.Received()-already
	after, err := g.director.Usage()
	if err != nil {
		return sample{}, err
	}
	return judgeShare(after.Since(before), took, received), nil
}

func judgeShare(used lab.Usage, took time.Duration, received int64) sample {
	perSecond := float64(received) / 1e6 / took.Seconds()
	packets := float64(used.Packets) / took.Seconds()
	s := sample{
		value: percent(used.Program+used.Daemon, took),
		beside: fmt.Sprintf("clients received %.2f MB/s; %.0f packets/s, %.0f ns each; daemon %.3f %%",
			perSecond, packets, float64(used.Program)/float64(max(used.Packets, 1)), percent(used.Daemon, took)),
	}
	switch {
	case math.Abs(perSecond-passing) > astray:
		s.void = fmt.Sprintf("clients received %.2f MB/s, not %g", perSecond, passing)
	case used.Packets == 0:
		s.void = "the program has not run"
	}
	return s
}

func percent(used, of time.Duration) float64 { return 100 * used.Seconds() / of.Seconds() }
