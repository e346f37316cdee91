// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
)

// serversCommand lists servers in the columns of `ipvsadm -Ln`, with state and reason.
func serversCommand(env Env) *cobra.Command {
	return look{
		name: "servers", short: "servers of each service, their state and its reason", wide: true, ask: showServers, rates: showServerRates,
	}.command(env)
}

func showServers(ctx context.Context, daemon *client.Client, out *output) error {
	servers, err := daemon.Servers(ctx)
	if err != nil {
		return err
	}
	const stateColumn = 14
	t := newTable("SERVICE", "SERVER", "FORWARD", "TUNNEL", ">WEIGHT", ">ACTIVECONN", ">INACTCONN", ">HALFOPEN", ">PERSISTCONN",
		">CONNS", ">INPKTS", ">OUTPKTS", ">INBYTES", ">OUTBYTES", "STATE", "REASON")
	if !out.isWide() {
		t.hide("TUNNEL", "HALFOPEN", "PERSISTCONN", "CONNS", "INPKTS", "OUTPKTS", "INBYTES", "OUTBYTES")
	}
	for _, s := range servers {
		t.add(s.Service, s.Address, s.Forwarding, tunnel(s.Tunnel), weight(s),
			number(&s.Active), number(&s.Inactive), number(&s.HalfOpen), number(&s.Persistent), number(&s.Connections),
			number(&s.PacketsIn), number(s.PacketsOut), number(&s.BytesIn), number(s.BytesOut), s.State, s.Reason)
	}
	t.paint = func(column int, text string) string {
		if column == stateColumn {
			return out.paint(states[text], text)
		}
		return text
	}
	return out.print(servers, t.write)
}

func showServerRates(ctx context.Context, daemon *client.Client, out *output) error {
	servers, err := daemon.Servers(ctx)
	if err != nil {
		return err
	}
	t := newTable("SERVICE", "SERVER", ">CPS", ">INPPS", ">OUTPPS", ">INBPS", ">OUTBPS")
	for _, s := range servers {
		t.add(append([]string{s.Service, s.Address}, rateColumns(s.Rates)...)...)
	}
	return out.print(servers, t.write)
}

// weight is the one in use, as with ipvsadm.
func weight(s api.Server) string {
	if s.Effective != nil {
		return strconv.Itoa(int(*s.Effective))
	}
	return strconv.Itoa(int(s.Weight))
}

// tunnel is as `ipvsadm -Ln --tun-info` has it: type, port, and with or without checksum.
func tunnel(t *api.Tunnel) string {
	if t == nil {
		return "-"
	}
	text := t.Type
	if t.Port != 0 {
		text += ":" + strconv.Itoa(int(t.Port))
	}
	switch {
	case t.Checksum:
		text += ":+c"
	case t.Type != "ipip":
		text += ":-c"
	}
	if t.Source != "" {
		text += " from " + t.Source
	}
	return text
}

// states are the colours of a server's states.
var states = map[string]colour{"up": green, "quiesced": yellow, "full": yellow, "leaving": yellow, "waiting": yellow, "standby": yellow, "panic": red, "unreachable": red, "down": red}
