// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/weir-lb/weir/internal/cli"
	"github.com/weir-lb/weir/internal/realserver"
)

// realServer joins the command line to what acts on a real server.
func realServer() cli.RealServer {
	return cli.RealServer{
		Up: func(ctx context.Context, o cli.RealServerOptions) error {
			want := realserver.Want{VIPs: o.VIPs, Interfaces: o.Interfaces, MSS: o.MSS}
			if o.Tunnel != "" {
				want.Tunnel, want.TunnelType, want.BPFFS, want.GUEPorts = true, o.Tunnel, o.BPFFS, o.GUEPorts
			}
			return realserver.Up(ctx, o.StateDir, want, o.Log)
		},
		Down:   realserver.Down,
		Status: realserver.Look,
	}
}
