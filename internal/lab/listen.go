// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"net"
)

// Listen takes connections to a port of every address of the node, for whoever wants to answer them.
func (n *Namespace) Listen(ctx context.Context, port uint16) (listener net.Listener, err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // Go's default since 1.24; real servers speak plain TCP
	err = n.Do(func() (err error) {
		listener, err = config.Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
		return err
	})
	return listener, err
}

// Take takes connections to a port of every address of the node, and hands each on, until the listener is closed.
func (n *Namespace) Take(ctx context.Context, port uint16, take func(*net.TCPConn)) (io.Closer, error) {
	listener, err := n.Listen(ctx, port)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			take(c.(*net.TCPConn))
		}
	}()
	return listener, nil
}

// ListenPacket takes datagrams to a port of every address of the node, also of those that it gets later.
func (n *Namespace) ListenPacket(ctx context.Context, port uint16) (conn *net.UDPConn, err error) {
	var config net.ListenConfig
	err = n.Do(func() error {
		packets, err := config.ListenPacket(ctx, "udp", fmt.Sprintf(":%d", port))
		if err == nil {
			conn = packets.(*net.UDPConn)
		}
		return err
	})
	return conn, err
}
