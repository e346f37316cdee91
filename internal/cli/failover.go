// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// failoverCommand leaves virtual routers to another director.
func failoverCommand(env Env) *cobra.Command {
	var from daemon
	out := output{env: env}
	c := &cobra.Command{
		Use:   "failover [ROUTER...]",
		Short: "leave virtual routers to another director, before this one is worked on",
		Long: "This director steps down as master of these virtual routers, or of all of which it is, and returns when it is\n" +
			"that no more. Another one takes over at once. `weir vrrp` lists them, and shows what has become of it.",
		GroupID:           changes,
		ValidArgsFunction: routersToLeave,
		RunE: func(c *cobra.Command, names []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			left, err := from.client().StepDown(ctx, names...)
			if err != nil {
				return err
			}
			return out.print(left, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "left to another director: %s\n", strings.Join(left.Routers, ", "))
				return err
			})
		},
	}
	from.flags(c)
	out.flags(c)
	return c
}

// routersToLeave completes the names of those of which the director is master, and that are not there yet.
func routersToLeave(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	routers, err := daemonOf(c).VirtualRouters(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, r := range routers {
		if r.State == "master" && !slices.Contains(args, r.Name) {
			out = append(out, r.Name)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
