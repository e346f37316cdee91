// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// bfdCommand lists the neighbours that are watched.
func bfdCommand(env Env) *cobra.Command {
	return look{name: "bfd", short: "neighbours that are watched by BFD, and whether they are there", wide: true, ask: showSessions}.command(env)
}

func showSessions(ctx context.Context, daemon *client.Client, out *output) error {
	bfd, err := daemon.BFD(ctx)
	if err != nil {
		return err
	}
	const stateColumn = 4
	t := newTable("SESSION", "INTERFACE", "PEER", "SOURCE", "STATE", "SINCE", ">INTERVAL", ">DETECTS", "WHY", ">SENT", ">UNSENT", ">RECEIVED", "DISCARDED")
	if !out.isWide() {
		t.hide("INTERFACE", "SOURCE", "SENT", "UNSENT", "RECEIVED", "DISCARDED")
	}
	for _, s := range bfd.Sessions {
		t.add(s.Name, s.Interface, s.Peer, cmp.Or(s.Source, "-"), s.State, sinceOf(s.Since), milliseconds(s.IntervalMS), milliseconds(s.DetectMS), s.Why,
			number(&s.Sent), number(&s.Unsent), number(&s.Received), discarded(s.Discarded))
	}
	t.paint = func(column int, text string) string {
		if column == stateColumn {
			return out.paint(sessionStates[text], text)
		}
		return text
	}
	return out.print(bfd, func(w io.Writer) error {
		if err := t.write(w); err != nil || sumOf(bfd.Strangers) == 0 {
			return err
		}
		_, err := fmt.Fprintf(w, "\nfor no session: %s\n", discarded(bfd.Strangers))
		return err
	})
}

// sessionStates are the colours of how a session stands.
var sessionStates = map[string]colour{"up": green, "init": yellow, "down": red}

// milliseconds is a dash for none.
func milliseconds(n int64) string {
	if n == 0 {
		return "-"
	}
	return (time.Duration(n) * time.Millisecond).String()
}
