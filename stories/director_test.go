// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/weir-lb/weir/internal/lab"
)

// direct starts and ends a daemon, and reads what it printed.
func direct(ctx context.Context, s *stage, args []string) (string, error) {
	d := s.director()
	if len(args) > 0 && s.directorNamed(args[0]) != nil {
		d, args = s.directorNamed(args[0]), args[1:]
	}
	return choose(ctx, s, args, map[string]word{
		"start":     withFile(func(text string) error { return inOrder(func() error { return d.Start(text) }, ready(ctx, d)) }),
		"launch":    withFile(d.Start),
		"configure": withFile(d.Configure),
		"share":     func(_ context.Context, s *stage, args []string) (string, error) { return "", share(s, d, args) },
		"restart": func(ctx context.Context, _ *stage, _ []string) (string, error) {
			return "", inOrder(d.Restart, ready(ctx, d))
		},
		"log":        func(context.Context, *stage, []string) (string, error) { return readText(d.Log) },
		"stop":       func(context.Context, *stage, []string) (string, error) { return "", d.Stop() },
		"kill":       func(context.Context, *stage, []string) (string, error) { return "", d.Kill() },
		"serve":      func(ctx context.Context, s *stage, _ []string) (string, error) { return "", s.serveOn(ctx, d) },
		"privileges": func(context.Context, *stage, []string) (string, error) { return privileges(d.PID()) },
		"hangup":     func(context.Context, *stage, []string) (string, error) { return "", d.Signal(syscall.SIGHUP) },
	})
}

// ready waits until packets follow the configuration and every server is reachable.
func ready(ctx context.Context, d *lab.Director) func() error {
	return func() error { return d.WaitReady(ctx) }
}

// serveOn lets a director serve as a real server does.
func (s *stage) serveOn(ctx context.Context, d *lab.Director) error {
	return inOrder(
		func() error { return s.lab.ServeOn(ctx, d) },
		func() error { return s.startEcho(ctx, &d.Node) },
	)
}

// share adds to a file of the story that the director shares its connections with the others.
func share(s *stage, d *lab.Director, args []string) error {
	if err := exactly(args, "FILE"); err != nil {
		return err
	}
	text, err := os.ReadFile(s.path(args[0]))
	if err != nil {
		return misuse(err.Error())
	}
	return os.WriteFile(s.path(args[0]), append(text, s.lab.ConnectionSync(d)...), 0o644)
}

// withFile uses a file of the story: to start a daemon, for instance.
func withFile(use func(text string) error) word {
	return func(_ context.Context, s *stage, args []string) (string, error) {
		if err := exactly(args, "FILE"); err != nil {
			return "", err
		}
		text, err := os.ReadFile(s.path(args[0]))
		if err != nil {
			return "", misuse(err.Error())
		}
		return "", use(string(text))
	}
}

// privileges is what the kernel says of a process: whose it is, what it may, and what it could get.
func privileges(pid int) (string, error) {
	status, err := readText(fmt.Sprintf("/proc/%d/status", pid))
	var out strings.Builder
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if slices.Contains([]string{"Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs"}, name) {
			fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(strings.Fields(value), " "))
		}
	}
	return out.String(), err
}

func readText(path string) (string, error) {
	text, err := os.ReadFile(path)
	return string(text), err
}

func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// weir runs a command line on the director.
func weir(ctx context.Context, s *stage, args []string) (string, error) {
	return s.director().Output(ctx, s.weir, directorArgs(s.director(), args)...)
}

// directorArgs adds the directories that a command must be told, unless the story tells them.
func directorArgs(d *lab.Director, args []string) []string {
	run := []string{"--run", d.Run}
	all := slices.Concat(run, []string{"--bpffs", d.BPFFS, "--state", d.State})
	return withDirectories(args, map[string][]string{
		"run": all, "cleanup": all, "realserver": {"--state", d.State}, "doctor": slices.Concat(run, []string{"--bpffs", d.BPFFS}),
		"status": run, "services": run, "servers": run, "connections": run, "counters": run, "explain": run, "trace": run, "reload": run, "notify": run, "events": run, "vrrp": run, "failover": run, "bfd": run, "sync": run,
	}[args[0]])
}

func serverArgs(server *lab.Server, args []string) []string {
	state := []string{"--state", server.State}
	if slices.Contains(args, "up") {
		state = append(state, "--bpffs", server.BPFFS)
	}
	return withDirectories(args, state)
}

// withDirectories adds those flags, each with its value, that are not there.
func withDirectories(args, flags []string) []string {
	out := slices.Clone(args)
	for flag := range slices.Chunk(flags, 2) {
		if !slices.Contains(args, flag[0]) {
			out = append(out, flag...)
		}
	}
	return out
}
