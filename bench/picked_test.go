// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/lab"
)

// Each datagram of a client is scheduled anew, and two servers take turns. So when one of them gets no more, the
// data plane does not pick it any more: that moment is known as well as datagrams are close to each other.
const (
	pickedPort  = 9000
	pickedCheck = 8081
	closely     = 200 * time.Microsecond
	pickedFall  = 2
	gone        = 200 * time.Millisecond // without a datagram: the server is out
)

// pickedWait is the timeout of their check: the usual one beside many others, which have the CPUs busy.
func (w *watch) pickedWait() time.Duration {
	if w.busy {
		return 900 * time.Millisecond
	}
	return 150 * time.Millisecond
}

// times is how often a server fails in a figure.
func (w *watch) times() int {
	if w.busy {
		return 5
	}
	return 15
}

func (w *watch) pickedService() string {
	return fmt.Sprintf("  - {name: picked, address: \"%s:%d\", protocol: udp, one_packet: true, scheduler: rr, forwarding: dr,\n"+
		"     check: {http: /, port: %d, interval: %s, timeout: %s, fall: %d}, servers: [%s, %s]}\n",
		w.lab.VIP.IPv4, pickedPort, pickedCheck, w.pickedWait()+50*time.Millisecond, w.pickedWait(), pickedFall, w.lab.Servers[0].Address.IPv4, w.lab.Servers[1].Address.IPv4)
}

// how a server fails.
type how int

const (
	isWell how = iota
	refuses
	isSilent
)

// patient is a server that fails by the word, and knows since when its check must know.
type patient struct {
	mu      sync.Mutex
	wait    time.Duration // the check's timeout
	how     how
	bad     int       // answers since
	decided time.Time // when the bad one that decides was given, or was due
}

func (p *patient) become(how how) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.how, p.bad, p.decided = how, 0, time.Time{}
}

func (p *patient) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	began := time.Now()
	p.mu.Lock()
	how := p.how
	if p.bad++; how != isWell && p.bad == pickedFall {
		p.decided = began
		if how == isSilent {
			p.decided = began.Add(p.wait)
		}
	}
	p.mu.Unlock()
	switch how {
	case refuses:
		out.WriteHeader(http.StatusServiceUnavailable)
	case isSilent:
		<-r.Context().Done()
	}
}

func (p *patient) decidedAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decided
}

// servePicked has both servers answer checks, and note datagrams.
func (w *watch) servePicked(t *testing.T) error {
	w.first.wait = w.pickedWait()
	for i, s := range w.lab.Servers {
		if err := s.HoldVIP(t.Context()); err != nil {
			return err
		}
		handler := http.Handler(&patient{})
		if i == 0 {
			handler = &w.first
		}
		listener, err := s.Listen(t.Context(), pickedCheck)
		if err != nil {
			return err
		}
		web := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
		go web.Serve(listener)
		t.Cleanup(func() { web.Close() })
		conn, err := s.ListenPacket(t.Context(), pickedPort)
		if err != nil {
			return err
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			for buffer := make([]byte, 64); ; {
				if _, _, err := conn.ReadFromUDPAddrPort(buffer); err != nil {
					return
				}
				w.picked[i].Store(time.Now().UnixNano())
			}
		}()
	}
	return nil
}

// last is when a server was picked last.
func (w *watch) last(server int) time.Time { return time.Unix(0, w.picked[server].Load()) }

// ask sends datagrams until it is told to stop.
func (w *watch) ask(t *testing.T) (stop func()) {
	t.Helper()
	conn, err := w.lab.Client.Dial(t.Context(), "udp", w.lab.Client.Addresses(lab.IPv4)[0], netip.AddrPortFrom(w.lab.VIP.IPv4, pickedPort))
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer conn.Close()
		for {
			select {
			case <-done:
				return
			default:
				conn.Write([]byte("whom?"))
				time.Sleep(closely)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// toMaps is how long it takes from the bad answer that decides until the server is not picked any more.
func (w *watch) toMaps(t *testing.T, name string, how how) bench.Figure {
	t.Helper()
	defer w.ask(t)()
	var values []float64
	for range w.times() {
		w.await(t, "both are picked", func() bool { return w.isPicked(0) && w.isPicked(1) })
		time.Sleep(gone) // the check is settled
		w.first.become(how)
		w.await(t, "the server is out", func() bool { return !w.isPicked(0) && w.isPicked(1) && !w.first.decidedAt().IsZero() })
		values = append(values, float64(w.last(0).Sub(w.first.decidedAt()).Microseconds())/1000)
		w.first.become(isWell)
	}
	t.Logf("%-27s %v ms", name, values)
	return figureOf("checks/to-maps/"+name, "ms", values)
}

func (w *watch) isPicked(server int) bool { return time.Since(w.last(server)) < gone }

func (w *watch) await(t *testing.T, what string, good func() bool) {
	t.Helper()
	for ended := time.Now().Add(30 * time.Second); !good(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(ended) {
			t.Fatalf("%s: it is never so that %s", w.name, what)
		}
	}
}
