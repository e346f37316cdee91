// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"log/slog"

	"github.com/spf13/cobra"
)

// CleanupOptions say what is removed.
type CleanupOptions struct {
	BPFFS    string // directory
	RunDir   string
	StateDir string
	Log      *slog.Logger
}

// cleanupCommand makes a host as it was before weir.
func cleanupCommand(env Env) *cobra.Command {
	var dirs directories
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "remove every trace of weir from this host",
		Long: "Detach the programs, remove the maps, and restore what weir changed on this host, also after a crash.\n" +
			"Connections break. It is refused while a daemon lives.",
		GroupID:           changes,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			return env.Cleanup(c.Context(), CleanupOptions{
				BPFFS: dirs.bpffs, RunDir: dirs.run, StateDir: dirs.state,
				Log: logger(env.Stderr, "text", "info"),
			})
		},
	}
	dirs.flags(c)
	return c
}
