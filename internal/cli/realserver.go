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
	Tunnel     string   // for which type room is made; empty: none
	GUEPorts   []uint16 // with Tunnel: where GUE comes in
	MSS        int      // 0: automatic; -1: off
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
	var ports []uint
	var tunnel choice
	var mss string
	o := RealServerOptions{}
	c := &cobra.Command{
		Use:   "up --vip ADDRESS...",
		Short: "hold virtual addresses, and take packets out of tunnels",
		Long: "Put the virtual addresses on lo, silence ARP for them, and with --tunnel take the director's packets out of\n" +
			"their tunnels: IPIP, GRE and GUE, IPv4 and IPv6 in both. Room for the named type is made by the routes, which\n" +
			"let clients send smaller segments. Called again with others, it makes it so.",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.VIPs, err = parseVIPs(c, addresses); err != nil {
				return err
			}
			if o.GUEPorts, err = parsePorts(c, ports); err != nil {
				return err
			}
			if o.MSS, err = parseMSS(c, mss); err != nil {
				return err
			}
			if o.Tunnel = tunnel.value; o.Tunnel == noTunnel {
				o.Tunnel = ""
			}
			o.Log = logger(env.Stderr, "text", "warn")
			return env.RealServer.Up(c.Context(), o)
		},
	}
	c.Flags().StringSliceVar(&addresses, "vip", nil, "hold `ADDRESS`; may be repeated")
	c.Flags().StringSliceVar(&o.Interfaces, "interface", nil, "packets come in on interface `NAME`; may be repeated (default: all that have an address)")
	c.Flags().StringVar(&o.BPFFS, "bpffs", defaultBPFFS, "with a tunnel, keep the program pinned in `DIR`")
	tunnel.add(c, "tunnel", "", "packets come in a tunnel", noTunnel, "ipip", "gre", "gue")
	c.Flags().UintSliceVar(&ports, "gue-port", []uint{guePort}, "with a tunnel, GUE comes in on UDP port `N`; may be repeated")
	c.Flags().StringVar(&mss, "mss", mssAuto, "clients may send TCP segments of at most `N` bytes; auto: with a tunnel, what fits; off: leave routes alone")
	stateFlag(c, &o.StateDir)
	return c
}

func stateFlag(c *cobra.Command, state *string) {
	c.Flags().StringVar(state, "state", defaultState, "remember in `DIR` what was changed on this host")
}

const (
	noTunnel = "none"
	guePort  = 6080 // IANA's
	mssAuto  = "auto"
	mssOff   = "off"
)

func parsePorts(c *cobra.Command, numbers []uint) ([]uint16, error) {
	var out []uint16
	for _, n := range numbers {
		if n == 0 || n > 65535 {
			return nil, usageError{c, fmt.Sprintf("--gue-port %d: not a port", n)}
		}
		if !slices.Contains(out, uint16(n)) {
			out = append(out, uint16(n))
		}
	}
	if len(out) > maxPorts {
		return nil, usageError{c, fmt.Sprintf("--gue-port: %d ports, more than %d", len(out), maxPorts)}
	}
	return out, nil
}

// maxPorts is how many the program can be told.
const maxPorts = 64

// parseMSS: every host takes 536 bytes (RFC 9293 section 3.7.1), and no packet is larger than 65535.
func parseMSS(c *cobra.Command, text string) (int, error) {
	switch text {
	case mssAuto:
		return 0, nil
	case mssOff:
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 536 || n > 65495 {
		return 0, usageError{c, fmt.Sprintf("--mss %q: neither auto nor off nor a number from 536 to 65495", text)}
	}
	return n, nil
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
	tables = append(tables, routeTable(s.Routes))
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

func routeTable(routes []api.MSSRoute) *table {
	t := newTable("ROUTE", "INTERFACE", ">MSS", ">MOST")
	for _, r := range routes {
		t.add(r.Destination, r.Interface, strconv.Itoa(r.MSS), strconv.Itoa(r.Most))
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
