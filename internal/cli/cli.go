// SPDX-License-Identifier: Apache-2.0

// Package cli is weir's command line: nouns look (connections --kill ends what it would list), verbs
// change, one file a command. What it shows comes from the daemon over its socket and is printed as a
// table or as the API's own JSON; data goes to stdout, the rest to stderr. What acts on the host
// itself is handed in by cmd/weir (Env), so that the command line can be tested without one. Read
// cli.go, exit.go, then status.go as the model of a command that looks.
package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/api"
)

// Env is what the command line stands on.
type Env struct {
	Stdout  io.Writer
	Stderr  io.Writer
	Colour  bool // colour on Stdout
	Version string
	Commit  string // "" if unknown
	Run     func(context.Context, RunOptions) error
	Cleanup func(context.Context, CleanupOptions) error

	RealServer RealServer
	Doctor     func(context.Context, DoctorOptions) (api.Doctor, error)
}

// Main runs one command line, without the program's name, and returns its exit code.
func Main(ctx context.Context, args []string, env Env) int {
	root := New(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		err = unknownCommand(root, args, err)
	}
	return exit(env.Stderr, err)
}

// Groups of commands in the help.
const (
	looks   = "looks"
	changes = "changes"
)

// New builds the command line.
func New(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "weir COMMAND",
		Short: "weir is a Linux Virtual Server: one virtual address in front of many real servers.",
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },

		SilenceErrors:      true, // exit prints them
		SilenceUsage:       true,
		DisableSuggestions: true, // unknownCommand makes them

		SuggestionsMinimumDistance: 2,
	}
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{c, err.Error()} })
	root.AddGroup(
		&cobra.Group{ID: looks, Title: "Look; only connections --kill changes anything:"},
		&cobra.Group{ID: changes, Title: "Change:"},
	)
	for _, c := range commands(env) {
		root.AddCommand(c)
	}
	return root
}

func commands(env Env) []*cobra.Command {
	return []*cobra.Command{
		statusCommand(env), servicesCommand(env), serversCommand(env), connectionsCommand(env),
		explainCommand(env), traceCommand(env), countersCommand(env), eventsCommand(env), notifyCommand(env), vrrpCommand(env), bfdCommand(env), syncCommand(env), checkCommand(env), doctorCommand(env), versionCommand(env),
		runCommand(env), reloadCommand(env), failoverCommand(env), realserverCommand(env), cleanupCommand(env),
	}
}

const usageTemplate = `Usage: {{.UseLine}}
{{- range $group := .Groups}}

{{.Title}}
{{- range $.Commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasAvailableSubCommands}}

{{if .Groups}}Besides:{{else}}Commands:{{end}}
{{- range .Commands}}{{if and (eq .GroupID "") (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
`
