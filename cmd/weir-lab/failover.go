// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/internal/lab"
)

// What clients do in the demo of a takeover.
const (
	residents   = 1000 // connections that stay, of each family, unless it is said otherwise
	speakEvery  = time.Second
	beforeEvent = 300 * time.Millisecond // for so long others come first
	afterEvent  = 500 * time.Millisecond // and when it is over
)

// scene is what happens to two directors that forward by a method.
type scene struct {
	method lab.Forwarding
	events []event
}

// scenes are what is shown to who asks for nothing else, in a minute: each event once, and the hardest one by every method.
func scenes() []scene {
	return []scene{
		{lab.DR, events()},
		{lab.NAT, []event{cutOff}},
		{lab.TUN, []event{cutOff}},
	}
}

// events are all of them, in their order.
func events() []event { return []event{planned, killed, cutOff, returned, linkFlap, oneWay} }

// eventNames are those by which a person asks for events, in their order.
func eventNames() []string {
	var names []string
	for _, e := range events() {
		names = append(names, e.name)
	}
	return names
}

// methodNames are the methods by which two directors of a demo can forward.
func methodNames() []string {
	var names []string
	for _, f := range lab.LAN.Forwardings() {
		names = append(names, string(f))
	}
	return names
}

// either says words for people, the last two with an or between them.
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// scenesOf are all events by a method, or those that are named; "" and none: what is shown to everybody.
func scenesOf(method string, names []string) ([]scene, error) {
	switch {
	case method != "" && !slices.Contains(methodNames(), method):
		return nil, usageError{fmt.Errorf("no forwarding %q: it is %s", method, either(methodNames()))}
	case method == "" && len(names) == 0:
		return scenes(), nil
	case method == "":
		method = string(lab.DR)
	}
	chosen, err := eventsOf(names)
	return []scene{{lab.Forwarding(method), chosen}}, err
}

// eventsOf are those of these names, in their order; no names: all.
func eventsOf(names []string) (chosen []event, err error) {
	for _, name := range names {
		if !slices.Contains(eventNames(), name) {
			return nil, usageError{fmt.Errorf("no event %q: it is %s", name, either(eventNames()))}
		}
	}
	for _, e := range events() {
		if len(names) == 0 || slices.Contains(names, e.name) {
			chosen = append(chosen, e)
		}
	}
	off := false
	for _, e := range chosen {
		if off != (e.name == returned.name) {
			return nil, usageError{errors.New("what is cut off has to return before anything else happens, and only that returns: name cut-off and returned together, or cut-off as the last one")}
		}
		off = e.name == cutOff.name
	}
	return chosen, nil
}

func failoverCommand() *cobra.Command {
	d := &failoverDemo{}
	var method string
	var names []string
	c := d.command(&cobra.Command{
		Use:   "failover",
		Short: "Let one of two directors leave, fail and return under load, and tell what it costs",
	}, func(ctx context.Context) outcome { return d.run(ctx) })
	c.Flags().IntVar(&d.connections, "connections", residents, "`NUMBER` of connections that stay, in each family")
	c.Flags().StringVar(&method, "forwarding", "", "show all events by this `METHOD`: "+either(methodNames())+" (default: by dr, and cut-off by all)")
	c.Flags().StringSliceVar(&names, "event", nil, "show this `EVENT` alone, or these: "+strings.Join(eventNames(), ", "))
	c.PreRunE = func(*cobra.Command, []string) (err error) {
		if d.connections < 1 {
			return usageError{fmt.Errorf("%d connections: at least one", d.connections)}
		}
		d.scenes, err = scenesOf(method, names)
		return err
	}
	return c
}

// failoverDemo is one pair of directors after the other.
type failoverDemo struct {
	demo
	scenes      []scene
	connections int
}

// run never stops at a failure of weir: what fails is part of the result.
func (d *failoverDemo) run(ctx context.Context) failoverResult {
	out, began := failoverResult{Rows: []failoverRow{}}, time.Now()
	io.WriteString(d.page, failoverHead)
	for _, s := range d.scenes {
		out.wanted += len(s.events) * len(lab.Families())
		if err := d.play(ctx, s, &out); err != nil && ctx.Err() == nil {
			d.say("%s: %v", s.method, err)
		}
	}
	out.judge()
	out.took = time.Since(began)
	return out
}

// play builds a pair of directors, and lets one thing after the other happen to it.
func (d *failoverDemo) play(ctx context.Context, s scene, out *failoverResult) (err error) {
	l, err := lab.New(ctx, lab.Config{Shape: lab.LAN, Forwarding: s.method, Directors: 2, Weir: d.weir, Confined: true, Log: d.log()})
	if err != nil {
		return err
	}
	p := newPair(l)
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.open(ctx, d.connections); err != nil {
		return err
	}
	for _, e := range s.events {
		if err := d.show(ctx, p, e, out); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

// show lets one thing happen, tells a person at once what clients saw of it, and undoes it.
func (d *failoverDemo) show(ctx context.Context, p *pair, e event, out *failoverResult) error {
	rows, err := p.seen(ctx, e)
	for _, row := range rows {
		io.WriteString(d.page, row.text(d.paint))
		for _, note := range row.notes {
			d.say("%s, %s: %s", e.name, row.Family, note)
		}
	}
	out.Rows = append(out.Rows, rows...)
	if err == nil && e.mend != nil {
		err = within(ctx, e.mend, p)
	}
	return err
}
