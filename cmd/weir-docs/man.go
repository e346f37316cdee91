// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manual is the collection that the pages belong to.
const manual = "weir"

// writeCommands writes a page for each command: weir(1), weir-run(1), weir-realserver-up(1) and so on.
func writeCommands(root *cobra.Command, version, dir string) error {
	root.CompletionOptions.DisableDefaultCmd = true
	bare(root)
	return doc.GenManTree(root, &doc.GenManHeader{
		Section: "1", Source: "weir " + version, Manual: manual,
	}, dir)
}

// bare takes away what the pages would say twice, and who made them when: with SOURCE_DATE_EPOCH they
// are the same whenever they are made.
func bare(c *cobra.Command) {
	c.DisableAutoGenTag = true
	if c.Long == "" {
		c.Long = sentence(c.Short)
	}
	for _, below := range c.Commands() {
		bare(below)
	}
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

var (
	title = regexp.MustCompile(`\A# .*\n`)
	// Links lead to other pages of the repository: on paper only their text is left.
	links = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)
	// A head, the line below it, and rows.
	tables = regexp.MustCompile(`(?m)^(\|.*)\n\|[-| ]+\n((?:\|.*\n)+)`)
)

// writeReference makes weir.yaml(5) of the page on the configuration file.
func writeReference(page, version, out string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head := "% \"WEIR.YAML\" \"5\" \"\" \"weir " + version + "\" \"" + manual + "\"\n" +
		"# NAME\nweir.yaml - the configuration of weir\n\n# DESCRIPTION\n"
	body := title.ReplaceAll(text, nil)
	body = links.ReplaceAll(body, []byte("$1"))
	body = bytes.ReplaceAll(body, []byte("\n## "), []byte("\n# "))
	body = tables.ReplaceAllFunc(body, list)
	return os.WriteFile(out, md2man.Render(append([]byte(head), body...)), 0o644)
}

// list makes a table a list of its rows: cells are too wide for a terminal, and are not broken there.
func list(table []byte) []byte {
	match := tables.FindSubmatch(table)
	head := cells(string(match[1]))
	var out strings.Builder
	for row := range strings.Lines(string(match[2])) {
		out.WriteString("- " + item(head, cells(row)) + "\n")
	}
	return []byte(out.String())
}

// cells are those of a row.
func cells(row string) []string {
	out := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// item is a row in one sentence: what it is about, then each cell behind the name of its column,
// which a table of two columns does without.
func item(head, row []string) string {
	var parts []string
	for i, cell := range row[1:] {
		if cell == "" || cell == "–" {
			continue
		}
		if len(row) > 2 && i+1 < len(head) && head[i+1] != "" {
			cell = head[i+1] + " " + cell
		}
		parts = append(parts, cell)
	}
	return row[0] + ": " + strings.Join(parts, "; ")
}
