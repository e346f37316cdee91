// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const buffer = 4 << 20 // of the socket: a burst of a kernel that does not pace itself

// join makes the socket. It is bound to the group, so that nothing else comes by it.
func join(config Config, link int) (*net.UDPConn, error) {
	group, domain, options := config.Group.Addr(), unix.AF_INET6, options6
	var at unix.Sockaddr = &unix.SockaddrInet6{Addr: group.As16(), Port: int(config.Group.Port()), ZoneId: uint32(link)}
	if group.Is4() {
		domain, options = unix.AF_INET, options4
		at = &unix.SockaddrInet4{Addr: group.As4(), Port: int(config.Group.Port())}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), config.Group.String())
	defer file.Close() // what comes of it has its own descriptor
	if err := errors.Join(optionsOf(fd, link), options(fd, link, group, config.Hops), os.NewSyscallError("bind", unix.Bind(fd, at))); err != nil {
		return nil, err
	}
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

func optionsOf(fd, link int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil { // without the right to: what is allowed
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	return os.NewSyscallError("setsockopt", errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), // a kernel's daemon may hear the same
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, link),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1),
	))
}

func options4(fd, link int, group netip.Addr, hops int) error {
	set := func(option, value int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, option, value) }
	member := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(link)}
	return os.NewSyscallError("setsockopt", errors.Join(
		set(unix.IP_MULTICAST_TTL, hops),
		set(unix.IP_MULTICAST_LOOP, 0),
		set(unix.IP_MULTICAST_ALL, 0),
		set(unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT), // a smaller MTU later: rather in fragments than not at all
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, member),
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, member),
	))
}

func options6(fd, link int, group netip.Addr, hops int) error {
	set := func(option, value int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option, value) }
	return os.NewSyscallError("setsockopt", errors.Join(
		set(unix.IPV6_V6ONLY, 1),
		set(unix.IPV6_MULTICAST_HOPS, hops),
		set(unix.IPV6_MULTICAST_LOOP, 0),
		set(unix.IPV6_MULTICAST_ALL, 0),
		set(unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT),
		set(unix.IPV6_MULTICAST_IF, link),
		unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(link)}),
	))
}
