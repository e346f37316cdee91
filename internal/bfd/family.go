// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"errors"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// family is how IPv4 and IPv6 differ.
type family struct {
	name   string
	domain int
	hear   func(set func(level, option, value int) error) error // what is to come beside a packet
	speak  func(set func(level, option, value int) error) error // how packets go
	beside func(side []byte) (beside, error)
	at     func(a model.Addr, port, link int) unix.Sockaddr
	source func(from unix.Sockaddr) (model.Addr, bool)
}

// beside is what came with a packet.
type beside struct {
	link int // where it came in
	hops int // TTL or hop limit
}

func familyOf(a model.Addr) *family {
	if a.Is4() {
		return &family4
	}
	return &family6
}

var family4 = family{
	name:   "IPv4",
	domain: unix.AF_INET,
	hear: func(set func(level, option, value int) error) error {
		return errors.Join(set(unix.IPPROTO_IP, unix.IP_RECVTTL, 1), set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	},
	speak: func(set func(level, option, value int) error) error {
		return errors.Join(set(unix.IPPROTO_IP, unix.IP_TTL, hops), set(unix.IPPROTO_IP, unix.IP_TOS, class))
	},
	beside: func(side []byte) (beside, error) {
		var m ipv4.ControlMessage
		err := m.Parse(side)
		return beside{m.IfIndex, m.TTL}, err
	},
	at: func(a model.Addr, port, _ int) unix.Sockaddr { return &unix.SockaddrInet4{Port: port, Addr: a.As4()} },
	source: func(from unix.Sockaddr) (model.Addr, bool) {
		sender, ok := from.(*unix.SockaddrInet4)
		if !ok {
			return model.Addr{}, false
		}
		return netip.AddrFrom4(sender.Addr), true
	},
}

var family6 = family{
	name:   "IPv6",
	domain: unix.AF_INET6,
	hear: func(set func(level, option, value int) error) error {
		return errors.Join(set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1),
			set(unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1), set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
	},
	speak: func(set func(level, option, value int) error) error {
		return errors.Join(set(unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, hops), set(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, class))
	},
	beside: func(side []byte) (beside, error) {
		var m ipv6.ControlMessage
		err := m.Parse(side)
		return beside{m.IfIndex, m.HopLimit}, err
	},
	at: func(a model.Addr, port, link int) unix.Sockaddr {
		return &unix.SockaddrInet6{Port: port, Addr: a.As16(), ZoneId: uint32(link)}
	},
	source: func(from unix.Sockaddr) (model.Addr, bool) {
		sender, ok := from.(*unix.SockaddrInet6)
		if !ok {
			return model.Addr{}, false
		}
		return netip.AddrFrom16(sender.Addr), true
	},
}
