// SPDX-License-Identifier: Apache-2.0

package stories_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// bound is a socket of the client that hears what is sent back to its address.
func (s *stage) bound(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return s.lab.Client.Dial(ctx, "udp", s.lab.Client.Address.In(family(to)), to)
}

// ends are a socket's own address, and whom it talks to.
func ends(conn net.Conn) (from, to netip.AddrPort) {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), conn.RemoteAddr().(*net.UDPAddr).AddrPort()
}

// header is that of the datagram, or of one piece of it.
func header(from, to netip.AddrPort, part packet.Fragment, cut bool) packet.Layer {
	if to.Addr().Is6() {
		return packet.IPv6{Source: from.Addr(), Destination: to.Addr(), HopLimit: 64}
	}
	ip := packet.IPv4{Source: from.Addr(), Destination: to.Addr(), TTL: 64, Protocol: packet.ProtocolUDP}
	if cut {
		ip.ID, ip.Offset, ip.Flags = uint16(part.ID), part.Offset, part.Flags
	}
	return ip
}

// sendRaw sends whole IP packets from a host, by its routes.
func sendRaw(host *lab.Node, to netip.Addr, packets [][]byte) error {
	domain, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: to.As16()})
	if to.Is4() {
		domain, address = unix.AF_INET, &unix.SockaddrInet4{Addr: to.As4()}
	}
	return host.Do(func() error {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, p := range packets {
			if err := unix.Sendto(fd, p, 0, address); err != nil {
				return fmt.Errorf("send to %v: %w", to, err)
			}
		}
		return nil
	})
}

func mac(host *lab.Node, link string) (packet.MAC, error) {
	var out packet.MAC
	err := host.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err == nil {
			out = packet.MAC(i.HardwareAddr)
		}
		return err
	})
	return out, err
}

// sendFrame sends a frame from a link of a host.
func sendFrame(host *lab.Node, link string, frame []byte) error {
	return host.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // 0: it receives nothing
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index})
	})
}
