// SPDX-License-Identifier: Apache-2.0

package health

import (
	"crypto/tls"
	"io"
	"net"
)

// Connections are closed with a reset (see dial), which servers take for a fault, and log: before it they are left.

// leave waits until the server has hung up, to whom goodbye was said. How it does that is not judged, the verdict is
// made.
func leave(c net.Conn) { _, _ = io.CopyN(io.Discard, c, maxLine) }

// leaveSilently is for protocols without a goodbye: the server reads an end before it can hear of the reset. That
// there is one is why the director does not remember the connection, although it ends it first (RFC 9293 section
// 3.10.4).
func leaveSilently(c net.Conn) {
	for {
		switch on := c.(type) {
		case *tls.Conn:
			_ = on.CloseWrite()
			c = on.NetConn()
		case *limited:
			c = on.Conn
		case polite:
			c = on.Conn
		case *net.TCPConn:
			_ = on.CloseWrite()
			return
		default:
			return
		}
	}
}
