// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/lab"
)

// checked is how servers are asked in the demo.
const checked = "    check: {http: /health, interval: 1s, timeout: 500ms, fall: 2}\n"

const (
	requestEvery = 8 * time.Millisecond
	warm         = 300 * time.Millisecond // of load before a fault
	cool         = 700 * time.Millisecond // and when it was found
	foundTime    = 15 * time.Second
)

// faults are what happens to the first server, or to all, and how it is undone.
func faults() []fault {
	first := func(do func(*lab.Server) error) func(context.Context, *lab.Lab) error {
		return func(_ context.Context, l *lab.Lab) error { return do(l.Servers[0]) }
	}
	start := func(ctx context.Context, l *lab.Lab) error { return l.Servers[0].StartWeb(ctx) }
	kill := first((*lab.Server).KillWeb)
	return []fault{
		{name: "killed", inject: kill, heal: start},
		{name: "hung", inject: first((*lab.Server).HangWeb), heal: first((*lab.Server).ResumeWeb)},
		{name: "unplugged", inject: func(_ context.Context, l *lab.Lab) error { return l.Unplug(&l.Servers[0].Node) },
			heal: func(_ context.Context, l *lab.Lab) error { return l.Plug(&l.Servers[0].Node) }},
		{name: "slow", inject: first(func(s *lab.Server) error { return s.SlowWeb(time.Second) }), heal: first(func(s *lab.Server) error { return s.SlowWeb(0) })},
		{name: "wrong-answer", inject: first((*lab.Server).Unwell), heal: first((*lab.Server).Well)},
		{name: "vip-missing", inject: func(ctx context.Context, l *lab.Lab) error { return l.Servers[0].DropVIP(ctx) },
			heal: func(ctx context.Context, l *lab.Lab) error { return l.Servers[0].HoldVIP(ctx) }},
		{name: "flapping", inject: kill, meanwhile: flap, heal: start},
		{name: "all-down", inject: onAll((*lab.Server).KillWeb), all: true,
			heal: func(ctx context.Context, l *lab.Lab) error {
				return onAll(func(s *lab.Server) error { return s.StartWeb(ctx) })(ctx, l)
			}},
	}
}

// flap is back for a moment, which is too short to be believed.
func flap(ctx context.Context, l *lab.Lab) error {
	if err := l.Servers[0].StartWeb(ctx); err != nil {
		return err
	}
	time.Sleep(cool / 2)
	return l.Servers[0].KillWeb()
}

// onAll is for all servers but the last, which is the sorry server.
func onAll(do func(*lab.Server) error) func(context.Context, *lab.Lab) error {
	return func(_ context.Context, l *lab.Lab) error {
		var errs []error
		for _, s := range l.Servers[:len(l.Servers)-1] {
			errs = append(errs, do(s))
		}
		return errors.Join(errs...)
	}
}

// fault is one way to fail.
type fault struct {
	name         string
	inject, heal func(context.Context, *lab.Lab) error
	meanwhile    func(context.Context, *lab.Lab) error // when it was found; nil: nothing
	all          bool                                  // servers, not the first alone
}

// healthResult is what the demo ends with. Its JSON is a contract.
type healthResult struct {
	OK   bool        `json:"ok"`
	Rows []healthRow `json:"rows"`
}

type healthRow struct {
	Fault       string `json:"fault"`
	DetectedMS  int64  `json:"detected_ms,omitempty"` // from the fault to the maps without the server; absent: never
	Failed      int    `json:"failed"`                // requests begun before that
	FailedAfter int    `json:"failed_after"`          // requests begun later
	Reason      string `json:"reason"`                // as `weir servers` says it
}

func (r healthRow) good() bool { return r.DetectedMS > 0 && r.FailedAfter == 0 && r.Reason != "" }

func (r healthResult) ok() bool { return r.OK }

func (r *healthResult) judge() {
	r.OK = len(r.Rows) == len(faults())
	for _, row := range r.Rows {
		r.OK = r.OK && row.good()
	}
}

func healthCommand() *cobra.Command {
	d := &healthDemo{}
	return d.command(&cobra.Command{
		Use:   "health",
		Short: "Let servers fail in many ways under load, and tell how soon it is found, and what it costs",
	}, func(ctx context.Context) outcome {
		result, err := d.run(ctx)
		if err != nil && ctx.Err() == nil {
			d.say("%v", err)
		}
		return result
	})
}

// healthDemo is one network in which one thing after the other goes wrong.
type healthDemo struct {
	demo
	lab    *lab.Lab
	daemon *client.Client
}

// run never stops at a failure of weir: what fails is part of the result.
func (d *healthDemo) run(ctx context.Context) (out healthResult, err error) {
	out.Rows = []healthRow{}
	d.say("dr: a network of shape lan, with 3 servers and a sorry server, asked by %s", strings.TrimSpace(checked))
	d.lab, err = lab.New(ctx, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Servers: 4, Web: lab.WebOwn, Weir: d.weir, Confined: true, Log: d.log()})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, d.lab.Close()) }()
	if err := d.begin(ctx); err != nil {
		return out, err
	}
	for _, f := range faults() {
		row, err := d.play(ctx, f)
		if err != nil {
			return out, fmt.Errorf("%s: %w", f.name, err)
		}
		out.Rows = append(out.Rows, row)
	}
	out.judge()
	return out, nil
}

func (d *healthDemo) begin(ctx context.Context) error {
	if err := d.lab.Serve(ctx); err != nil {
		return err
	}
	director := d.lab.Directors[0]
	d.daemon = client.New(filepath.Join(director.Run, "weir.sock"))
	if err := director.Start(d.config()); err != nil {
		return err
	}
	return waitReady(ctx, director)
}

// config is the web service in both families, with a check and a sorry server.
func (d *healthDemo) config() string {
	var out strings.Builder
	out.WriteString("services:\n")
	for _, f := range lab.Families() {
		fmt.Fprintf(&out, "  - name: web-%s\n    address: %q\n    scheduler: rr\n    forwarding: dr\n%s", f, web(d.lab, f), checked)
		last := len(d.lab.Servers) - 1
		fmt.Fprintf(&out, "    sorry: %q\n    servers:\n", d.lab.Servers[last].Address.In(f))
		for _, s := range d.lab.Servers[:last] {
			fmt.Fprintf(&out, "      - %q\n", s.Address.In(f))
		}
	}
	return out.String()
}

// play is one fault, from all being well to all being well again.
func (d *healthDemo) play(ctx context.Context, f fault) (row healthRow, err error) {
	row.Fault = f.name
	if err := d.calm(ctx); err != nil {
		return row, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of the load, if it is not stopped
	load := d.load(ctx)
	time.Sleep(warm)
	began := time.Now()
	if err := f.inject(ctx, d.lab); err != nil {
		return row, err
	}
	out := 2 // in both families
	if f.all {
		out *= len(d.lab.Servers) - 1
	}
	waiting := d.until(ctx, "it is found", func(n int) bool { return n >= out })
	found := time.Now()
	if waiting == nil {
		row.DetectedMS = found.Sub(began).Milliseconds()
		row.Reason, err = d.reason(ctx)
	}
	if f.meanwhile != nil {
		err = errors.Join(err, f.meanwhile(ctx, d.lab))
	}
	time.Sleep(cool)
	for _, r := range load() {
		switch {
		case r.err == nil:
		case r.began.Before(found):
			row.Failed++
		default:
			row.FailedAfter++
		}
	}
	d.say("dr: %s: found after %d ms: %s", f.name, row.DetectedMS, row.Reason)
	return row, errors.Join(err, f.heal(ctx, d.lab))
}

// calm has a daemon that knows of no earlier fault, and all servers well: one that falls again and again is held back.
func (d *healthDemo) calm(ctx context.Context) error {
	director := d.lab.Directors[0]
	if err := errors.Join(director.Stop(), director.Restart(), waitReady(ctx, director)); err != nil {
		return err
	}
	return d.until(ctx, "all servers are well", func(n int) bool { return n == 0 })
}

// until waits for a number of servers that have no weight in the maps, without the sorry servers.
func (d *healthDemo) until(ctx context.Context, what string, good func(out int) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, foundTime, fmt.Errorf("%v later not yet: %s", foundTime, what))
	defer cancel()
	for {
		out, err := d.out(ctx)
		if err == nil && good(out) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// out asks the maps, not the plan.
func (d *healthDemo) out(ctx context.Context) (n int, err error) {
	sorry := d.lab.Servers[len(d.lab.Servers)-1]
	for _, f := range lab.Families() {
		from := netip.AddrPortFrom(d.lab.Client.Addresses(f)[0], 9)
		e, err := d.daemon.Explain(ctx, from.String(), web(d.lab, f).String(), "tcp")
		if err != nil {
			return 0, err
		}
		for _, s := range e.Servers {
			if s.Weight == 0 && s.Address != netip.AddrPortFrom(sorry.Address.In(f), lab.WebPort).String() {
				n++
			}
		}
	}
	return n, nil
}

// reason is that of the first server that is not well.
func (d *healthDemo) reason(ctx context.Context) (string, error) {
	servers, err := d.daemon.Servers(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range servers {
		if s.State == "down" || s.State == "unreachable" {
			return s.Reason, nil
		}
	}
	return "", nil
}

// asked is one request of the load.
type asked struct {
	began time.Time
	err   error
}

// load opens connections until it is stopped, and returns what came of each.
func (d *healthDemo) load(ctx context.Context) (stop func() []asked) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex // guards all
	var all []asked
	var running sync.WaitGroup
	running.Go(func() {
		ticks := time.NewTicker(requestEvery)
		defer ticks.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			running.Go(func() {
				r := d.request(i)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, r)
			})
		}
	})
	return func() []asked {
		cancel()
		running.Wait()
		return all
	}
}

// requestTime is what a client has patience for: a lost SYN comes again after a second.
const requestTime = 3 * time.Second

func (d *healthDemo) request(i int) asked {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	f := lab.Families()[i%2]
	clients := d.lab.Client.Addresses(f)
	r := asked{began: time.Now()}
	_, r.err = d.lab.Client.Get(ctx, clients[i%len(clients)], web(d.lab, f))
	return r
}

// text is a table for people.
func (r healthResult) text(p paint) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-12s  %8s  %6s  %5s  %s\n", "FAULT", "FOUND", "FAILED", "AFTER", "REASON")
	for _, row := range r.Rows {
		row.write(&out, p)
	}
	verdict := "Each fault was found, and no request failed after that."
	if !r.OK {
		verdict = "Not all went well: see above."
	}
	fmt.Fprintf(&out, "\nFAILED: of 125 requests a second, those begun before the server was out. AFTER: those begun later.\n%s\n", p(r.OK, verdict))
	return out.String()
}

func (r healthRow) write(out io.Writer, p paint) {
	found := fmt.Sprintf("%5.2f s ", float64(r.DetectedMS)/1000)
	if r.DetectedMS == 0 {
		found = "never"
	}
	fmt.Fprintf(out, "%-12s  %s  %6d  %s  %s\n", r.Fault, p(r.DetectedMS > 0, fmt.Sprintf("%8s", found)), r.Failed,
		p(r.FailedAfter == 0, fmt.Sprintf("%5d", r.FailedAfter)), r.Reason)
}
