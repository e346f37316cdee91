// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

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
	about []netip.Addr // of which answers are heard
	space []byte
}

const (
	senderAt = 14 + 14     // of ARP: who says it
	targetAt = 14 + 40 + 8 // of a neighbour advertisement: of whom it is said
)

// ifAdvertised goes on with neighbour advertisements (RFC 4861 section 4.4) of all that is IPv6.
var ifAdvertised = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 6},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 40},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 136, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// answersAbout takes what is said of these addresses, which are of one family. All else that a link of many hosts brings
// must wake nobody who has adverts to send.
func answersAbout(addresses []netip.Addr, is4 bool) (program []unix.SockFilter) {
	at := uint32(senderAt)
	if !is4 {
		program, at = slices.Clone(ifAdvertised), targetAt
	}
	for _, address := range addresses {
		for rest := address.AsSlice(); len(rest) > 0; rest = rest[4:] {
			toNext := uint8(len(rest)/4*2 - 1)
			program = append(program,
				unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at + uint32(address.BitLen()/8-len(rest))},
				unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: binary.BigEndian.Uint32(rest), Jf: toNext})
		}
		program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16})
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
}

// openAsker hears answers about these addresses.
func openAsker(link int, is4 bool, about []netip.Addr) (*asker, error) {
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
	if err := errors.Join(a.hear(about, is4), a.prepare(wire)); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// hear sets about whom answers are heard from now on.
func (a *asker) hear(about []netip.Addr, is4 bool) error {
	if a.about != nil && slices.Equal(a.about, about) {
		return nil
	}
	filter := answersAbout(about, is4)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(a.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	a.about = slices.Clone(about)
	return nil
}

func (a *asker) prepare(wire uint16) error {
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
		frame := packet.WhoHas(a.mac, from, address)
		if err := unix.Sendto(a.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: a.link}); err != nil {
			errs = append(errs, fmt.Errorf("a question for %s: %w", address, err))
		}
	}
	return errors.Join(errs...)
}

// receive reads answers that have come already: who says of himself that he has an address.
func (a *asker) receive(answer func(address netip.Addr, mac model.MAC)) {
	for range mostAtOnce {
		n, _, err := unix.Recvfrom(a.fd, a.space, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		if address, mac, ok := packet.Claim(a.space[:n]); ok && mac != a.mac {
			answer(address, mac)
		}
	}
}
