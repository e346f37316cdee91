// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
)

// eventsCommand lists what has happened, the oldest first, as in a log.
func eventsCommand(env Env) *cobra.Command {
	var service string
	var last int
	ask := func(ctx context.Context, daemon *client.Client, out *output) error {
		all, err := daemon.Events(ctx)
		if err != nil {
			return err
		}
		return showEvents(meantEvents(all, service, last), out)
	}
	c := look{name: "events", short: "what has happened to servers, services, virtual routers and other directors, and why", ask: ask}.command(env)
	c.Args = func(c *cobra.Command, args []string) error {
		if last < 0 {
			return usageError{c, "--last is a number of events, or 0 for all"}
		}
		return noArguments(c, args)
	}
	c.Flags().StringVar(&service, "service", "", "of the service of this `NAME` only")
	c.Flags().IntVarP(&last, "last", "n", 0, "the last `N`; 0 is all")
	return c
}

// meantEvents are those of a service, if one is named, and of these the last.
func meantEvents(all []api.Event, service string, last int) []api.Event {
	out := slices.DeleteFunc(all, func(e api.Event) bool { return service != "" && e.Service != service })
	if last > 0 && len(out) > last {
		out = out[len(out)-last:]
	}
	return out
}

func showEvents(events []api.Event, out *output) error {
	const kindColumn = 1
	colours := map[string]colour{}
	t := newTable("TIME", "EVENT", "SERVICE", "SERVER", "AFTER", "REASON")
	for _, e := range events {
		colours[e.Kind] = map[string]colour{"warning": yellow, "critical": red}[e.Severity]
		t.add(e.Time.Format(time.DateTime), e.Kind, cmp.Or(e.Service, e.Router, e.Peer), e.Server, after(e), e.Reason)
	}
	t.paint = func(column int, text string) string {
		if c := colours[text]; column == kindColumn && c != 0 {
			return out.paint(c, text)
		}
		return text
	}
	return out.print(events, t.write)
}

// after is how long it took until what had begun was over.
func after(e api.Event) string {
	if e.Since.IsZero() {
		return ""
	}
	return e.Time.Sub(e.Since).Round(time.Second).String()
}
