// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"unicode"
)

// OneLine makes what a server or a program says fit for a reason: that stands in a header, a log, and on a terminal,
// and whoever speaks may be anybody.
func OneLine(text string) string {
	const most = 200 // characters
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strings.TrimSpace(text)
}
