// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// output is how a command that looks prints: -o table|json|yaml, and wide where a table has more columns.
type output struct {
	choice
	env Env
}

func (o *output) flags(c *cobra.Command) {
	o.add(c, "output", "o", "table for people, json and yaml for programs", "table", "json", "yaml")
}

func (o *output) wideFlags(c *cobra.Command) {
	o.add(c, "output", "o", "table for people, wide with all columns, json and yaml for programs", "table", "wide", "json", "yaml")
}

func (o *output) isWide() bool { return o.value == "wide" }

// print writes a value of the API's, as itself or as the text that table makes of it.
func (o *output) print(value any, table func(io.Writer) error) error {
	switch o.value {
	case "json":
		return writeJSON(o.env.Stdout, value)
	case "yaml":
		return writeYAML(o.env.Stdout, value)
	}
	return table(o.env.Stdout)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// writeYAML writes what writeJSON does, in the same order: JSON is YAML, in another style.
func writeYAML(w io.Writer, value any) error {
	var text bytes.Buffer
	if err := writeJSON(&text, value); err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &node); err != nil {
		return err
	}
	blockStyle(&node)
	dumper, err := yaml.NewDumper(w, yaml.WithLineWidth(-1), yaml.WithIndent(2), yaml.WithCompactSeqIndent(false))
	if err != nil {
		return err
	}
	return errors.Join(dumper.Dump(&node), dumper.Close())
}

// blockStyle takes JSON's brackets away, and the quotes around keys. Texts keep theirs: to readers of YAML 1.1
// the MAC 12:34:56:00:00:01 would be a number.
func blockStyle(node *yaml.Node) {
	if len(node.Content) > 0 {
		node.Style = 0
	}
	for i, below := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			below.Style = 0
		}
		blockStyle(below)
	}
}

// paint colours text, if there is colour.
func (o *output) paint(c colour, text string) string {
	if !o.env.Colour || c == plain {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", c, text)
}

// Colour tells whether a file is to be coloured: a terminal, unless NO_COLOR asks for none.
func Colour(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// colour is one of a terminal's own.
type colour int

const (
	plain  colour = 0
	red    colour = 31
	green  colour = 32
	yellow colour = 33
)

// number prints a count; one that cannot be known is a dash.
func number(n *uint64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatUint(*n, 10)
}

// count prints "1 server", "2 servers".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// memory prints bytes in whole KiB or MiB; what is said beforehand is never too little.
func memory(bytes uint64) string {
	const kib, mib = 1 << 10, 1 << 20
	if bytes < mib {
		return model.Grouped((bytes+kib-1)/kib) + " KiB"
	}
	return model.Grouped((bytes+mib-1)/mib) + " MiB"
}
