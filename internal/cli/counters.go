// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// countersCommand says what became of the packets.
func countersCommand(env Env) *cobra.Command {
	var all bool
	ask := func(ctx context.Context, daemon *client.Client, out *output) error {
		return showCounters(ctx, daemon, all, out)
	}
	c := look{name: "counters", short: "what became of the packets, and how many", ask: ask}.command(env)
	c.Flags().BoolVar(&all, "all", false, "in the table, those that are 0 too")
	return c
}

func showCounters(ctx context.Context, daemon *client.Client, all bool, out *output) error {
	counters, err := daemon.Counters(ctx)
	if err != nil {
		return err
	}
	verdicts, err := daemon.Verdicts(ctx)
	if err != nil {
		return err
	}
	t := newTable("VERDICT", ">PACKETS", "MEANING")
	for _, v := range verdicts {
		if n := counters[v.Name]; n > 0 || all {
			t.add(v.Name, strconv.FormatUint(n, 10), v.Help)
		}
	}
	return out.print(counters, t.write)
}
