// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// syncCommand lists the directors that connections are shared with.
func syncCommand(env Env) *cobra.Command {
	return look{name: "sync", short: "directors that connections are shared with, and whether these are all there", wide: true, ask: showPeers}.command(env)
}

func showPeers(ctx context.Context, daemon *client.Client, out *output) error {
	peers, err := daemon.Sync(ctx)
	if err != nil {
		return err
	}
	const stateColumn = 3
	t := newTable("PEER", "DIALECT", "ROLE", "STATE", "SINCE", ">LAG", ">QUEUE", ">SENT", ">UNSENT", ">RECEIVED", ">LOST", "REFUSED",
		">DROPPED", ">REJECTED", "WHY")
	if !out.isWide() {
		t.hide("DIALECT", "ROLE", "UNSENT", "DROPPED", "REJECTED", "WHY")
	}
	for _, p := range peers {
		rejected := sumOf(p.Rejected)
		t.add(p.Peer, p.Dialect, cmp.Or(p.Role, "-"), p.State, sinceOf(p.Since), (time.Duration(p.LagMS) * time.Millisecond).String(),
			number(&p.Queue), number(&p.Sent), number(&p.Unsent), number(&p.Received), number(&p.Lost), discarded(p.Refused),
			number(&p.Dropped), number(&rejected), p.Why)
	}
	t.paint = func(column int, text string) string {
		if column == stateColumn {
			return out.paint(peerStates[text], text)
		}
		return text
	}
	return out.print(peers, t.write)
}

// peerStates are the colours of how a peer stands.
var peerStates = map[string]colour{"in sync": green, "open": green, "joining": yellow, "silent": red, "fault": red}

func sumOf(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}
