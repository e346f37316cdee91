// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
)

// servicesCommand lists services with what they have done, in the columns of `ipvsadm -Ln --stats`.
func servicesCommand(env Env) *cobra.Command {
	return look{
		name: "services", short: "services, and what they have done", wide: true, ask: showServices, rates: showServiceRates,
	}.command(env)
}

func showServices(ctx context.Context, daemon *client.Client, out *output) error {
	services, err := daemon.Services(ctx)
	if err != nil {
		return err
	}
	t := newTable("SERVICE", "PRO", "ADDRESS", "SCHEDULER", ">MSS", ">UP", ">ACTIVECONN", ">INACTCONN",
		">CONNS", ">INPKTS", ">OUTPKTS", ">INBYTES", ">OUTBYTES")
	if !out.isWide() {
		t.hide("MSS")
	}
	for _, s := range services {
		t.add(s.Name, s.Protocol, where(s, out.isWide()), s.Scheduler, mss(s.MSS), fmt.Sprintf("%d/%d", s.Up, s.Servers),
			number(&s.Active), number(&s.Inactive), number(&s.Connections),
			number(&s.PacketsIn), number(s.PacketsOut), number(&s.BytesIn), number(s.BytesOut))
	}
	return out.print(services, t.write)
}

// where is the service's address, and how many more it has, or all of them.
func where(s api.Service, isWide bool) string {
	switch {
	case len(s.Addresses) == 0:
		return s.Address
	case isWide:
		return strings.Join(s.Addresses, ",")
	}
	return fmt.Sprintf("%s +%d", s.Address, len(s.Addresses)-1)
}

// mss is a dash where it is not limited.
func mss(limit uint16) string {
	if limit == 0 {
		return "-"
	}
	return strconv.Itoa(int(limit))
}

func showServiceRates(ctx context.Context, daemon *client.Client, out *output) error {
	services, err := daemon.Services(ctx)
	if err != nil {
		return err
	}
	t := newTable("SERVICE", "PRO", "ADDRESS", ">CPS", ">INPPS", ">OUTPPS", ">INBPS", ">OUTBPS")
	for _, s := range services {
		t.add(append([]string{s.Name, s.Protocol, where(s, out.isWide())}, rateColumns(s.Rates)...)...)
	}
	return out.print(services, t.write)
}

// rateColumns are dashes where a rate is not known.
func rateColumns(r *api.Rates) []string {
	if r == nil {
		return []string{"-", "-", "-", "-", "-"}
	}
	return []string{number(&r.Connections), number(&r.PacketsIn), number(r.PacketsOut), number(&r.BytesIn), number(r.BytesOut)}
}
