// SPDX-License-Identifier: Apache-2.0

package health

import (
	"net"
	"runtime"
)

// polite is a connection whose reader lets other checks go first, each time. What a server sends without end is there
// before it is read, so nobody would ever wait for it: who reads it has its processor until the scheduler takes that
// away (10 ms), and with many such servers the end of another check's time waits for all of them.
type polite struct{ net.Conn }

func (p polite) Read(space []byte) (int, error) {
	runtime.Gosched()
	return p.Conn.Read(space)
}
