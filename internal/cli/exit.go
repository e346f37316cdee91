// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/internal/config"
)

// Exit codes, for scripts.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2 // the command line or a configuration is wrong
	exitDegraded = 3 // the director works, and has problems
	exitNoDaemon = 4
)

// errDegraded ends a command that has shown problems; there is nothing to add to them.
var errDegraded = errors.New("there are problems")

// errFailed ends a command that has shown what failed.
var errFailed = errors.New("something failed")

// errComplained ends a command that has printed what is wrong with a configuration.
var errComplained = errors.New("there are complaints")

// exit prints what there is to say about an error and returns the exit code.
func exit(stderr io.Writer, err error) int {
	code, text := judge(err)
	if text != "" {
		_, _ = fmt.Fprintln(stderr, text) // there is nobody left to tell
	}
	return code
}

// judge turns an error into an exit code and what a person reads.
func judge(err error) (code int, text string) {
	var usage usageError
	var broken *config.Error
	var refused *client.Error
	switch {
	case err == nil:
		return exitOK, ""
	case errors.Is(err, errDegraded):
		return exitDegraded, ""
	case errors.Is(err, errFailed):
		return exitFailed, ""
	case errors.Is(err, errComplained):
		return exitUsage, ""
	case errors.As(err, &usage):
		return exitUsage, "weir: " + err.Error()
	case errors.As(err, &broken):
		return exitUsage, err.Error() // its lines begin with file:line:column
	case errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity:
		return exitUsage, "weir: the daemon refuses, and keeps what it has:\n" + err.Error()
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest:
		return exitUsage, "weir: " + err.Error()
	case errors.Is(err, client.ErrNoDaemon):
		return exitNoDaemon, fmt.Sprintf("weir: %v; start one: weir run -c %s", err, defaultConfig)
	}
	return exitFailed, "weir: " + err.Error()
}

// usageError is a command line that cannot be meant.
type usageError struct {
	command *cobra.Command
	message string
}

func (e usageError) Error() string {
	return fmt.Sprintf("%s; see `%s --help`", e.message, e.command.CommandPath())
}

// noArguments is for commands that take flags only.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{c, fmt.Sprintf("%q is one argument too many", args[0])}
	}
	return nil
}

// unknownCommand makes cobra's error about an unknown command one that says which was meant; other
// errors stay as they are.
func unknownCommand(root *cobra.Command, args []string, err error) error {
	_, _, unknown := root.Find(args)
	if unknown == nil {
		return err
	}
	var name string
	if _, err := fmt.Sscanf(unknown.Error(), "unknown command %q", &name); err != nil {
		return usageError{root, unknown.Error()}
	}
	message := fmt.Sprintf("unknown command %q", name)
	if similar := root.SuggestionsFor(name); len(similar) > 0 {
		message += fmt.Sprintf(" (did you mean %q?)", similar[0])
	}
	return usageError{root, message}
}
