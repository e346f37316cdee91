// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"time"
	"unicode/utf8"
)

// matches searches a text, but no longer than ctx lasts. RE2 takes no more than a time for each byte, but that grows
// with the expression: (x?){300}x{300}y takes ten seconds for a megabyte of x, which a server may well send.
func matches(ctx context.Context, expression *regexp.Regexp, text []byte) (bool, error) {
	if prefix, _ := expression.LiteralPrefix(); !bytes.Contains(text, []byte(prefix)) {
		return false, nil
	}
	r := &reading{ctx: ctx, text: text, since: time.Now()}
	found := expression.MatchReader(r)
	if r.over { // what was read until then may match, but as an end that it is not
		return false, fmt.Errorf("%w: it takes too long to search", errSilent)
	}
	return found, nil
}

// reading is a text that ends when ctx does.
type reading struct {
	ctx   context.Context
	text  []byte
	read  int
	over  bool
	since time.Time // nobody else had the processor
}

const (
	glance = 256              // characters from one look at the clock to the next
	turn   = time.Millisecond // that a search takes while others wait
)

func (r *reading) ReadRune() (rune, int, error) {
	if r.read%glance == 0 {
		r.pause()
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

// pause lets other checks go first, as polite does: they would wait for a search longer than for anything else.
func (r *reading) pause() {
	if time.Since(r.since) >= turn {
		runtime.Gosched()
		r.since = time.Now()
	}
}
