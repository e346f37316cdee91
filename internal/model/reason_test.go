// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestReasonsStayOnTheirLine: they hold what servers said, who may be anybody.
func TestReasonsStayOnTheirLine(t *testing.T) {
	for reason, want := range map[string]string{
		"plain":                         "plain",
		"two\r\nBcc: all@example.org":   "two  Bcc: all@example.org",
		"bell \a, escape \x1b[31m":      "bell  , escape  [31m",
		"turned \u202e around":          "turned   around",
		"half \xff":                     "half ?",
		" room \n":                      "room",
		strings.Repeat("x", 1000):       strings.Repeat("x", 200) + "…",
		"nothing is left of it \x00 ok": "nothing is left of it   ok",
	} {
		if got := model.OneLine(reason); got != want {
			t.Errorf("%q became %q, want %q", reason, got, want)
		}
	}
}
