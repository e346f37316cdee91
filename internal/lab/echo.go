// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// startEcho answers datagrams with Answers, and the longer ones with what they said. Each address has a socket of its own, so that answers
// come from the address that was asked.
func (s *Server) startEcho(ctx context.Context) error {
	for _, local := range []Pair{s.Address, s.lab.VIP} {
		for _, f := range Families() {
			conn, err := s.listenUDP(ctx, local.In(f))
			if err != nil {
				return fmt.Errorf("%s: start UDP echo: %w", s.Name, err)
			}
			s.serving = append(s.serving, conn)
			go s.echo(conn, local.In(f)) // ends with Close
		}
	}
	return nil
}

// listenUDP also takes an address that the server does not hold yet, such as the VIP.
func (s *Server) listenUDP(ctx context.Context, local netip.Addr) (*net.UDPConn, error) {
	config := net.ListenConfig{Control: freebind}
	var conn net.PacketConn
	err := s.Do(func() (err error) {
		conn, err = config.ListenPacket(ctx, "udp", netip.AddrPortFrom(local, EchoPort).String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// freebind takes addresses that no interface holds, such as those of a network elsewhere.
func freebind(network, _ string, conn syscall.RawConn) error {
	if strings.HasSuffix(network, "6") {
		return setOption(conn, unix.SOL_IPV6, unix.IPV6_FREEBIND)
	}
	return setOption(conn, unix.SOL_IP, unix.IP_FREEBIND)
}

// shared takes also a port that another socket has.
func shared(network, address string, conn syscall.RawConn) error {
	return errors.Join(freebind(network, address, conn), setOption(conn, unix.SOL_SOCKET, unix.SO_REUSEADDR))
}

func setOption(conn syscall.RawConn, level, option int) error {
	var refused error
	err := conn.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), level, option, 1)
	})
	return errors.Join(err, refused)
}

func (s *Server) echo(conn *net.UDPConn, local netip.Addr) {
	buffer := make([]byte, 1<<16)
	for {
		n, client, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		conn.WriteToUDPAddrPort(reply(s.answer(client.Addr(), local), buffer[:n]), client)
	}
}

// reply is what the echo says to a question: an Answer, and behind it what the question says from
// there on. So they are of the same size, unless the Answer alone is longer.
func reply(answer Answer, question []byte) []byte {
	text := []byte(answer.String())
	return append(text, question[min(len(text), len(question)):]...)
}

// ParseReply reads what the echo said to a question.
func ParseReply(text, question []byte) (Answer, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	answer, err := ParseAnswer(string(line))
	if err != nil {
		return Answer{}, err
	}
	if want := reply(answer, question); !bytes.Equal(text, want) {
		return Answer{}, fmt.Errorf("a question of %d bytes came back as %d others", len(question), len(text))
	}
	return answer, nil
}

// Question is text of a size for the echo. No two of its 8-byte words are alike, so that no part of
// it can be taken for another.
func Question(size int) []byte {
	var text []byte
	for i := 0; len(text) < size; i++ {
		text = fmt.Appendf(text, "%07x\n", i)
	}
	return text[:size]
}
