// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"
)

// matches searches a text, but no longer than ctx lasts. RE2 takes no more than a time for each byte, but that grows
// with the expression: (x?){300}x{300}y takes ten seconds for a megabyte of x, which a server may well send.
func matches(ctx context.Context, expression *regexp.Regexp, text []byte) (bool, error) {
	if prefix, _ := expression.LiteralPrefix(); !bytes.Contains(text, []byte(prefix)) {
		return false, nil
	}
	r := &reading{ctx: ctx, text: text}
	found := expression.MatchReader(r)
	if r.over { // what was read until then may match, but as an end that it is not
		return false, fmt.Errorf("%w: it takes too long to search", errSilent)
	}
	return found, nil
}

// reading is a text that ends when ctx does.
type reading struct {
	ctx  context.Context
	text []byte
	read int
	over bool
}

// glance is how many characters are read from one look at the clock to the next.
const glance = 256

func (r *reading) ReadRune() (rune, int, error) {
	if r.read%glance == 0 {
		r.over = isOver(r.ctx)
	}
	if r.over || len(r.text) == 0 {
		return 0, 0, io.EOF
	}
	c, size := utf8.DecodeRune(r.text)
	r.text = r.text[size:]
	r.read++
	return c, size, nil
}
