// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// maxTold is how much a server may say to a check that wants little of it, in bytes.
const maxTold = 64 << 10

// tooMuch is what comes of more bytes than a server may send.
type tooMuch int

func (t tooMuch) Error() string { return fmt.Sprintf("more than %d KiB", t>>10) }

// limited is a connection on which a server cannot say more than so much: what libraries do with the rest is not
// in our hands.
type limited struct {
	net.Conn
	most, left int // bytes
}

func newLimited(c net.Conn, most int) *limited { return &limited{c, most, most} }

func (l *limited) Read(space []byte) (int, error) {
	if l.left <= 0 {
		return 0, tooMuch(l.most)
	}
	n, err := l.Conn.Read(space[:min(len(space), l.left)])
	l.left -= n
	return n, err
}

// isUnread tells a connection that failed from bytes that make no sense.
func isUnread(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	_, isMuch := errors.AsType[tooMuch](err)
	return isNet || isMuch || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
