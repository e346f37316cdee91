// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/model"
)

// explainCommand says what becomes of a client's packets, and why. The flow is read here, too, so that
// a mistake is one of the command line, with or without a daemon.
func explainCommand(env Env) *cobra.Command {
	var flow model.Flow
	c := look{
		name: "explain", short: "which service and server a client's packets get, and why; changes nothing",
		ask: func(ctx context.Context, daemon *client.Client, out *output) error {
			return showExplanation(ctx, daemon, flow, out)
		},
	}.command(env)
	c.Use = "explain CLIENT:PORT VIP:PORT [tcp|udp|sctp]"
	c.Long = "Which service has a client's packets, whether a connection exists, and which server a new one would get,\nand why. Nothing is changed by asking. IPv6 stands in brackets; tcp is the default."
	c.Args = func(c *cobra.Command, args []string) (err error) {
		if len(args) < 2 || len(args) > 3 {
			return usageError{c, fmt.Sprintf("%s where a client and a virtual address are meant, as 203.0.113.7:40000 192.0.2.10:80", count(len(args), "argument"))}
		}
		if flow, err = model.ParseFlow(args[0], args[1], strings.Join(args[2:], "")); err != nil {
			return usageError{c, err.Error()}
		}
		return nil
	}
	c.ValidArgsFunction = completeFlow
	return c
}

// completeFlow knows the daemon's services, and the protocols.
func completeFlow(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 1:
		return serviceAddresses(c)
	case 2:
		return []string{"tcp", "udp", "sctp"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func serviceAddresses(c *cobra.Command) (out []string, _ cobra.ShellCompDirective) {
	services, err := daemonOf(c).Services(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, s := range services {
		out = append(out, strings.TrimSuffix(s.Address, "*")) // which port of all there are, who asks must say
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func showExplanation(ctx context.Context, daemon *client.Client, flow model.Flow, out *output) error {
	e, err := daemon.Explain(ctx, flow.Client.String(), flow.Virtual.String(), flow.Protocol.String())
	if err != nil {
		return err
	}
	return out.print(e, func(w io.Writer) error {
		var text strings.Builder
		fmt.Fprintf(&text, "%s %s to %s\n\n", e.Protocol, e.Client, e.Virtual)
		writeExplanation(&text, e)
		if len(e.Servers) > 0 {
			text.WriteString("\n")
			if err := candidateTable(e).write(&text); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, text.String())
		return err
	})
}

// writeExplanation writes a paragraph for each thing that there is to say.
func writeExplanation(w io.Writer, e api.Explanation) {
	service := "none"
	if s := e.Service; s != nil {
		service = fmt.Sprintf("%s, %s %s, %s", s.Name, s.Protocol, s.Address, s.Scheduler)
	}
	paragraph(w, "service", service)
	if e.Template != nil {
		paragraph(w, "template", knownTemplate(*e.Template))
	}
	if c := e.Connection; c == nil {
		paragraph(w, "connection", "none")
	} else {
		paragraph(w, "connection", append([]string{knownConnection(*c)}, wayLines(c.Packet)...)...)
	}
	if e.New != nil {
		paragraph(w, "new", wayLines(*e.New)...)
	}
	if e.Unknown != nil {
		paragraph(w, "unknown", wayLines(*e.Unknown)...)
	}
}

func paragraph(w io.Writer, title string, lines ...string) {
	fmt.Fprintf(w, "%-12s%s\n", title, strings.Join(lines, "\n"+strings.Repeat(" ", 12)))
}

func knownTemplate(t api.ExplainedTemplate) string {
	server := "a server that is gone"
	if t.Server != "" {
		server = t.Server
	}
	return "leads to " + server + ", expires in " + minutes(t.ExpiresS)
}

func knownConnection(c api.ExplainedConnection) string {
	text := c.State
	if c.Server != "" {
		text += " with " + c.Server
	}
	return text + ", expires in " + minutes(c.ExpiresS)
}

// wayLines say where a packet goes, over whom, and why.
func wayLines(w api.Way) (lines []string) {
	switch {
	case w.Verdict == "":
		lines = append(lines, "lots decide")
	case w.Server != "":
		lines = append(lines, fmt.Sprintf("to %s: %s (%s)", w.Server, w.Means, w.Verdict))
	default:
		lines = append(lines, fmt.Sprintf("%s (%s)", w.Means, w.Verdict))
	}
	if w.Server != "" && w.Forwarding != "local" {
		lines = append(lines, "by "+w.Forwarding+nextHop(w.NextHop))
	}
	if w.Reason != "" {
		lines = append(lines, w.Reason)
	}
	return lines
}

func nextHop(n *api.NextHop) string {
	if n == nil {
		return ""
	}
	mac := "not resolved"
	if n.Resolved {
		mac = n.MAC
	}
	return fmt.Sprintf(", next hop %s on %s: %s", n.Address, n.Interface, mac)
}

func candidateTable(e api.Explanation) *table {
	t := newTable("SERVER", ">WEIGHT", ">ACTIVECONN", ">INACTCONN", "COMPARED", ">SHARE", "PASSED OVER")
	shares, compared, passed := false, false, false
	for _, s := range e.Servers {
		share := ""
		if s.Share != nil {
			share = strconv.FormatFloat(100**s.Share, 'f', 1, 64) + " %"
		}
		shares, compared, passed = shares || share != "", compared || s.Compared != "", passed || s.PassedOver != ""
		t.add(s.Address, strconv.Itoa(int(s.Weight)), number(&s.Active), number(&s.Inactive), s.Compared, share, s.PassedOver)
	}
	var empty []string
	for heading, used := range map[string]bool{"SHARE": shares, "COMPARED": compared, "PASSED OVER": passed} {
		if !used {
			empty = append(empty, heading)
		}
	}
	t.hide(empty...)
	return t
}
