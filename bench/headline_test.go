// SPDX-License-Identifier: Apache-2.0

package bench_test

// LVS's papers have two headlines: how little of the balancer's CPU it takes to pass 20 MB/s, and
// how much more than its own link carries reaches clients, because answers go past it.

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/lab"
)

// Every sample holds as many of the daemon's sweeps, which come every two seconds.
const (
	samples = 5
	lasting = 4 * time.Second
)

// TestBench is what `make bench` runs, with WEIR_BENCH naming where the figures go.
func TestBench(t *testing.T) {
	file := os.Getenv("WEIR_BENCH")
	if file == "" {
		t.Skip("not measured: `make bench` sets WEIR_BENCH")
	}
	requireLab(t)
	before, err := bench.Saved(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []struct {
		name, title string
		measure     func(*testing.T) []bench.Figure
	}{
		{"headline", "LVS's headlines", headlines},
		{"checks", "checks", checks},
		{"sync", "connection sync", connectionSync},
	} {
		t.Run(g.name, func(t *testing.T) {
			figures := g.measure(t)
			for i := range figures {
				figures[i].Group = g.name
			}
			show(g.title, figures, before)
			if err := bench.Keep(file, figures); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func headlines(t *testing.T) []bench.Figure {
	weir := buildWeir(t)
	var out []bench.Figure
	for _, method := range []lab.Forwarding{lab.NAT, lab.DR} {
		for _, confined := range []bool{true, false} {
			out = append(out, measure(t, newGround(t, weir, method, confined), (*ground).cpu)...)
		}
	}
	for _, method := range []lab.Forwarding{lab.NAT, lab.DR, lab.TUN} {
		out = append(out, measure(t, newGround(t, weir, method, true), (*ground).sum)...)
	}
	return out
}

// measure takes one headline in both families, in a network of its own.
func measure(t *testing.T, g *ground, headline func(*ground, *testing.T, lab.Family) bench.Figure) []bench.Figure {
	defer g.close(t)
	var out []bench.Figure
	for _, f := range lab.Families() {
		out = append(out, headline(g, t, f))
	}
	return out
}

// ground is a network with a director that serves. Networks differ by nothing but the method, and
// whether the daemon is confined as its unit confines it: what root loads has fewer barriers.
type ground struct {
	lab      *lab.Lab
	director *lab.Director
	confined bool
}

func newGround(t *testing.T, weir string, method lab.Forwarding, confined bool) *ground {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := lab.New(ctx, lab.Config{Shape: lab.LAN, Forwarding: method, Weir: weir, Confined: confined})
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{lab: l, director: l.Directors[0], confined: confined}
	t.Cleanup(func() { g.close(t) })
	if err := g.serve(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *ground) serve(ctx context.Context) error {
	if err := g.lab.Serve(ctx); err != nil {
		return err
	}
	if err := g.director.Start(g.lab.Services()); err != nil {
		return err
	}
	return g.director.WaitReady(ctx)
}

// close may be called again.
func (g *ground) close(t *testing.T) {
	if err := g.lab.Close(); err != nil {
		t.Error(err)
	}
}

func (g *ground) web(f lab.Family) netip.AddrPort {
	return netip.AddrPortFrom(g.lab.VIP.In(f), lab.WebPort)
}

// throttle shapes a node's link at the switch's port, to so many Mbit/s.
func (g *ground) throttle(t *testing.T, n *lab.Node, mbits float64) {
	t.Helper()
	if err := g.lab.Throttle(n, uint64(mbits*1e6)); err != nil {
		t.Fatal(err)
	}
}

// download starts clients of the web service, and lets them come to their pace.
func (g *ground) download(t *testing.T, f lab.Family, atOnce int) *lab.Downloads {
	t.Helper()
	d := g.lab.Client.Download(t.Context(), g.web(f), atOnce)
	time.Sleep(2 * time.Second)
	return d
}

// name says which figure it is. That of the daemon as it is installed has the plain one.
func (g *ground) name(headline string, f lab.Family) string {
	name := fmt.Sprintf("headline/%s/%s/%s", headline, g.lab.Forwarding, f)
	if !g.confined {
		name += "/root"
	}
	return name
}

// sample is one value, and what else was seen while it was taken.
type sample struct {
	value  float64
	beside string
	void   string // why the value says nothing; "": it counts
}

// repeat takes samples until enough of them count. One that is void is shown and taken again, as
// often as samples are wanted.
func repeat(t *testing.T, name, unit string, one func() (sample, error)) bench.Figure {
	t.Helper()
	var values []float64
	for voids := 0; len(values) < samples; {
		s, err := one()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%-27s %9.3f %s; %s", name, s.value, unit, s.beside)
		if s.void == "" {
			values = append(values, s.value)
			continue
		}
		t.Logf("%-27s void: %s", name, s.void)
		if voids++; voids > samples {
			t.Fatalf("%s: %d samples were void, the last: %s", name, voids, s.void)
		}
	}
	return figureOf(name, unit, values)
}

// figureOf is the median of some values, between their extremes.
func figureOf(name, unit string, values []float64) bench.Figure {
	values = slices.Sorted(slices.Values(values))
	for i, v := range values {
		values[i] = math.Round(v*1000) / 1000 // no clock here is better
	}
	n := len(values)
	return bench.Figure{Name: name, Unit: unit, Value: values[n/2], Min: values[0], Max: values[n-1]}
}

// show prints each figure, and by how much it differs from the last saved one.
func show(title string, figures []bench.Figure, before map[string]float64) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-27s %9s %9s %9s %-6s %s\n", title, "median", "least", "most", "unit", "last saved")
	for _, f := range figures {
		fmt.Fprintf(&b, "%-27s %9.3f %9.3f %9.3f %-6s", f.Name, f.Value, f.Min, f.Max, f.Unit)
		if last, ok := before[f.Name]; ok {
			fmt.Fprintf(&b, " %+.3f", f.Value-last)
		}
		b.WriteByte('\n')
	}
	fmt.Println(b.String())
}

// requireLab skips where there can be no network; in CI that is a failure.
func requireLab(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("network namespaces need root")
	default:
		t.Skip("network namespaces need root")
	}
}

func buildWeir(t *testing.T) string {
	t.Helper()
	weir := filepath.Join(t.TempDir(), "weir")
	cmd := exec.Command("go", "build", "-trimpath", "-o", weir, "../cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v\n%s", err, out)
	}
	return weir
}
