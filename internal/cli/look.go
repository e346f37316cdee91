// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// patience is how long a command waits for the daemon.
const patience = time.Minute

// look is a command that asks the daemon and prints what it answers.
type look struct {
	name  string
	short string
	wide  bool // its table has more columns than a terminal
	ask   asking
	rates asking // what --rates asks; nil: there is no such flag
}

// asking asks the daemon and prints what it answers.
type asking func(ctx context.Context, daemon *client.Client, out *output) error

// command makes the cobra command of a look.
func (l look) command(env Env) *cobra.Command {
	var from daemon
	var rates bool
	out := output{env: env}
	c := &cobra.Command{
		Use:               l.name,
		Short:             l.short,
		GroupID:           looks,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			if rates {
				return l.rates(ctx, from.client(), &out)
			}
			return l.ask(ctx, from.client(), &out)
		},
	}
	from.flags(c)
	if l.rates != nil {
		c.Flags().BoolVar(&rates, "rates", false, "what comes in a second, in the columns of ipvsadm -Ln --rate")
	}
	if l.wide {
		out.wideFlags(c)
	} else {
		out.flags(c)
	}
	return c
}
