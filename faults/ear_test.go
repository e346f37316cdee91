// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// ear hears what comes to the first interface of a host, and speaks there: whole frames.
type ear struct {
	fd    int
	mac   packet.MAC
	local lab.Pair
}

func newEar(host *lab.Node) (*ear, error) {
	e := &ear{fd: -1, local: host.Address}
	return e, host.Do(func() error { return e.open(lab.FirstLink) })
}

// open opens a socket in the namespace of the calling thread.
func (e *ear) open(link string) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return err
	}
	e.mac = packet.MAC(i.HardwareAddr)
	everything := uint16(unix.ETH_P_ALL)<<8 | unix.ETH_P_ALL>>8 // in network byte order
	e.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(everything))
	if err != nil {
		return err
	}
	return unix.Bind(e.fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: i.Index})
}

func (e *ear) close() { unix.Close(e.fd) }

func (e *ear) say(frame []byte) error { return unix.Send(e.fd, frame, 0) }

// hear gives each frame of others to take, until it is over or take wants no more.
func (e *ear) hear(until time.Time, take func(frame []byte) (more bool)) {
	frame := make([]byte, 2048)
	for time.Now().Before(until) {
		n, from, err := unix.Recvfrom(e.fd, frame, 0)
		if err != nil {
			limit := unix.NsecToTimespec(int64(max(0, time.Until(until))))
			_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}, &limit, nil)
			continue
		}
		if at, ok := from.(*unix.SockaddrLinklayer); ok && at.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if !take(frame[:n]) {
			return
		}
	}
}

// question asks everybody on the link where an address is.
func (e *ear) question(address netip.Addr) []byte {
	if address.Is4() {
		return packet.Build(packet.Ethernet{Source: e.mac, Destination: packet.Broadcast},
			packet.ARP{Operation: packet.ARPRequest, SenderMAC: e.mac, Sender: e.local.IPv4, Target: address})
	}
	group := solicitedNode(address)
	return packet.Build(packet.Ethernet{Source: e.mac, Destination: packet.MulticastMAC(group)},
		packet.IPv6{Source: e.local.IPv6, Destination: group, HopLimit: 255}, packet.ICMPv6{},
		packet.NeighbourSolicitation{Target: address, SourceMAC: e.mac})
}

// solicitedNode is the group of an address (RFC 4291 section 2.7.1).
func solicitedNode(address netip.Addr) netip.Addr {
	group, from := netip.MustParseAddr("ff02::1:ff00:0").As16(), address.As16()
	copy(group[13:], from[13:])
	return netip.AddrFrom16(group)
}

// owners asks some times where an address is, and says who answers, or says so unasked.
func (e *ear) owners(address netip.Addr, times int) (map[packet.MAC]bool, error) {
	const pause = 20 * time.Millisecond
	out := map[packet.MAC]bool{}
	for range times {
		if err := e.say(e.question(address)); err != nil {
			return nil, err
		}
		e.hear(time.Now().Add(pause), func(frame []byte) bool {
			if mac, ok := claims(frame, address); ok {
				out[mac] = true
			}
			return true
		})
	}
	return out, nil
}

// claims says at which MAC an address is, if a frame says so.
func claims(frame []byte, address netip.Addr) (mac packet.MAC, ok bool) {
	layers, _ := packet.Parse(frame) // what is broken claims nothing
	if arp, found := packet.Find[packet.ARP](layers); found && arp.Sender == address {
		return arp.SenderMAC, true
	}
	if na, found := packet.Find[packet.NeighbourAdvertisement](layers); found && na.Target == address {
		return na.TargetMAC, true
	}
	return mac, false
}
