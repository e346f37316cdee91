// SPDX-License-Identifier: Apache-2.0

// Command weir-lab shows and tries weir in networks of namespaces on this machine: `demo` sends real
// traffic through every forwarding method and tells what came of it, `demo health` and `demo failover`
// let servers and directors fail under load, `shell` leaves a network running and opens a shell in it.
// Networks and what runs in them are internal/lab's; here is what a person sees. Read demo.go first.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/internal/lab"
)

func main() {
	lab.TakePart()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes, as weir's.
const (
	exitFailed = 1
	exitUsage  = 2
)

func run(args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && errors.Is(err, errInShell) {
		return exit.ExitCode() // it has had its say
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintf(stderr, "weir-lab: %v\n", err)
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// errSaid is a failure that was printed already.
var errSaid = errors.New("failed")

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "weir-lab",
		Short:         "Networks on this machine, with weir in them",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(demoCommand(), shellCommand())
	return root
}

// usage makes a command's complaints about its arguments usage errors.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("%w\nusage: %s", err, c.UseLine())}
		}
		return nil
	}
}

// weirFlag adds --weir to a command.
func weirFlag(c *cobra.Command, weir *string) {
	c.Flags().StringVar(weir, "weir", "", "the weir `BINARY` (default: the one beside weir-lab)")
}

// checkHost tells what a lab would miss here, and finds the weir binary.
func checkHost(weir string) (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("network namespaces need root: try again with sudo")
	}
	if weir == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		weir = filepath.Join(filepath.Dir(self), "weir")
	}
	path, err := exec.LookPath(weir)
	if err != nil {
		return "", fmt.Errorf("%w: build it with make, or name it with --weir", err)
	}
	return filepath.Abs(path)
}
