// SPDX-License-Identifier: Apache-2.0

package health

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatServersSayIsShownHarmlessly(t *testing.T) {
	for text, want := range map[string]string{
		"421 too busy":             "421 too busy",
		" padded \r\n":             "padded",
		"":                         `""`,
		"\r\n":                     `""`,
		"two\r\nlines":             `two\r\nlines`,
		"\x1b[2J":                  `\x1b[2J`,
		"bell\a!":                  `bell\a!`,
		"\xff\x00":                 `\xff\x00`,
		"right\u202eleft":          `right\u202eleft`,
		"line\u2028end":            `line\u2028end`,
		"Grüße \ufffd":             "Grüße \ufffd",
		`"quoted" and \n`:          `"quoted" and \n`,
		strings.Repeat("x", 72):    strings.Repeat("x", 72),
		strings.Repeat("x", 73):    strings.Repeat("x", 72) + "…",
		strings.Repeat("\x00", 20): strings.Repeat(`\x00`, 18) + "…",
	} {
		if got := shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func FuzzShown(f *testing.F) {
	f.Add("421 too busy\r\n")
	f.Add("\xff\x1b\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		out := shown(text)
		if n := utf8.RuneCountInString(out); n == 0 || n > 82 || !utf8.ValidString(out) || strings.ContainsAny(out, "\r\n\x1b") {
			t.Errorf("%q is shown as %q", text, out)
		}
	})
}
