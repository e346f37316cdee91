// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// asker asks neighbours where addresses are, by ARP or neighbour solicitations: whoever is there answers these, and no
// router answers for him. Its questions come from the virtual router's interface, whatever the host's routes say.
type asker struct {
	fd    int
	link  int
	mac   model.MAC
	space []byte
}

// onlyAdvertisements takes neighbour advertisements (RFC 4861 section 4.4) of all that is IPv6.
var onlyAdvertisements = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 6},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 40},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 136, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

func openAsker(link int, is4 bool) (*asker, error) {
	etherType := uint16(unix.ETH_P_IPV6)
	if is4 {
		etherType = unix.ETH_P_ARP
	}
	wire := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
	const receiveNothing = 0 // until the filter is there
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, receiveNothing)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	a := &asker{fd: fd, link: link, space: make([]byte, 2048)}
	if err := a.prepare(wire, is4); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *asker) prepare(wire uint16, is4 bool) error {
	if !is4 {
		program := unix.SockFprog{Len: uint16(len(onlyAdvertisements)), Filter: &onlyAdvertisements[0]}
		if err := unix.SetsockoptSockFprog(a.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(a.fd, &unix.SockaddrLinklayer{Protocol: wire, Ifindex: a.link}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	at, err := unix.Getsockname(a.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	if own, ok := at.(*unix.SockaddrLinklayer); ok && int(own.Halen) == len(a.mac) {
		copy(a.mac[:], own.Addr[:])
	}
	if a.mac == (model.MAC{}) {
		return errors.New("the interface has no MAC, so no neighbours")
	}
	return nil
}

func (a *asker) close() { unix.Close(a.fd) }

// ask asks for all of them.
func (a *asker) ask(from netip.Addr, addresses []netip.Addr) error {
	var errs []error
	for _, address := range addresses {
		frame := a.question(from, address)
		if err := unix.Sendto(a.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: a.link}); err != nil {
			errs = append(errs, fmt.Errorf("a question for %s: %w", address, err))
		}
	}
	return errors.Join(errs...)
}

func (a *asker) question(from, address netip.Addr) []byte {
	if address.Is4() {
		return packet.Build(packet.Ethernet{Source: a.mac, Destination: packet.Broadcast},
			packet.ARP{Operation: packet.ARPRequest, SenderMAC: a.mac, Sender: from, Target: address})
	}
	group := packet.SolicitedNode(address)
	return packet.Build(packet.Ethernet{Source: a.mac, Destination: packet.MulticastMAC(group)},
		packet.IPv6{Source: from, Destination: group, HopLimit: hops}, packet.ICMPv6{},
		packet.NeighbourSolicitation{Target: address, SourceMAC: a.mac})
}

// receive reads an answer that has come already: who says of himself that he has an address. false: there is none.
func (a *asker) receive() (address netip.Addr, mac model.MAC, ok bool) {
	for range mostAtOnce {
		n, _, err := unix.Recvfrom(a.fd, a.space, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return address, mac, false
		}
		if err != nil {
			continue
		}
		if address, mac, ok = parseAnswer(a.space[:n]); ok && mac != a.mac {
			return address, mac, true
		}
	}
	return address, mac, false
}

// parseAnswer: ARP of any kind says it of its sender, as a question without one does not (RFC 5227 section 2.1.1).
func parseAnswer(frame []byte) (address netip.Addr, mac model.MAC, ok bool) {
	layers, err := packet.Parse(frame)
	if err != nil {
		return address, mac, false
	}
	if arp, found := packet.Find[packet.ARP](layers); found {
		return arp.Sender, arp.SenderMAC, arp.Sender.IsValid() && !arp.Sender.IsUnspecified()
	}
	na, found := packet.Find[packet.NeighbourAdvertisement](layers)
	ip, _ := packet.Find[packet.IPv6](layers)
	link, _ := packet.Find[packet.Ethernet](layers)
	if !found || ip.HopLimit != hops { // it came through a router (RFC 4861 section 7.1.2)
		return address, mac, false
	}
	if mac = na.TargetMAC; mac == (model.MAC{}) {
		mac = link.Source
	}
	return na.Target, mac, true
}
