// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"
)

// RunOptions say how a daemon runs.
type RunOptions struct {
	Config   string // file
	BPFFS    string // directory
	RunDir   string
	StateDir string
	Log      *slog.Logger
}

// runCommand is the daemon itself, in the foreground.
func runCommand(env Env) *cobra.Command {
	var file string
	var dirs directories
	var format, level choice
	c := &cobra.Command{
		Use:   "run",
		Short: "the daemon, in the foreground",
		Long: "The daemon, in the foreground, as root or as its systemd unit runs it. SIGHUP reads its file again; SIGTERM and SIGINT end it.\n" +
			"Packets are forwarded without it too, until `weir cleanup`.",
		GroupID:           changes,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			return env.Run(c.Context(), RunOptions{
				Config: file, BPFFS: dirs.bpffs, RunDir: dirs.run, StateDir: dirs.state,
				Log: logger(env.Stderr, format.value, level.value),
			})
		},
	}
	c.Flags().StringVarP(&file, "config", "c", defaultConfig, "read the configuration from `FILE`")
	dirs.flags(c)
	format.add(c, "log", "", "form of the log, which goes to stderr", "text", "json")
	level.add(c, "log-level", "", "least level that is logged", "info", "debug", "warn", "error")
	return c
}

// logger makes the daemon's log.
func logger(w io.Writer, format, level string) *slog.Logger {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	options := &slog.HandlerOptions{Level: levels[level]}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
