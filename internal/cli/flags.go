// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-lb/weir/client"
)

// Where things are unless a flag says otherwise.
const (
	defaultConfig = "/etc/weir/weir.yaml"
	defaultBPFFS  = "/sys/fs/bpf/weir"
	defaultRun    = "/run/weir"
	defaultState  = "/var/lib/weir"
	socketName    = "weir.sock"
)

// directories are where a daemon keeps what outlives it, and its socket.
type directories struct {
	bpffs string
	run   string
	state string
}

func (d *directories) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.bpffs, "bpffs", defaultBPFFS, "keep maps and programs pinned in `DIR`")
	c.Flags().StringVar(&d.run, "run", defaultRun, "make the socket in `DIR`")
	c.Flags().StringVar(&d.state, "state", defaultState, "remember in `DIR` what was changed on this host")
}

// daemon says where the daemon listens.
type daemon struct {
	run    string
	socket string
}

func (d *daemon) flags(c *cobra.Command) {
	c.Flags().StringVar(&d.run, "run", defaultRun, "the daemon's socket is "+socketName+" in `DIR`")
	c.Flags().StringVar(&d.socket, "socket", "", "the daemon's socket is `FILE`, as api.unix in its configuration says")
}

func (d *daemon) client() *client.Client {
	if d.socket != "" {
		return client.New(d.socket)
	}
	return client.New(filepath.Join(d.run, socketName))
}

// daemonOf is the daemon that the flags of a command name, for completion.
func daemonOf(c *cobra.Command) *client.Client {
	from := daemon{run: c.Flag("run").Value.String(), socket: c.Flag("socket").Value.String()}
	return from.client()
}

// choice is a flag that takes one of a few words.
type choice struct {
	value string
	words []string
}

func (c *choice) String() string { return c.value }

// Type is what the help shows as the flag's value.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

// Set refuses every other word.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("it is one of %s", strings.Join(c.words, ", "))
	}
	c.value = word
	return nil
}

// add makes the flag; the first word is its default.
func (c *choice) add(command *cobra.Command, name, short, usage string, words ...string) {
	c.value, c.words = words[0], words
	command.Flags().VarP(c, name, short, usage)
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := command.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // the flag was added right above
	}
}
