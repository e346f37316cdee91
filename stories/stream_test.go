// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// stream is a connection that stays, to the TCP echo of a server, or a flow to its UDP one.
func stream(ctx context.Context, s *stage, args []string) (string, error) {
	return choose(ctx, s, args, map[string]word{"open": openStream, "close": closeStream})
}

func openStream(ctx context.Context, s *stage, args []string) (string, error) {
	network := "tcp"
	if len(args) == 3 && args[2] == "udp" {
		network, args = args[2], args[:2]
	}
	if err := exactly(args, "NAME", "ADDRESS"); err != nil {
		return "", err
	}
	to, err := target(args[1])
	if err != nil {
		return "", err
	}
	conn, err := s.lab.Client.Dial(ctx, network, s.lab.Client.Address.In(family(to)), to)
	if err != nil {
		return "", err
	}
	c := &connection{conn: conn, datagrams: network == "udp", done: make(chan struct{})}
	if err := c.begin(); err != nil {
		conn.Close()
		return "", err
	}
	s.streams[args[0]] = c
	go c.run()
	return "", nil
}

// closeStream wants the connection to be alive to its end.
func closeStream(_ context.Context, s *stage, args []string) (string, error) {
	if err := exactly(args, "NAME"); err != nil {
		return "", err
	}
	c := s.streams[args[0]]
	if c == nil {
		return "", misuse(fmt.Sprintf("%s is not open", args[0]))
	}
	delete(s.streams, args[0])
	c.end()
	if c.err != nil {
		return "", fmt.Errorf("after %d lines: %w", c.lines, c.err)
	}
	return fmt.Sprintf("lines %d\n", c.lines), nil
}

// connection exchanges a line every 10 ms until it is ended.
type connection struct {
	conn      net.Conn
	datagrams bool // which are answered, but not by what was sent
	ending    atomic.Bool
	done      chan struct{}
	lines     int   // exchanged; valid after done, as err
	err       error // why it broke
}

// begin makes a flow begin when it is opened: connecting a socket of datagrams sends nothing, and schedulers go by
// the order in which flows begin.
func (c *connection) begin() error {
	if !c.datagrams {
		return nil
	}
	return c.next()
}

func (c *connection) run() {
	defer close(c.done)
	for c.err == nil && !c.ending.Load() {
		if c.err = c.next(); c.err == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// next exchanges the next line.
func (c *connection) next() error {
	if err := c.exchange(fmt.Sprintf("line %d\n", c.lines)); err != nil {
		return err
	}
	c.lines++
	return nil
}

func (c *connection) exchange(line string) error {
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, line); err != nil {
		return err
	}
	if c.datagrams {
		_, err := c.conn.Read(make([]byte, 2048))
		return err
	}
	back := make([]byte, len(line))
	if _, err := io.ReadFull(c.conn, back); err != nil {
		return err
	}
	if string(back) != line {
		return fmt.Errorf("sent %q, got %q", line, back)
	}
	return nil
}

func (c *connection) end() {
	c.ending.Store(true)
	<-c.done
	c.conn.Close()
}
