// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// connectionsCommand lists connections as `ipvsadm -Lnc` does.
func connectionsCommand(env Env) *cobra.Command {
	var query client.ConnectionsQuery
	ask := func(ctx context.Context, daemon *client.Client, out *output) error {
		return showConnections(ctx, daemon, query, out)
	}
	c := look{name: "connections", short: "connections that live, as ipvsadm -Lnc lists them", ask: ask}.command(env)
	c.Flags().StringVar(&query.Service, "service", "", "those of the service `NAME` only")
	c.Flags().Uint64Var(&query.Limit, "limit", 0, "at most `N`; 0 is all")
	if err := c.RegisterFlagCompletionFunc("service", serviceNames); err != nil {
		panic(err) // the flag was added right above
	}
	return c
}

func showConnections(ctx context.Context, daemon *client.Client, query client.ConnectionsQuery, out *output) error {
	connections, err := daemon.Connections(ctx, query)
	if err != nil {
		return err
	}
	t := newTable("PRO", "EXPIRE", "STATE", "CLIENT", "VIRTUAL", "SERVER")
	for _, c := range connections {
		t.add(c.Protocol, minutes(c.ExpiresS), c.State, c.Client, c.Virtual, c.Server)
	}
	return out.print(connections, t.write)
}

// minutes prints seconds as MM:SS.
func minutes(seconds int64) string {
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}

// serviceNames completes the name of a service from what the daemon has.
func serviceNames(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	from := daemon{run: c.Flag("run").Value.String(), socket: c.Flag("socket").Value.String()}
	services, err := from.client().Services(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
