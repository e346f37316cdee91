// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/model"
)

// connectionsCommand lists connections as `ipvsadm -Lnc` does, counts them, or ends them.
func connectionsCommand(env Env) *cobra.Command {
	var asked connectionsAsked
	c := look{
		name: "connections", short: "connections that live, as ipvsadm -Lnc lists them; --kill ends them", ask: asked.ask,
	}.command(env)
	filterFlags(c, &asked.query)
	c.Flags().Uint64Var(&asked.query.Limit, "limit", 0, "at most `N`; 0 is all")
	c.Flags().BoolVar(&asked.count, "count", false, "how many there are, by protocol, state and server")
	c.Flags().BoolVar(&asked.kill, "kill", false, "end those that are meant, and say how many they were")
	c.Flags().BoolVar(&asked.all, "all", false, "with --kill: every connection there is")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if complaint := asked.complaint(c.Flags().Changed("limit")); complaint != "" {
			return usageError{c, complaint}
		}
		if name := emptyFilter(c); asked.kill && name != "" {
			return usageError{c, fmt.Sprintf("--%s is empty, and would keep nothing from being killed: give it a value, or leave it out", name)}
		}
		return nil
	}
	return c
}

// emptyFilter is a filter that was given without a value, as by a script whose variable is not set.
func emptyFilter(c *cobra.Command) string {
	for _, name := range []string{"service", "server", "client", "protocol", "state"} {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return name
		}
	}
	return ""
}

// connectionsAsked is which connections are meant, and what for.
type connectionsAsked struct {
	query client.ConnectionsQuery
	count bool
	kill  bool
	all   bool
}

func (a *connectionsAsked) ask(ctx context.Context, daemon *client.Client, out *output) error {
	switch {
	case a.count:
		return countConnections(ctx, daemon, a.query, out)
	case a.kill:
		return a.killConnections(ctx, daemon, out)
	}
	return showConnections(ctx, daemon, a.query, out)
}

// complaint is what cannot be meant, and the way out. Nobody kills all by forgetting a filter.
func (a *connectionsAsked) complaint(limited bool) string {
	filtered := a.query != client.ConnectionsQuery{}
	switch {
	case a.count && a.kill:
		return "--count counts connections, --kill ends them: leave one out"
	case a.count && limited:
		return "--count counts all that are meant, --limit is for the list: leave one out"
	case a.kill && limited:
		return "--kill ends all that are meant, --limit is for the list: leave one out"
	case a.all && !a.kill:
		return "--all is for --kill; without a filter, all are meant anyway: leave it out"
	case a.all && filtered:
		return "--all is every connection: leave it out, or the filters"
	case a.kill && !a.all && !filtered:
		return "--kill would end every connection: say which by --service, --server, --client, --protocol or --state, or give --all"
	}
	return ""
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
		"state":    cobra.FixedCompletions(model.ListedStates(), cobra.ShellCompDirectiveNoFileComp),
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

func (a *connectionsAsked) killConnections(ctx context.Context, daemon *client.Client, out *output) error {
	kill := func() (api.Killed, error) { return daemon.KillConnections(ctx, a.query) }
	if a.all {
		kill = func() (api.Killed, error) { return daemon.KillAllConnections(ctx) }
	}
	killed, err := kill()
	if err != nil {
		return err
	}
	return out.print(killed, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "killed: %s\n", model.Grouped(killed.Killed))
		return err
	})
}

// minutes prints seconds as MM:SS.
func minutes(seconds int64) string {
	return fmt.Sprintf("%02d:%02d", seconds/60, seconds%60)
}

// serviceNames completes the name of a service from what the daemon has.
func serviceNames(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	services, err := daemonOf(c).Services(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
