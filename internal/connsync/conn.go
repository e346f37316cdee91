// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a socket that is connected to one peer: what comes from others, the kernel throws away.
type conn struct {
	socket *net.UDPConn
	come   chan []byte   // datagrams; those that find no room wait in the kernel, as long as it has some
	closed chan struct{} // its reader has ended
	forget func() bool   // the end of its context
}

// DefaultPort is that of directors.
const DefaultPort = 8849

const (
	socketBuffer = 4 << 20 // bytes; of a copy of 100,000 connections that is all
	mostRead     = 256     // datagrams that wait for the peer's goroutine
	refusedPause = 50 * time.Millisecond
)

// dial opens it, until ctx is done. Each peer has one of its own from the same address and port.
func dial(ctx context.Context, link string, local, to netip.AddrPort) (*conn, error) {
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(local), Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		if err := raw.Control(func(fd uintptr) { set = prepare(int(fd), link) }); err != nil {
			return err
		}
		return set
	}}
	network := "udp6"
	if to.Addr().Is4() {
		network = "udp4"
	}
	socket, err := dialer.DialContext(ctx, network, to.String())
	if err != nil {
		return nil, fmt.Errorf("a socket from %s to %s: %w", local, to, cause(err))
	}
	c := &conn{socket: socket.(*net.UDPConn), come: make(chan []byte, mostRead), closed: make(chan struct{})}
	c.forget = context.AfterFunc(ctx, func() { c.socket.Close() }) // whoever waits there for room to write waits no more
	go c.read(ctx)
	return c, nil
}

// cause leaves out what the message says already.
func cause(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// prepare is done before the socket has an address. A buffer as large as that needs a right, and helps where there
// is one.
func prepare(fd int, link string) error {
	if link != "" {
		if err := unix.BindToDevice(fd, link); err != nil {
			return fmt.Errorf("interface %s: %w", link, err)
		}
	}
	for _, way := range []int{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, way, socketBuffer)
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

// read hands out what comes, until the socket is closed. That nobody listens there is no end: he may later.
func (c *conn) read(ctx context.Context) {
	defer close(c.closed)
	space := make([]byte, mostDatagram+1) // a longer one is seen to be too long
	for {
		n, err := c.socket.Read(space)
		switch {
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return
		case err != nil:
			time.Sleep(refusedPause)
			continue
		}
		select {
		case c.come <- bytes.Clone(space[:n]):
		case <-ctx.Done():
			return
		}
	}
}

// close ends it, and its reader, which may wait for somebody to take what it has.
func (c *conn) close() {
	c.forget()
	c.socket.Close()
	for {
		select {
		case <-c.come:
		case <-c.closed:
			return
		}
	}
}
