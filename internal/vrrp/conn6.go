// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

var family6 = family{
	domain:  unix.AF_INET6,
	group:   netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 15: groupID}), // RFC 9568 section 5.1.2.2
	options: options6,
	head:    head6,
	read:    read6,
	beside:  beside6,
	address: func(c *conn, to netip.Addr) unix.Sockaddr {
		return &unix.SockaddrInet6{Addr: to.As16(), ZoneId: uint32(c.link)}
	},
}

// options6 leaves the checksum to us: the kernel would drop wrong ones uncounted.
func options6(c *conn) error {
	set := func(option, value int) error { return unix.SetsockoptInt(c.fd, unix.IPPROTO_IPV6, option, value) }
	return errors.Join(
		set(unix.IPV6_UNICAST_HOPS, hops),
		set(unix.IPV6_MULTICAST_HOPS, hops),
		set(unix.IPV6_MULTICAST_LOOP, 0),
		set(unix.IPV6_MULTICAST_ALL, 0),
		set(unix.IPV6_TCLASS, control),
		set(unix.IPV6_RECVHOPLIMIT, 1),
		set(unix.IPV6_RECVPKTINFO, 1),
		join6(c),
	)
}

func join6(c *conn) error {
	if !c.to[0].IsMulticast() {
		return nil
	}
	group := &unix.IPv6Mreq{Multiaddr: c.family.group.As16(), Interface: uint32(c.link)}
	return errors.Join(
		unix.SetsockoptInt(c.fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, c.link),
		unix.SetsockoptIPv6Mreq(c.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, group),
	)
}

func read6(_ *conn, text, side []byte, from unix.Sockaddr) (heard, bool) {
	sender, ok := from.(*unix.SockaddrInet6)
	var beside ipv6.ControlMessage
	if !ok || beside.Parse(side) != nil {
		return heard{}, false
	}
	destination, _ := netip.AddrFromSlice(beside.Dst)
	return heard{text, way{netip.AddrFrom16(sender.Addr), destination, beside.HopLimit}}, true
}

func beside6(c *conn) []byte {
	return (&ipv6.ControlMessage{Src: net.IP(c.own.AsSlice()), IfIndex: c.link}).Marshal()
}
