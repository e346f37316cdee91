// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/lab"
)

// How much is asked: the servers are those of some services.
const (
	askedServers  = 10_000
	askedThrough  = 2_000 // beside those through the virtual address
	askedServices = 4
	askedEvery    = 2 * time.Second
	askedPort     = 8080
)

// asked is the network that all of these servers' addresses are of.
var asked = netip.MustParsePrefix("10.20.0.0/16")

// checks are what it costs to ask many servers, and how long it takes from the answer that decides until clients
// are spared.
func checks(t *testing.T) []bench.Figure {
	weir := buildWeir(t)
	var out []bench.Figure
	for _, ask := range []struct {
		kind    string
		servers int
	}{{"tcp", askedServers}, {"http", askedServers}, {"http", askedThrough}, {throughVIP, askedThrough}} {
		w := newWatch(t, weir, ask.servers, ask.kind)
		out = append(out, w.cost(t)...)
		if ask.kind == "http" && ask.servers == askedServers {
			out = append(out, w.toMaps(t, fmt.Sprintf("wrong/%d", askedServers), refuses))
		}
		w.close(t)
	}
	w := newWatch(t, weir, 0, "http")
	defer w.close(t)
	return append(out, w.toMaps(t, "wrong", refuses), w.toMaps(t, "silent", isSilent))
}

// watch is a network with a director that asks. Its first server has the addresses of many.
type watch struct {
	lab       *lab.Lab
	director  *lab.Director
	name      string
	busy      bool            // many are asked
	warmed    int64           // so many questions, and all is as it stays
	questions atomic.Int64    // that the many have got
	picked    [2]atomic.Int64 // when each of the two that are picked got its last datagram
	first     patient
}

func newWatch(t *testing.T, weir string, servers int, kind string) *watch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l, err := lab.New(ctx, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Servers: 2, Weir: weir, Confined: true,
		Elsewhere: lab.Elsewhere{Servers: []netip.Prefix{asked}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{lab: l, director: l.Directors[0], name: fmt.Sprintf("%s/%d", kind, servers), busy: servers > 0, warmed: 2 * int64(servers)}
	t.Cleanup(func() { w.close(t) })
	if err := w.begin(ctx, t, servers, kind); err != nil {
		t.Fatal(err)
	}
	return w
}

// begin has the servers answer, and the director ask them.
func (w *watch) begin(ctx context.Context, t *testing.T, servers int, kind string) error {
	if kind == throughVIP {
		return errors.Join(w.serveThrough(t, servers), w.servePicked(t), w.director.Start(w.servicesThrough(servers)), w.director.WaitReady(ctx))
	}
	return errors.Join(w.serve(t, askedPort), w.servePicked(t), w.director.Start(w.services(servers, kind)), w.director.WaitReady(ctx))
}

// close may be called again.
func (w *watch) close(t *testing.T) {
	if err := w.lab.Close(); err != nil {
		t.Error(err)
	}
}

// services are of the many, which are behind the first server, and the one by which it is seen who is picked.
func (w *watch) services(servers int, kind string) string {
	var out strings.Builder
	out.WriteString("services:\n" + w.pickedService())
	for i := range min(servers, askedServices) {
		fmt.Fprintf(&out, "  - {name: s%d, address: \"%s:%d\", scheduler: rr, forwarding: tun, check: {%s, via: server, port: %d, interval: %s}, servers: [",
			i, w.lab.VIP.IPv4, 7001+i, map[string]string{"tcp": "tcp: {}", "http": "http: /health"}[kind], askedPort, askedEvery)
		address := asked.Addr().As4()
		for j := i * servers / askedServices; j < (i+1)*servers/askedServices; j++ {
			address[2], address[3] = byte(1+j/250), byte(1+j%250)
			fmt.Fprintf(&out, "%s, ", netip.AddrFrom4(address))
		}
		out.WriteString("]}\n")
	}
	return out.String()
}

// serve answers for the many at a port. What it costs is not the director's, but the machine's that both are on: no
// more is done than must be.
func (w *watch) serve(t *testing.T, port uint16) error {
	listener, err := w.lab.Servers[0].Take(t.Context(), port, func(c *net.TCPConn) {
		w.questions.Add(1)
		go answer(c)
	})
	if err != nil {
		return err
	}
	t.Cleanup(func() { listener.Close() })
	return nil
}

// answer serves who asks by HTTP, and who says nothing.
func answer(c net.Conn) {
	defer c.Close()
	request := make([]byte, 512)
	if n, err := c.Read(request); err == nil && bytes.Contains(request[:n], []byte("\r\n\r\n")) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// cost takes samples of all figures at once.
func (w *watch) cost(t *testing.T) []bench.Figure {
	w.warm(t)
	var made, cpu, memory []float64
	for range samples {
		s, err := w.sample()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-27s %9.0f checks/s, %6.2f %% of a core, %6.1f MiB", w.name, s.made, s.cpu, s.memory)
		made, cpu, memory = append(made, s.made), append(cpu, s.cpu), append(memory, s.memory)
	}
	return []bench.Figure{
		figureOf("checks/made/"+w.name, "checks/s", made),
		figureOf("checks/cpu/"+w.name, "%", cpu),
		figureOf("checks/memory/"+w.name, "MiB", memory),
	}
}

// warm waits until every server was asked twice, or as often.
func (w *watch) warm(t *testing.T) {
	t.Helper()
	for ended := time.Now().Add(30 * time.Second); w.questions.Load() < w.warmed; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(ended) {
			t.Fatalf("%s: %d questions in half a minute", w.name, w.questions.Load())
		}
	}
}

// spent is a sample of what checks cost.
type spent struct {
	made   float64 // checks a second
	cpu    float64 // of one core, the daemon's share in percent
	memory float64 // that the daemon has, in MiB
}

func (w *watch) sample() (spent, error) {
	before, err := w.director.Usage()
	if err != nil {
		return spent{}, err
	}
	begin, already := time.Now(), w.questions.Load()
	time.Sleep(askedEvery) // each is asked once
	took, made := time.Since(begin), w.questions.Load()-already
	after, err := w.director.Usage()
	if err != nil {
		return spent{}, err
	}
	kib, err := resident(w.director.PID())
	return spent{
		made: math.Round(float64(made) / took.Seconds()), cpu: percent(after.Since(before).Daemon, took), memory: float64(kib) / 1024,
	}, err
}

// resident is a process's memory, in KiB.
func resident(pid int) (kib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte("VmRSS:"))
	_, err = fmt.Sscan(string(rest), &kib)
	return kib, err
}
