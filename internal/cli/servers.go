// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// serversCommand lists servers in the columns of `ipvsadm -Ln`, with state and reason.
func serversCommand(env Env) *cobra.Command {
	return look{"servers", "servers of each service, their state and its reason", showServers}.command(env)
}

func showServers(ctx context.Context, daemon *client.Client, out *output) error {
	servers, err := daemon.Servers(ctx)
	if err != nil {
		return err
	}
	const stateColumn = 6
	t := newTable("SERVICE", "SERVER", "FORWARD", ">WEIGHT", ">ACTIVECONN", ">INACTCONN", "STATE", "REASON")
	for _, s := range servers {
		t.add(s.Service, s.Address, s.Forwarding, strconv.Itoa(int(s.Weight)),
			number(&s.Active), number(&s.Inactive), s.State, s.Reason)
	}
	t.paint = func(column int, text string) string {
		if column == stateColumn {
			return out.paint(states[text], text)
		}
		return text
	}
	return out.print(servers, t.write)
}

// states are the colours of a server's states.
var states = map[string]colour{"up": green, "quiesced": yellow, "unreachable": red}
