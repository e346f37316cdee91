// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/weir-lb/weir/internal/lab"
)

// stages are the methods that the demo shows, in LVS's order, and where they are at home.
var stages = []stage{
	{lab.NAT, lab.TwoArm},
	{lab.TUN, lab.Routed},
	{lab.DR, lab.LAN},
}

type stage struct {
	method lab.Forwarding
	shape  lab.Shape
}

// How much the demo asks for.
const (
	visits          = 3               // requests of each client
	visitsTime      = 8 * time.Second // for all of them; they take a tenth of a second
	restartRequests = 400
	restartInterval = 8 * time.Millisecond
	readyTime       = time.Minute // until a daemon is ready: a tenth of a second, but for an emulated processor that others want, too
)

func demoCommand() *cobra.Command {
	d := &demo{}
	c := d.command(&cobra.Command{
		Use:   "demo",
		Short: "Send real traffic through every method, kill the daemon, and tell what came of it",
	}, func(ctx context.Context) outcome { return d.run(ctx) })
	c.AddCommand(healthCommand(), failoverCommand())
	return c
}

// command makes a command of what a demo does.
func (d *demo) command(c *cobra.Command, run func(context.Context) outcome) *cobra.Command {
	var asJSON bool
	c.Args = usage(cobra.NoArgs)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if d.weir, err = checkHost(d.weir); err != nil {
			return err
		}
		d.progress = c.ErrOrStderr()
		d.page, d.paint = c.OutOrStdout(), paintFor(c.OutOrStdout())
		if asJSON {
			d.page = io.Discard
		}
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		result := run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return show(c.OutOrStdout(), asJSON, result)
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the result for machines")
	weirFlag(c, &d.weir)
	return c
}

// demo runs the stages one after the other and tells on the way how far it is.
type demo struct {
	weir     string
	progress io.Writer
	page     io.Writer // for what a person reads as it comes
	paint    paint
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.progress, format+"\n", args...)
}

// run never stops at a failure of weir: what fails is part of the result.
func (d *demo) run(ctx context.Context) result {
	out := result{Rows: []row{}}
	for _, s := range stages {
		if err := d.play(ctx, s, &out); err != nil && ctx.Err() == nil {
			d.say("%s: %v", s.method, err)
		}
	}
	out.judge()
	return out
}

// play builds the network of a method and sends traffic through it.
func (d *demo) play(ctx context.Context, s stage, out *result) (err error) {
	d.say("%s: a network of shape %s", s.method, s.shape)
	l, err := lab.New(ctx, lab.Config{Shape: s.shape, Forwarding: s.method, Weir: d.weir, Confined: true, Log: d.log()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := d.start(ctx, l); err != nil {
		return err
	}
	for _, f := range lab.Families() {
		d.say("%s: %d clients over %s", s.method, len(l.Client.Addresses(f)), f)
		tally := visit(ctx, l, f)
		out.Rows = append(out.Rows, newRow(s.method, f, l, tally))
		d.explain(ctx, l, tally)
	}
	if s == stages[len(stages)-1] {
		out.Restart, err = d.restart(ctx, l)
	}
	return err
}

func (d *demo) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(d.progress, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// start brings everything up until the service can be used.
func (d *demo) start(ctx context.Context, l *lab.Lab) error {
	server, err := l.WebServer()
	if err != nil {
		return err
	}
	if err := l.Serve(ctx); err != nil {
		return err
	}
	d.say("%s: one director, %d servers with %s", l.Forwarding, len(l.Servers), server)
	director := l.Directors[0]
	if err := director.Start(l.Services()); err != nil {
		return err
	}
	return waitReady(ctx, director)
}

func waitReady(ctx context.Context, d *lab.Director) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("gave up after %v", readyTime))
	defer cancel()
	return d.WaitReady(ctx)
}

// visit lets every client ask, with an end to it when nobody answers.
func visit(ctx context.Context, l *lab.Lab, f lab.Family) lab.Tally {
	ctx, cancel := context.WithTimeoutCause(ctx, visitsTime, fmt.Errorf("gave up after %v", visitsTime))
	defer cancel()
	return l.Client.Visit(ctx, web(l, f), visits)
}

// web is where clients ask.
func web(l *lab.Lab, f lab.Family) netip.AddrPort {
	return netip.AddrPortFrom(l.VIP.In(f), lab.WebPort)
}

// restart kills the daemon with -9 while clients open connections, and starts it again.
func (d *demo) restart(ctx context.Context, l *lab.Lab) (*restart, error) {
	const before, dead = restartRequests / 4, restartRequests / 4 // requests
	d.say("%s: the daemon is killed with -9 under load, and started again", l.Forwarding)
	director := l.Directors[0]
	tallies := make(chan lab.Tally, 1)
	go func() {
		to := []netip.AddrPort{web(l, lab.IPv4), web(l, lab.IPv6)}
		tallies <- l.Client.Pace(ctx, to, restartRequests, restartInterval)
	}()
	time.Sleep(before * restartInterval)
	err := director.Kill()
	time.Sleep(dead * restartInterval)
	err = errors.Join(err, director.Restart(), waitReady(ctx, director))
	tally := <-tallies
	d.explain(ctx, l, tally)
	return &restart{Requests: tally.Requests, Failed: tally.Failed}, err
}

// explain tells, after failures, what the director thinks of it.
func (d *demo) explain(ctx context.Context, l *lab.Lab, t lab.Tally) {
	if t.Failed == 0 || ctx.Err() != nil {
		return
	}
	d.say("%s: %d of %d requests failed, the first: %v", l.Forwarding, t.Failed, t.Requests, t.First)
	for _, command := range []string{"status", "servers", "counters"} {
		text, err := l.Directors[0].Weir(ctx, command)
		if err != nil {
			text += err.Error() + "\n"
		}
		d.say("weir %s:\n%s", command, text)
	}
}
