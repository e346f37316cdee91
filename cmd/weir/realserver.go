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
			want := realserver.Want{VIPs: o.VIPs, Tunnel: o.Tunnel, Interfaces: o.Interfaces}
			if o.Tunnel {
				want.BPFFS = o.BPFFS
			}
			return realserver.Up(ctx, o.StateDir, want, o.Log)
		},
		Down:   realserver.Down,
		Status: realserver.Look,
	}
}
