// SPDX-License-Identifier: Apache-2.0

// Command weir is the one binary: the daemon and everything that looks at it or changes it. It
// only joins the command line (internal/cli) to what acts on the host.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/weir-lb/weir/internal/cli"
	"github.com/weir-lb/weir/internal/daemon"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(cli.Main(ctx, os.Args[1:], env()))
}

func env() cli.Env {
	version, commit := build()
	return cli.Env{
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Colour:  cli.Colour(os.Stdout),
		Version: version,
		Commit:  commit,
		Run: func(ctx context.Context, o cli.RunOptions) error {
			return daemon.Run(ctx, daemon.Options{
				Config: o.Config, BPFFS: o.BPFFS, RunDir: o.RunDir, StateDir: o.StateDir,
				Log: o.Log, Version: version,
			})
		},
		Cleanup: func(ctx context.Context, o cli.CleanupOptions) error {
			return daemon.Cleanup(ctx, daemon.Options{
				BPFFS: o.BPFFS, RunDir: o.RunDir, StateDir: o.StateDir,
				Log: o.Log, Version: version,
			})
		},
		RealServer: realServer(),
		Doctor:     lookAndJudge,
	}
}
