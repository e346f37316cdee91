// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// How much a server may say. It may be another program than we think, or a broken one.
const (
	maxLine  = 4 << 10 // bytes, with the line's end
	maxLines = 200     // of a whole conversation
)

var (
	errLongLine  = fmt.Errorf("a line of more than %d bytes", maxLine)
	errManyLines = fmt.Errorf("more than %d lines", maxLines)
)

// talk is a conversation in lines.
type talk struct {
	conn  net.Conn
	in    *bufio.Reader
	said  string // what was said last, as messages call it; "" before the first word
	lines int    // heard so far
}

// conversation is a probe that connects and talks.
func conversation(hold func(*talk) error) probe {
	return func(ctx context.Context, to netip.AddrPort) error {
		c, err := dial(ctx, to)
		if err != nil {
			return err
		}
		defer c.Close()
		defer obey(ctx, c)()
		return hold(&talk{conn: c, in: bufio.NewReaderSize(newLimited(c, maxTold), maxLine)})
	}
}

// obey ends what waits for a connection when ctx does, which reading and writing do not know. What it returns
// ends that.
func obey(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
}

// say sends what messages call by the word.
func (t *talk) say(word, text string) error {
	t.said = word
	if _, err := io.WriteString(t.conn, text); err != nil {
		return unheard(err, word)
	}
	return nil
}

// line returns the next line without its end.
func (t *talk) line() (string, error) {
	if t.lines++; t.lines > maxLines {
		return "", unheard(errManyLines, t.said)
	}
	line, err := t.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = errLongLine
	}
	if err != nil {
		return "", unheard(err, t.said)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// part says goodbye, so that the server's log has no connection that was lost. It waits for the answer, since
// the connection is closed with a reset, but does not judge it: the verdict is made.
func (t *talk) part(text string) {
	if t.say("goodbye", text) == nil {
		_, _ = t.line()
	}
}

// unheard says which answer did not come; said is what it should have answered, "" for a greeting.
func unheard(err error, said string) error {
	what := "the greeting"
	if said != "" {
		what = "the answer to " + said
	}
	switch err = plainly(err); {
	case errors.Is(err, errSilent) && said == "":
		return fmt.Errorf("%w: no greeting", err)
	case errors.Is(err, errSilent):
		return fmt.Errorf("%w to %s", err, said)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("closed before " + what)
	}
	return fmt.Errorf("%w before %s", err, what)
}
