// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// startEcho answers datagrams with Answers. Each address has a socket of its own, so that answers
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

func freebind(network, _ string, conn syscall.RawConn) error {
	level, option := unix.SOL_IP, unix.IP_FREEBIND
	if network == "udp6" {
		level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
	}
	var refused error
	err := conn.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), level, option, 1)
	})
	return errors.Join(err, refused)
}

func (s *Server) echo(conn *net.UDPConn, local netip.Addr) {
	buffer := make([]byte, 2048)
	for {
		_, client, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		conn.WriteToUDPAddrPort([]byte(s.answer(client.Addr(), local).String()), client)
	}
}
