// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/weir-lb/weir/internal/lab"
)

func shellCommand() *cobra.Command {
	s := &shell{}
	c := &cobra.Command{
		Use:   "shell SHAPE [-- COMMAND...]",
		Short: "Leave a network running and open a shell on its client, or run a command there",
		Long: `Leave a network running and open a shell on its client, or run a command there.
Shapes: lan (for DR, also NAT with one arm), routed (for TUN), two-arm (for NAT).
When the shell ends, everything goes.`,
		Args: usage(shapeFirst),
		RunE: func(c *cobra.Command, args []string) error {
			s.out = c.ErrOrStderr()
			return s.run(c.Context(), lab.Shape(args[0]), args[1:])
		},
	}
	c.Flags().IntVar(&s.directors, "directors", 1, "`NUMBER` of directors; weir is started on the first")
	c.Flags().StringVar(&s.method, "forwarding", "", "forwarding `METHOD`: nat, tun or dr (default: the usual one of the shape)")
	weirFlag(c, &s.weir)
	return c
}

// shapeFirst wants a shape and lets anything follow.
func shapeFirst(_ *cobra.Command, args []string) error {
	if len(args) == 0 || !slices.Contains(lab.Shapes(), lab.Shape(args[0])) {
		return fmt.Errorf("the first argument is a shape, one of %v", lab.Shapes())
	}
	return nil
}

// shell keeps a lab while a person works in it.
type shell struct {
	directors int
	method    string
	weir      string
	out       io.Writer // the data on stdout are the command's
}

// errInShell is a command that ended badly: that is the person's business.
var errInShell = errors.New("the shell ended")

func (s *shell) run(ctx context.Context, shape lab.Shape, command []string) (err error) {
	if s.weir, err = checkHost(s.weir); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// Ctrl-C is for what runs in the shell. It is caught, not ignored: children inherit that.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(interrupts)

	l, err := lab.New(ctx, s.config(shape))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := s.start(ctx, l); err != nil {
		return err
	}
	return s.open(ctx, l, command)
}

func (s *shell) config(shape lab.Shape) lab.Config {
	return lab.Config{
		Shape:      shape,
		Forwarding: lab.Forwarding(s.method),
		Directors:  s.directors,
		Weir:       s.weir,
		Confined:   true,
		Log:        slog.New(slog.NewTextHandler(s.out, nil)),
	}
}

// start brings the service up. A daemon that does not come up is shown and left as it is: a person
// is about to look.
func (s *shell) start(ctx context.Context, l *lab.Lab) error {
	if err := l.Serve(ctx); err != nil {
		return err
	}
	director := l.Directors[0]
	if err := director.Start(l.Services()); err != nil {
		return err
	}
	if err := waitReady(ctx, director); err != nil {
		fmt.Fprintf(s.out, "weir-lab: %v\n", err)
	}
	return ctx.Err()
}

// open runs a command on the client, or a shell.
func (s *shell) open(ctx context.Context, l *lab.Lab, command []string) error {
	tools, err := writeTools(l, s.weir)
	if err != nil {
		return fmt.Errorf("write commands for the shell: %w", err)
	}
	if len(command) == 0 {
		server, err := l.WebServer()
		if err != nil {
			return err
		}
		io.WriteString(s.out, hints(l, server))
		command = []string{userShell()}
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"), "PS1=weir-lab# ", "WEIR_LAB="+l.Dir())
	if err := l.Client.Start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %w", errInShell, err)
	}
	return nil
}

func userShell() string {
	if s := os.Getenv("SHELL"); s != "" {
		return s
	}
	return "/bin/sh"
}
