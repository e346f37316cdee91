// SPDX-License-Identifier: Apache-2.0

package health

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// shown is what a server said as it may stand in a reason: on one line, with escapes for what would move a
// terminal's cursor, and cut, since a server may be anything.
func shown(text string) string {
	const most = 72 // bytes
	text = strings.TrimSpace(text)
	if text == "" {
		return `""`
	}
	var b strings.Builder
	for text != "" {
		if b.Len() >= most {
			return b.String() + "…"
		}
		r, size := utf8.DecodeRuneInString(text)
		b.WriteString(visible(r, text[:size]))
		text = text[size:]
	}
	return b.String()
}

// visible is one character. A byte that is none decodes to RuneError too, but is not three bytes long.
func visible(r rune, text string) string {
	if strconv.IsPrint(r) && (r != utf8.RuneError || len(text) > 1) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}
