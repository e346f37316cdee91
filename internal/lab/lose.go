// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Talk is a kind of frames by which hosts of a link agree with each other.
type Talk int

const (
	Adverts       Talk = iota // VRRP
	Announcements             // where addresses are: ARP, neighbour solicitations and advertisements
	Connections               // connection sync between weirs, over IPv4
)

// Lose has the switches lose some of what a node says, so much of a hundred, until Hear. All else that it sends is
// passed on as before.
func (l *Lab) Lose(n *Node, talk Talk, percent int) error {
	sieve, err := loadSieve(talk, percent)
	if err != nil {
		return err
	}
	defer sieve.Close() // the ports hold it
	return l.seat(n, sieve)
}

// Hear has them pass on everything again.
func (l *Lab) Hear(n *Node) error { return l.seat(n, l.pass) }

// seat replaces the program of a node's ports.
func (l *Lab) seat(n *Node, program *ebpf.Program) error {
	return l.eachPort(n, func(s *lan, port netlink.Link) error {
		return s.Do(func() error { return netlink.LinkSetXdpFdWithFlags(port, program.FD(), unix.XDP_FLAGS_DRV_MODE) })
	})
}

// loadSieve loads a program for ports. What nodes send comes in there.
func loadSieve(talk Talk, percent int) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lab_sieve", Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: sieve(talk, percent),
	})
	if err != nil {
		return nil, fmt.Errorf("load XDP program that loses frames: %w", err)
	}
	return p, nil
}

// Where a frame without VLAN tags has what a sieve looks at. Nothing that it loses is shorter than ARP; ICMPv6 is.
const (
	etherTypeAt  = 12
	nextHeaderAt = 14 + 6
	protocolAt   = 14 + 9
	icmpTypeAt   = 14 + 40
	udpPortAt    = 14 + 20 + 2 // without IPv4 options
	shortest     = 14 + 28
)

// sieve is the program: what it loses of a talk jumps to "lose", with some luck on from there, and all else passes.
func sieve(talk Talk, percent int) asm.Instructions {
	head := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, shortest),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, etherTypeAt, asm.Half),
	}
	lose := asm.Instructions{
		asm.FnGetPrandomU32.Call().WithSymbol("lose"),
		asm.Mod.Imm32(asm.R0, 100),
		asm.JGE.Imm(asm.R0, int32(percent), "pass"),
		asm.Mov.Imm(asm.R0, 1), // XDP_DROP
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), // XDP_PASS
		asm.Return(),
	}
	return append(append(head, looks[talk]...), lose...)
}

// looks find a talk: the frame begins at R2 and ends at R3, its type is in R5.
var looks = map[Talk]asm.Instructions{
	Adverts: {
		asm.JNE.Imm(asm.R5, wire(unix.ETH_P_IPV6), "ipv4"),
		asm.LoadMem(asm.R5, asm.R2, nextHeaderAt, asm.Byte),
		asm.JEq.Imm(asm.R5, protocolVRRP, "lose"),
		asm.Ja.Label("pass"),
		asm.JNE.Imm(asm.R5, wire(unix.ETH_P_IP), "pass").WithSymbol("ipv4"),
		asm.LoadMem(asm.R5, asm.R2, protocolAt, asm.Byte),
		asm.JNE.Imm(asm.R5, protocolVRRP, "pass"),
	},
	Announcements: {
		asm.JEq.Imm(asm.R5, wire(unix.ETH_P_ARP), "lose"),
		asm.JNE.Imm(asm.R5, wire(unix.ETH_P_IPV6), "pass"),
		asm.LoadMem(asm.R5, asm.R2, nextHeaderAt, asm.Byte),
		asm.JNE.Imm(asm.R5, unix.IPPROTO_ICMPV6, "pass"),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, icmpTypeAt+1),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, icmpTypeAt, asm.Byte),
		asm.JEq.Imm(asm.R5, neighbourSolicitation, "lose"),
		asm.JNE.Imm(asm.R5, neighbourAdvertisement, "pass"),
	},
	Connections: {
		asm.JNE.Imm(asm.R5, wire(unix.ETH_P_IP), "pass"),
		asm.LoadMem(asm.R5, asm.R2, protocolAt, asm.Byte),
		asm.JNE.Imm(asm.R5, unix.IPPROTO_UDP, "pass"),
		asm.LoadMem(asm.R5, asm.R2, udpPortAt, asm.Half),
		asm.JNE.Imm(asm.R5, wire(SyncPort), "pass"),
	},
}

const (
	protocolVRRP           = 112
	neighbourSolicitation  = 135 // RFC 4861 section 4.3
	neighbourAdvertisement = 136
)

// wire is a type of Ethernet as the program loads it: in network byte order.
func wire(etherType uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType)))
}

// RemoveCard takes a director's first interface away, as a driver does that crashes: no other end hears of it first.
func (l *Lab) RemoveCard(d *Director) error {
	card, err := d.netlink.LinkByName(FirstLink)
	if err == nil {
		err = d.netlink.LinkDel(card)
	}
	if err != nil {
		return fmt.Errorf("%s: remove %s: %w", d.Name, FirstLink, err)
	}
	return nil
}

// AddCard puts one there again: another one, with the same addresses.
func (l *Lab) AddCard(d *Director) error {
	number := directorHost + l.number(d)
	return errors.Join(
		l.switches[0].plug(d.network, FirstLink),
		d.address(FirstLink, l.front().on(number)...),
		d.defaultRoutes(l.front().host(routerHost)),
	)
}
