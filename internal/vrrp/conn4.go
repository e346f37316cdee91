// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

var family4 = family{
	domain:  unix.AF_INET,
	group:   netip.AddrFrom4([4]byte{224, 0, 0, groupID}), // RFC 9568 section 5.1.1.2
	options: options4,
	head:    head4,
	read:    read4,
	beside:  beside4,
	address: func(_ *conn, to netip.Addr) unix.Sockaddr { return &unix.SockaddrInet4{Addr: to.As4()} },
}

func options4(c *conn) error {
	set := func(option, value int) error { return unix.SetsockoptInt(c.fd, unix.IPPROTO_IP, option, value) }
	return errors.Join(
		set(unix.IP_TTL, hops),
		set(unix.IP_MULTICAST_TTL, hops),
		set(unix.IP_MULTICAST_LOOP, 0),
		set(unix.IP_MULTICAST_ALL, 0), // groups that others of this host have joined are none of ours
		set(unix.IP_TOS, control),
		join4(c),
	)
}

func join4(c *conn) error {
	if !c.to[0].IsMulticast() {
		return nil
	}
	group := &unix.IPMreqn{Multiaddr: c.family.group.As4(), Ifindex: int32(c.link)}
	return errors.Join(
		unix.SetsockoptIPMreqn(c.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, group),
		unix.SetsockoptIPMreqn(c.fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, group),
	)
}

// read4 reads the IP header, which comes with a raw socket's messages.
func read4(_ *conn, text, _ []byte, _ unix.Sockaddr) (heard, bool) {
	header, err := ipv4.ParseHeader(text)
	if err != nil {
		return heard{}, false
	}
	source, _ := netip.AddrFromSlice(header.Src.To4())
	destination, _ := netip.AddrFromSlice(header.Dst.To4())
	return heard{text[header.Len:], way{source, destination, header.TTL}}, true
}

func beside4(c *conn) []byte {
	return (&ipv4.ControlMessage{Src: net.IP(c.own.AsSlice()), IfIndex: c.link}).Marshal()
}
