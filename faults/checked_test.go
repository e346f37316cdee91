// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of the faults that checks find.
const (
	removedIn     = "removed"      // from the fault to the maps without the server
	removedByVote = "removed_vote" // the same by what clients' connections show
	failedAfter   = "failed_after" // requests begun later, and failed
	refusedIn     = "refused"      // how long a client waits for the refusal when all servers are down
	backIn        = "back"         // from when a server works again to the maps with it
)

// serverKilled: whoever connects is refused. By NAT the director sees that, and needs no check.
func serverKilled(weir string) faults.Fault {
	revive := func(ctx context.Context, s *lab.Server) error { return s.StartWeb(ctx) }
	f := found(weir, 24, 3, (*lab.Server).KillWeb, revive)
	f.Parts = append(f.Parts, faults.Part{Name: removedByVote, Unit: faults.Seconds, Bar: 0.1})
	prepare := f.Prepare
	f.Prepare = func(t *testing.T, size faults.Size) faults.Run {
		run, voting := prepare(t, size), newWard(t, lab.Config{Shape: lab.TwoArm, Forwarding: lab.NAT, Weir: weir}, "off", "")
		return func() (faults.Measured, error) {
			m, err := run()
			if err != nil {
				return m, err
			}
			m.Figures[removedByVote], err = voting.vote(t.Context())
			return m, err
		}
	}
	return f
}

// serverUnplugged: it is silent, and so is its kernel.
func serverUnplugged(weir string) faults.Fault {
	f := foundOn(weir, 25, 4, func(l *lab.Lab, s *lab.Server) error { return l.Unplug(&s.Node) },
		func(_ context.Context, l *lab.Lab, s *lab.Server) error { return l.Plug(&s.Node) })
	f.Beside = "keepalived 2.2.7 and IPVS take 5.4 s (TCP_CHECK, delay_loop 2, timeout 2, retry 1, delay 1)"
	return f
}

// serverHung: its kernel takes connections, and nobody answers.
func serverHung(weir string) faults.Fault {
	f := found(weir, 26, 4, (*lab.Server).HangWeb, func(_ context.Context, s *lab.Server) error { return s.ResumeWeb() })
	f.Beside = "keepalived 2.2.7 with TCP_CHECK never removes it: 11 of 23 requests time out, for ever"
	return f
}

// found is a fault of one server that its check must find within so many seconds: one by the defaults.
func found(weir string, number int, within float64, inject func(*lab.Server) error, heal func(context.Context, *lab.Server) error) faults.Fault {
	return foundOn(weir, number, within, func(_ *lab.Lab, s *lab.Server) error { return inject(s) },
		func(ctx context.Context, _ *lab.Lab, s *lab.Server) error { return heal(ctx, s) })
}

// foundOn is of the network around it.
func foundOn(weir string, number int, within float64, inject func(*lab.Lab, *lab.Server) error, heal func(context.Context, *lab.Lab, *lab.Server) error) faults.Fault {
	return faults.Fault{
		Number: number,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: removedIn, Unit: faults.Seconds, Bar: within},
			{Name: newThere, Unit: "connections"},
			{Name: failedAfter, Unit: "connections"},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			wards := wards(t, weir)
			requests := size.Of(30, 300)
			return func() (faults.Measured, error) {
				m := faults.Measured{Figures: map[string]float64{}}
				for _, w := range wards {
					if err := w.suffer(t.Context(), m.Figures, requests, inject, heal); err != nil {
						return m, fmt.Errorf("%s: %w", w.lab.Forwarding, err)
					}
				}
				return m, nil
			}
		},
	}
}

// allDown: every server of a service dies.
func allDown(weir string) faults.Fault {
	return faults.Fault{
		Number: 29,
		Long:   true,
		Paired: true,
		Beside: "keepalived 2.2.7 and IPVS refuse in 10 ms",
		Parts: []faults.Part{
			{Name: refusedIn, Unit: faults.Seconds, Bar: 0.010},
			{Name: backIn, Unit: faults.Seconds, Bar: 2},
			{Name: failedAfter, Unit: "connections"},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			wards := wards(t, weir)
			return func() (faults.Measured, error) {
				m := faults.Measured{Figures: map[string]float64{}}
				for _, w := range wards {
					if err := w.die(t.Context(), m.Figures, size.Of(30, 300)); err != nil {
						return m, fmt.Errorf("%s: %w", w.lab.Forwarding, err)
					}
				}
				return m, nil
			}
		},
	}
}

// ward is a network with web servers that are checked.
type ward struct {
	lab    *lab.Lab
	daemon *client.Client
	text   string // its configuration
	turn   int
}

// wards are of DR and of NAT.
func wards(t *testing.T, weir string) (all []*ward) {
	t.Helper()
	for _, config := range []lab.Config{{Shape: lab.LAN, Forwarding: lab.DR}, {Shape: lab.TwoArm, Forwarding: lab.NAT}} {
		config.Weir = weir
		all = append(all, newWard(t, config, "{http: /health, port: 80}", ""))
	}
	return all
}

// newWard has a check of its servers, and more in the director's configuration, behind the services.
func newWard(t *testing.T, config lab.Config, check, more string) *ward {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	config.Web = lab.WebOwn
	l := newLab(ctx, t, config)
	w := &ward{lab: l, daemon: client.New(filepath.Join(l.Directors[0].Run, "weir.sock"))}
	w.text = w.checked(check) + more
	if err := errors.Join(l.Serve(ctx), l.Directors[0].Start(w.text), l.Directors[0].WaitReady(ctx)); err != nil {
		t.Fatal(err)
	}
	return w
}

// calm has no server of whom a daemon knows that it fell before: one that flaps is held back.
func (w *ward) calm(ctx context.Context) error {
	d := w.lab.Directors[0]
	if err := errors.Join(d.Stop(), d.Start(w.text), d.WaitReady(ctx)); err != nil {
		return err
	}
	return w.until(ctx, func(out map[string]bool) bool { return len(out) == 0 })
}

// checked is the lab's services with a check.
func (w *ward) checked(check string) string {
	return strings.ReplaceAll(w.lab.Services(), "    check: off\n", "    check: "+check+"\n")
}

// suffer is one fault of the server whose turn it is.
func (w *ward) suffer(ctx context.Context, figures map[string]float64, requests int, inject func(*lab.Lab, *lab.Server) error, heal func(context.Context, *lab.Lab, *lab.Server) error) error {
	server := w.lab.Servers[w.turn%len(w.lab.Servers)]
	w.turn++
	if err := w.calm(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := inject(w.lab, server); err != nil {
		return err
	}
	if err := w.until(ctx, func(out map[string]bool) bool { return out[server.Name+"/ipv4"] && out[server.Name+"/ipv6"] }); err != nil {
		return err
	}
	figures[removedIn] = max(figures[removedIn], time.Since(began).Seconds())
	there, failed := w.ask(ctx, requests, server.Name)
	figures[newThere] += float64(there)
	figures[failedAfter] += float64(failed)
	return heal(ctx, w.lab, server)
}

// vote kills a server while clients ask, and says how long it takes until they have voted it out. A daemon that is
// started anew forgets that.
func (w *ward) vote(ctx context.Context) (seconds float64, err error) {
	server := w.lab.Servers[w.turn%len(w.lab.Servers)]
	w.turn++
	d := w.lab.Directors[0]
	voting := strings.ReplaceAll(w.lab.Services(), "  - name: web", "  - passive: vote\n    name: web")
	if err := errors.Join(d.Stop(), d.Start(voting), d.WaitReady(ctx)); err != nil {
		return 0, err
	}
	stop := w.askAlways(ctx)
	time.Sleep(3 * time.Second) // the daemon has looked at what it had before
	began := time.Now()
	if err = server.KillWeb(); err == nil {
		err = w.gone(ctx, server)
	}
	seconds = time.Since(began).Seconds()
	stop()
	return seconds, errors.Join(err, server.StartWeb(ctx))
}

// gone waits until a server has no weight by IPv4. It looks more often than until does: here a tenth of a second is much.
func (w *ward) gone(ctx context.Context, server *lab.Server) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("clients do not vote it out"))
	defer cancel()
	return every(ctx, 5*time.Millisecond, func() (bool, error) {
		out := map[string]bool{}
		err := w.outBy(ctx, lab.IPv4, out)
		return out[server.Name+"/"+string(lab.IPv4)], err
	})
}

// askAlways sends requests, one after the other, until it is stopped.
func (w *ward) askAlways(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			w.ask(ctx, len(lab.Families()), "")
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// die lets all servers die, and one of them live again.
func (w *ward) die(ctx context.Context, figures map[string]float64, requests int) error {
	if err := w.calm(ctx); err != nil {
		return err
	}
	for _, s := range w.lab.Servers {
		if err := s.KillWeb(); err != nil {
			return err
		}
	}
	all := len(lab.Families()) * len(w.lab.Servers)
	if err := w.until(ctx, func(out map[string]bool) bool { return len(out) == all }); err != nil {
		return err
	}
	for _, f := range lab.Families() {
		began := time.Now()
		_, err := w.lab.Client.Get(ctx, w.lab.Client.Addresses(f)[0], w.web(f))
		if err == nil || !strings.Contains(err.Error(), "connection refused") {
			return fmt.Errorf("nobody is there, and a client hears %v", err)
		}
		figures[refusedIn] = max(figures[refusedIn], time.Since(began).Seconds())
	}
	first := w.lab.Servers[0]
	began := time.Now()
	if err := first.StartWeb(ctx); err != nil {
		return err
	}
	if err := w.until(ctx, func(out map[string]bool) bool { return !out[first.Name+"/ipv4"] && !out[first.Name+"/ipv6"] }); err != nil {
		return err
	}
	figures[backIn] = max(figures[backIn], time.Since(began).Seconds())
	_, failed := w.ask(ctx, requests, "")
	figures[failedAfter] += float64(failed)
	for _, s := range w.lab.Servers[1:] {
		if err := s.StartWeb(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *ward) web(f lab.Family) netip.AddrPort {
	return netip.AddrPortFrom(w.lab.VIP.In(f), lab.WebPort)
}

// ask sends requests one after the other, and counts answers of a server, and failures.
func (w *ward) ask(ctx context.Context, requests int, server string) (there, failed int) {
	for i := range requests {
		f := lab.Families()[i%2]
		clients := w.lab.Client.Addresses(f)
		answer, err := w.lab.Client.Get(ctx, clients[i%len(clients)], w.web(f))
		if err != nil {
			failed++
		}
		if answer.Server == server {
			there++
		}
	}
	return there, failed
}

// until waits for what the maps say of servers without a weight, by name and family.
func (w *ward) until(ctx context.Context, good func(out map[string]bool) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the check does not find it"))
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		out, err := w.out(ctx)
		return err == nil && good(out), nil
	})
}

func (w *ward) out(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for _, f := range lab.Families() {
		if err := w.outBy(ctx, f, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w *ward) outBy(ctx context.Context, f lab.Family, out map[string]bool) error {
	from := netip.AddrPortFrom(w.lab.Client.Addresses(f)[0], 9)
	e, err := w.daemon.Explain(ctx, from.String(), w.web(f).String(), "tcp")
	if err != nil {
		return err
	}
	for _, c := range e.Servers {
		for _, s := range w.lab.Servers {
			if c.Weight == 0 && c.Address == netip.AddrPortFrom(s.Address.In(f), lab.WebPort).String() {
				out[s.Name+"/"+string(f)] = true
			}
		}
	}
	return nil
}
