// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// file is a file that is being read, and what was found wrong with it so far.
type file struct {
	name       string
	lines      []string
	complaints []Complaint
	more       int
}

// place is where something stands in a file; both count from 1.
type place struct{ line, column int }

// mistake is a complaint that does not know its place yet.
type mistake struct{ what, hint string }

func newFile(name string, data []byte) *file {
	return &file{name: name, lines: lines(data)}
}

// lines splits as YAML does: \n, \r\n and \r all end a line.
func lines(data []byte) []string {
	text := strings.TrimPrefix(string(data[:min(len(data), maxSize)]), byteOrderMark)
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

// byteOrderMark may begin a file; editors of other systems write it.
const byteOrderMark = "\uFEFF"

func (f *file) complain(at place, m mistake) {
	if f.isFull() {
		f.more++
		return
	}
	// The parser leaves the place open for what concerns a whole document.
	at = place{max(at.line, 1), max(at.column, 1)}
	f.complaints = append(f.complaints, Complaint{
		Line: at.line, Column: at.column, Message: m.what, Hint: m.hint, Source: f.line(at.line),
	})
}

func (f *file) isFull() bool { return len(f.complaints) == maxComplaints }

// line returns a line by its number. The end of a file may count as a line that is not there.
func (f *file) line(number int) string {
	if number > len(f.lines) {
		return ""
	}
	return f.lines[number-1]
}

// readable looks at the characters, since the YAML parser cannot say where a wrong one stands.
func (f *file) readable(data []byte) bool {
	if len(data) > maxSize {
		f.complain(place{1, 1}, mistake{
			fmt.Sprintf("the file is larger than %d MiB", maxSize>>20), "is this the right file?"})
		return false
	}
	for i, line := range f.lines {
		if column, m := unreadableCharacter(line); m.what != "" {
			f.lines[i] = strings.Map(visible, line)
			f.complain(place{i + 1, column}, m)
			return false
		}
	}
	return true
}

func unreadableCharacter(line string) (column int, m mistake) {
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		column, i = column+1, i+size
		switch {
		case r == utf8.RuneError && size == 1:
			return column, mistake{"this is not UTF-8 text", "save the file as UTF-8"}
		case isControl(r):
			return column, mistake{fmt.Sprintf("a control character, %U", r), "is this a text file?"}
		}
	}
	return 0, mistake{}
}

// isControl is true for what YAML forbids, and for the exotic line ends that it would count.
func isControl(r rune) bool {
	switch {
	case r == '\t':
		return false
	case r < ' ', r >= 0x7F && r < 0xA0, r == 0x2028, r == 0x2029, r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
		return true
	}
	return false
}

// visible keeps control characters away from the terminal.
func visible(r rune) rune {
	if isControl(r) {
		return utf8.RuneError
	}
	return r
}
