// SPDX-License-Identifier: Apache-2.0

// Command weir-docs writes what is installed beside the binary and follows from the source: man
// pages of every command and of the configuration file, and completions for shells. `make install`
// runs it; it is not installed itself. Read main.go for what is written, man.go for how.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/internal/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "weir-docs: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: weir-docs VERSION docs/config.md DIR")
	}
	return write(args[0], args[1], args[2])
}

// write makes dir/man and dir/completion.
func write(version, reference, dir string) error {
	man, completion := filepath.Join(dir, "man"), filepath.Join(dir, "completion")
	for _, d := range []string{man, completion} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		writeCommands(cli.New(cli.Env{}), version, man),
		writeReference(reference, version, filepath.Join(man, "weir.yaml.5")),
		writeCompletions(cli.New(cli.Env{}), completion),
	)
}

// writeCompletions names the files as each shell looks for them.
func writeCompletions(root *cobra.Command, dir string) error {
	return errors.Join(
		root.GenBashCompletionFileV2(filepath.Join(dir, "weir"), true),
		root.GenZshCompletionFile(filepath.Join(dir, "_weir")),
		root.GenFishCompletionFile(filepath.Join(dir, "weir.fish"), true),
	)
}
