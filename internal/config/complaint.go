// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Complaint is one mistake in a file.
type Complaint struct {
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
	Hint    string // the way out; "" where the message says it already
	Source  string // the line as it is written
}

// Error is all that is wrong with a file.
type Error struct {
	File       string
	Complaints []Complaint // by position
	More       int         // complaints beyond maxComplaints, which are counted but not kept
}

// maxComplaints bounds what a file of another kind can make us say.
const maxComplaints = 200

// Error prints every complaint with its line and a caret below the place.
func (e *Error) Error() string {
	var b strings.Builder
	for i, c := range e.Complaints {
		if i > 0 {
			b.WriteByte('\n')
		}
		c.print(&b, e.File)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%s: and %d more", e.File, e.More)
	}
	return b.String()
}

func (c Complaint) print(b *strings.Builder, file string) {
	source, column := window(c.Source, c.Column)
	fmt.Fprintf(b, "%s:%d:%d: %s\n", file, c.Line, c.Column, c.Message)
	fmt.Fprintf(b, "%5d | %s\n", c.Line, source)
	fmt.Fprintf(b, "      | %s^", margin(source, column))
	if c.Hint != "" {
		b.WriteString(" " + c.Hint)
	}
}

// window cuts a long line down to what surrounds the column, and says where the column is then.
func window(line string, column int) (string, int) {
	const width = 120
	if utf8.RuneCountInString(line) <= width {
		return line, column
	}
	at := offset(line, column)
	before := line[:at]
	for range width / 2 {
		_, size := utf8.DecodeLastRuneInString(before)
		before = before[:len(before)-size]
	}
	column = utf8.RuneCountInString(line[len(before):at]) + 1
	rest := line[len(before):]
	return rest[:offset(rest, width+1)], column
}

// offset is where a column begins, in bytes; a column behind the end is the end.
func offset(line string, column int) int {
	for i := range line {
		if column--; column < 1 {
			return i
		}
	}
	return len(line)
}

// margin is as wide as what stands before the column. Tabs stay tabs, so the caret meets its place.
func margin(line string, column int) string {
	var b strings.Builder
	for _, r := range line[:offset(line, column)] {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// verdict is nil for a file without complaints.
func (f *file) verdict() error {
	if len(f.complaints) == 0 {
		return nil
	}
	slices.SortStableFunc(f.complaints, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{File: f.name, Complaints: f.complaints, More: f.more}
}
