// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMatchesAsRegexpDoes(t *testing.T) {
	long := strings.Repeat("x", 3*glance)
	for _, expression := range []string{"", "x", "^ok$", "(?m)^ok$", "ok", "y$", "x+y?$", `\bok\b`, "é.", `^\xff`, "(?i)OK"} {
		e := regexp.MustCompile(expression)
		for _, text := range []string{"", "ok", "ok\n", "not\nok", long, long + "y", "oké ok", "\xff\xfe", "xok"} {
			if got, err := matches(t.Context(), e, []byte(text)); err != nil || got != e.MatchString(text) {
				t.Errorf("%q in %.20q: %v, %v, regexp says %v", expression, text, got, err, e.MatchString(text))
			}
		}
	}
}

// TestSearchesEndInTime: an expression that takes seconds for what a server sends does not keep its check.
func TestSearchesEndInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	began := time.Now()
	found, err := matches(ctx, regexp.MustCompile("(x?){300}x{300}y"), []byte(strings.Repeat("x", maxHTTPBody)))
	if took := time.Since(began); found || !errors.Is(err, errSilent) || took > slack/2 {
		t.Errorf("%v, %v after %v", found, err, took)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if found, err := matches(ctx, regexp.MustCompile("x$"), []byte("x")); found || !errors.Is(err, errSilent) {
		t.Errorf("after the end: %v, %v", found, err)
	}
}
