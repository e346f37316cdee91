// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is text in columns. A heading that begins with ">" has its column flush right.
type table struct {
	rows  [][]string
	right []bool
	hides map[int]bool                         // columns that are not printed
	paint func(column int, text string) string // colours a cell of the body; may be nil
}

// newTable begins with a line of headings.
func newTable(headings ...string) *table {
	t := &table{}
	var head []string
	for _, heading := range headings {
		text, right := strings.CutPrefix(heading, ">")
		head = append(head, text)
		t.right = append(t.right, right)
	}
	t.rows = append(t.rows, head)
	return t
}

// hide leaves columns out by their headings.
func (t *table) hide(headings ...string) {
	t.hides = map[int]bool{}
	for column, heading := range t.rows[0] {
		t.hides[column] = slices.Contains(headings, heading)
	}
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the table, as wide as its cells and without blanks at the ends of lines.
func (t *table) write(w io.Writer) error {
	var out strings.Builder
	widths := t.widths()
	for i, row := range t.rows {
		var line strings.Builder
		for column, text := range row {
			if t.hides[column] {
				continue
			}
			pad := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(text))
			if i > 0 && t.paint != nil {
				text = t.paint(column, text)
			}
			if t.right[column] {
				text, pad = pad+text, ""
			}
			line.WriteString(text + pad + "  ")
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (t *table) widths() []int {
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		for column, text := range row {
			widths[column] = max(widths[column], utf8.RuneCountInString(text))
		}
	}
	return widths
}
