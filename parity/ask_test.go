// SPDX-License-Identifier: Apache-2.0

package parity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/parity"
)

// ask makes one connection and returns the server's number, as it says itself.
func (s *stage) ask(ctx context.Context, row parity.Row, ask parity.Ask) (string, error) {
	const enough = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	conn, err := s.lab.Client.DialFrom(ctx, row.Protocol.String(), ask.From, ask.To)
	if err != nil {
		return withoutServer(err)
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) })()
	pick, err := greeted(conn)
	switch tcp, ok := conn.(*net.TCPConn); {
	case err != nil:
		conn.Close()
		return withoutServer(err)
	case row.Keep:
		s.kept = append(s.kept, conn)
		return pick, nil
	case ok:
		return pick, leave(tcp)
	default:
		return pick, conn.Close()
	}
}

// withoutServer tells a refusal and silence from what went wrong.
func withoutServer(err error) (string, error) {
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, syscall.ECONNREFUSED):
		return parity.Refused, nil
	case ok && timeout.Timeout():
		return parity.Silent, nil
	}
	return "", err
}

// greeted reads the server's line. A datagram asks for it, TCP's servers speak first.
func greeted(conn net.Conn) (string, error) {
	if _, datagrams := conn.(*net.UDPConn); datagrams {
		if _, err := conn.Write([]byte("x")); err != nil {
			return "", err
		}
	}
	line := make([]byte, 64)
	n, err := conn.Read(line)
	return strings.TrimSpace(string(line[:n])), err
}

// leave closes the client's side and waits for the server's: so the director has seen both when the next
// connection begins.
func leave(conn *net.TCPConn) error {
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(conn)
	if len(rest) > 0 {
		err = fmt.Errorf("the server said more: %q", rest)
	}
	return errors.Join(err, conn.Close())
}

// serve makes a real server say its number to everybody, as the records' did. It ends with the test.
func serve(t *testing.T, server *lab.Server, number int) error {
	t.Helper()
	line := fmt.Appendf(nil, "%d\n", number)
	port := fmt.Sprintf(":%d", parity.ServerPort)
	for _, family := range []string{"4", "6"} {
		err := server.Do(func() error {
			var config net.ListenConfig
			config.SetMultipathTCP(false) // real servers speak plain TCP
			listener, err := config.Listen(t.Context(), "tcp"+family, port)
			if err != nil {
				return err
			}
			t.Cleanup(func() { listener.Close() })
			go greet(listener, line)
			datagrams, err := config.ListenPacket(t.Context(), "udp"+family, port)
			if err != nil {
				return err
			}
			t.Cleanup(func() { datagrams.Close() })
			go answer(datagrams, line)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// greet ends when the listener is closed; a connection does when the client's side is.
func greet(listener net.Listener, line []byte) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			conn.Write(line)
			io.Copy(io.Discard, conn)
		}()
	}
}

func answer(conn net.PacketConn, line []byte) {
	question := make([]byte, 64)
	for {
		_, client, err := conn.ReadFrom(question)
		if err != nil {
			return
		}
		conn.WriteTo(line, client)
	}
}
