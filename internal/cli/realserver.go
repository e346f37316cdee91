// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
)

// RealServer acts on the host as a real server.
type RealServer struct {
	Up     func(context.Context, RealServerOptions) error
	Down   func(state string) error
	Status func(state string) (api.RealServer, error)
}

// RealServerOptions say what a real server shall be.
type RealServerOptions struct {
	VIPs       []netip.Addr
	Tunnel     bool     // IP in IP
	Interfaces []string // none: all that have an address
	BPFFS      string   // directory
	StateDir   string
	Log        *slog.Logger
}

// realserverCommand is for the hosts behind the director. No daemon runs there.
func realserverCommand(env Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "realserver COMMAND",
		Short: "make this host a real server of DR and TUN services",
		Long: "Make this host a real server of DR and TUN services: it holds the virtual addresses, and nobody is told.\n" +
			"Nothing keeps running; what was there before is restored by `down`. A server of NAT services needs none of it.",
		GroupID: changes,
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(realserverUp(env), realserverStatus(env), realserverDown(env))
	return c
}

func realserverUp(env Env) *cobra.Command {
	var addresses []string
	var tunnel choice
	o := RealServerOptions{}
	c := &cobra.Command{
		Use:   "up --vip ADDRESS...",
		Short: "hold virtual addresses, and take packets out of tunnels",
		Long: "Put the virtual addresses on lo, silence ARP for them, and with --tunnel ipip take the director's packets\n" +
			"out of their tunnels (IPv4 and IPv6 in both). Called again with others, it makes it so.",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.VIPs, err = parseVIPs(c, addresses); err != nil {
				return err
			}
			o.Tunnel = tunnel.value == "ipip"
			o.Log = logger(env.Stderr, "text", "warn")
			return env.RealServer.Up(c.Context(), o)
		},
	}
	c.Flags().StringSliceVar(&addresses, "vip", nil, "hold `ADDRESS`; may be repeated")
	c.Flags().StringSliceVar(&o.Interfaces, "interface", nil, "packets come in on interface `NAME`; may be repeated (default: all that have an address)")
	c.Flags().StringVar(&o.BPFFS, "bpffs", defaultBPFFS, "with a tunnel, keep the program pinned in `DIR`")
	tunnel.add(c, "tunnel", "", "packets come in a tunnel", "none", "ipip")
	stateFlag(c, &o.StateDir)
	return c
}

func stateFlag(c *cobra.Command, state *string) {
	c.Flags().StringVar(state, "state", defaultState, "remember in `DIR` what was changed on this host")
}

func parseVIPs(c *cobra.Command, texts []string) ([]netip.Addr, error) {
	if len(texts) == 0 {
		return nil, usageError{c, "name the virtual addresses: --vip ADDRESS"}
	}
	var out []netip.Addr
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, usageError{c, fmt.Sprintf("--vip %q: not an address", text)}
		}
		if a = a.Unmap(); !a.IsGlobalUnicast() || a.Zone() != "" {
			return nil, usageError{c, fmt.Sprintf("--vip %s: no address that clients can ask for", text)}
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out, nil
}

func realserverDown(env Env) *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:               "down",
		Short:             "restore what was there before `up`, also after a crash",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return env.RealServer.Down(state) },
	}
	stateFlag(c, &state)
	return c
}

func realserverStatus(env Env) *cobra.Command {
	var state string
	out := output{env: env}
	c := &cobra.Command{
		Use:               "status",
		Short:             "what is there, and what is missing",
		Long:              "What is there of what `up` was asked for, and what is missing. The exit code is 3 if something is.",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			status, err := env.RealServer.Status(state)
			if err != nil {
				return err
			}
			return showRealServer(status, &out)
		},
	}
	stateFlag(c, &state)
	out.flags(c)
	return c
}

func showRealServer(status api.RealServer, out *output) error {
	err := out.print(status, func(w io.Writer) error { return writeRealServer(w, status, out.paint) })
	if err == nil && len(status.Problems) > 0 {
		return errDegraded
	}
	return err
}

func writeRealServer(w io.Writer, s api.RealServer, paint func(colour, string) string) error {
	tables := []*table{vipTable(s.VIPs), settingTable(s.Settings)}
	if d := s.Decapsulation; d != nil {
		tables = append(tables, interfaceTable(d.Interfaces, paint), decapTable(d.Counters))
	}
	var text strings.Builder
	for _, t := range tables {
		if len(t.rows) == 1 { // headings alone
			continue
		}
		if err := t.write(&text); err != nil {
			return err
		}
		text.WriteByte('\n')
	}
	writeProblems(&text, s.Problems, paint)
	_, err := io.WriteString(w, text.String())
	return err
}

func vipTable(vips []api.VIP) *table {
	t := newTable("VIP", "ON LO")
	for _, v := range vips {
		t.add(v.Address, map[bool]string{true: "yes", false: "no"}[v.Held])
	}
	return t
}

func settingTable(settings []api.Setting) *table {
	t := newTable("SETTING", ">VALUE", ">LEAST")
	for _, s := range settings {
		t.add(s.Path, strconv.Itoa(s.Value), strconv.Itoa(s.Least))
	}
	return t
}

func decapTable(counters api.Counters) *table {
	t := newTable("VERDICT", ">PACKETS")
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		t.add(name, strconv.FormatUint(counters[name], 10))
	}
	return t
}
