// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/model"
)

// connectionsCommand lists connections as `ipvsadm -Lnc` does.
func connectionsCommand(env Env) *cobra.Command {
	var query client.ConnectionsQuery
	var count bool
	ask := func(ctx context.Context, daemon *client.Client, out *output) error {
		if count {
			return countConnections(ctx, daemon, query, out)
		}
		return showConnections(ctx, daemon, query, out)
	}
	c := look{name: "connections", short: "connections that live, as ipvsadm -Lnc lists them", ask: ask}.command(env)
	filterFlags(c, &query)
	c.Flags().Uint64Var(&query.Limit, "limit", 0, "at most `N`; 0 is all")
	c.Flags().BoolVar(&count, "count", false, "how many there are, by protocol, state and server")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if count && c.Flags().Changed("limit") {
			return usageError{c, "--count counts all that are meant, --limit is for the list: leave one out"}
		}
		return nil
	}
	return c
}

// filterFlags are the flags that say which connections are meant; the daemon judges their values.
func filterFlags(c *cobra.Command, q *client.ConnectionsQuery) {
	c.Flags().StringVar(&q.Service, "service", "", "only those of the service `NAME`, or with this ADDRESS:PORT")
	c.Flags().StringVar(&q.Server, "server", "", "only those of the server `ADDRESS[:PORT]`")
	c.Flags().StringVar(&q.Client, "client", "", "only those from `ADDRESS|NETWORK`, such as 203.0.113.0/24")
	c.Flags().StringVar(&q.Protocol, "protocol", "", "only those of `tcp|udp|sctp`")
	c.Flags().StringVar(&q.State, "state", "", "only those in `STATE`, such as ESTABLISHED")
	for name, complete := range map[string]cobra.CompletionFunc{
		"service":  serviceNames,
		"server":   cobra.NoFileCompletions,
		"client":   cobra.NoFileCompletions,
		"protocol": cobra.FixedCompletions([]string{"tcp", "udp", "sctp"}, cobra.ShellCompDirectiveNoFileComp),
		"state":    cobra.FixedCompletions(model.States(), cobra.ShellCompDirectiveNoFileComp),
	} {
		if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // the flag was added right above
		}
	}
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

func countConnections(ctx context.Context, daemon *client.Client, query client.ConnectionsQuery, out *output) error {
	totals, err := daemon.CountConnections(ctx, query)
	if err != nil {
		return err
	}
	t := newTable("PRO", "STATE", "SERVER", ">CONNECTIONS")
	for _, g := range totals.Groups {
		t.add(g.Protocol, g.State, g.Server, model.Grouped(g.Connections))
	}
	return out.print(totals, func(w io.Writer) error {
		if err := t.write(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "\nconnections: %s\n", model.Grouped(totals.Connections))
		return err
	})
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
