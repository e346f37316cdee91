// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/model"
)

// checkCommand finds every mistake in files, without a daemon and without root.
func checkCommand(env Env) *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE...",
		Short:   "every mistake in configuration files, with line and hint",
		Long:    "Every mistake in configuration files, as file:line:column with a hint. The exit code is 2 if there is one.",
		GroupID: looks,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{c, "name a file"}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error { return check(env, files) },
	}
}

// check reads every file, even after one was refused.
func check(env Env, files []string) error {
	complained := false
	for _, file := range files {
		summary, err := checkFile(file)
		out := env.Stdout
		if err != nil {
			complained = true
			out = env.Stderr
			_, summary = judge(err)
		}
		if _, err := fmt.Fprintln(out, summary); err != nil {
			return err
		}
	}
	if complained {
		return errComplained
	}
	return nil
}

// checkFile says what is in a good file, and what it takes of this host.
func checkFile(file string) (summary string, err error) {
	spec, err := config.Load(file)
	if err != nil {
		return "", err
	}
	servers := 0
	for _, s := range spec.Services {
		for _, server := range s.Servers {
			if !server.IsLent() {
				servers++
			}
		}
	}
	return fmt.Sprintf("%s: ok, %s, %s%s%s%s\n%s: connections: room for %s, %s of kernel memory%s%s%s%s%s",
		file, count(len(spec.Services), "service"), count(servers, "server"), virtualRouters(spec), watched(spec), sharing(spec),
		file, model.Grouped(uint64(spec.Connections.Size)), memory(spec.Connections.Memory()),
		notAsked(file, spec), blind(file, spec), vrrpRemarks(file, spec), bfdRemarks(file, spec), syncRemarks(file, spec)), nil
}

// notAsked names the services whose servers nobody asks, although nobody said that it should be so.
func notAsked(file string, spec model.Spec) string {
	names := having(spec, isNotAsked)
	if names == "" {
		return ""
	}
	return fmt.Sprintf("\n%s: no check: a server that dies keeps its share in %s; write `check:`, or `check: off`", file, names)
}

// blind names the services whose checks do not ask the servers themselves.
func blind(file string, spec model.Spec) string {
	names := having(spec, func(s model.Server) bool { return s.Checks.AreBlind() })
	if names == "" {
		return ""
	}
	return fmt.Sprintf("\n%s: an agent or a file alone: a server that dies keeps its share in %s; write `all: [tcp, ...]`", file, names)
}

// having names the services with such a server, or "".
func having(spec model.Spec, server func(model.Server) bool) string {
	var names []string
	for _, s := range spec.Services {
		if slices.ContainsFunc(s.Servers, server) {
			names = append(names, s.Name)
		}
	}
	return some(names)
}

// some is the first few of them.
func some(names []string) string {
	const most = 4
	rest := ""
	if n := len(names) - most; n > 0 {
		names, rest = names[:most], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ") + rest
}

func isNotAsked(s model.Server) bool { return len(s.Checks.Of) == 0 && !s.Checks.Off && !s.Sorry }
