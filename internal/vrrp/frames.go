// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// frames is a socket for adverts that come from the virtual router's MAC (RFC 9568 section 7.2): by them switches learn
// where it is. No interface need have that MAC yet.
type frames struct {
	fd   int
	mac  model.MAC
	link int
}

func openFrames(mac model.MAC, link int) (*frames, error) {
	const receiveNothing = 0
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, receiveNothing)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, priority); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &frames{fd, mac, link}, nil
}

func (f *frames) close() { unix.Close(f.fd) }

// send sends an advert to a group.
func (f *frames) send(text []byte, from, to netip.Addr) error {
	frame := packet.Build(packet.Ethernet{Source: packet.MAC(f.mac), Destination: groupMAC(to)}, header(from, to), packet.Payload(text))
	return os.NewSyscallError("sendto", unix.Sendto(f.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: f.link}))
}

func header(from, to netip.Addr) packet.Layer {
	if from.Is4() {
		return packet.IPv4{Source: from, Destination: to, TTL: hops, TOS: control, Flags: packet.DontFragment, Protocol: protocol}
	}
	return packet.IPv6{Source: from, Destination: to, HopLimit: hops, TrafficClass: control, Next: protocol}
}

// groupMAC is where a group is reached (RFC 1112 section 6.4, RFC 2464 section 7).
func groupMAC(group netip.Addr) packet.MAC {
	if group.Is4() {
		b := group.As4()
		return packet.MAC{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := group.As16()
	return packet.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}
