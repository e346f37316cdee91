// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// lan is a switch: a bridge in a namespace of its own, with a port for each node.
//
// A frame that a node sends by XDP_TX or redirect is only taken by the other end of its veth if an
// XDP program or GRO runs there; otherwise it is lost without a word, and with GRO alone frames
// came in bursts up to a second late. So every port has a program that passes everything.
type lan struct {
	network
	pass *ebpf.Program
	mtu  int // of every link to it; 0: the usual one
}

const bridge = "lan"

func newLAN(name string, s *spawner, pass *ebpf.Program, mtu int) (*lan, error) {
	n, err := newNetwork(name, s)
	if err != nil {
		return nil, err
	}
	l := &lan{network: n, pass: pass, mtu: mtu}
	if err := l.build(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return l, nil
}

func (l *lan) build() error {
	// A switch speaks no IP. Snooping would hold back neighbour solicitations, since no router
	// asks for multicast listeners here.
	if err := l.Sysctl("ipv6/conf/default/disable_ipv6", "1"); err != nil {
		return err
	}
	snooping := false
	b := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
	b.Name = bridge
	if err := l.netlink.LinkAdd(b); err != nil {
		return fmt.Errorf("%s: add bridge: %w", l.Name, err)
	}
	return l.up(bridge)
}

// plug connects a node's interface to a port that is named after the node.
func (l *lan) plug(node network, link string) error {
	port := node.Name
	err := inOrder(
		func() error { return node.connect(link, l.network, port) },
		func() error { return node.setMTU(link, l.mtu) },
		func() error { return l.setMTU(port, l.mtu) },
		func() error { return l.Do(func() error { return keepTags(port) }) },
	)
	if err != nil {
		return err
	}
	p, err := l.netlink.LinkByName(port)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", l.Name, port, err)
	}
	b, err := l.netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", l.Name, bridge, err)
	}
	if err := l.netlink.LinkSetMaster(p, b); err != nil {
		return fmt.Errorf("%s: add port %s: %w", l.Name, port, err)
	}
	return l.occupy(p, l.pass)
}

// occupy attaches a program to a link. It replaces none.
func (n network) occupy(link netlink.Link, program *ebpf.Program) error {
	const flags = unix.XDP_FLAGS_DRV_MODE | unix.XDP_FLAGS_UPDATE_IF_NOEXIST
	err := n.Do(func() error { return netlink.LinkSetXdpFdWithFlags(link, program.FD(), flags) })
	if err != nil {
		return fmt.Errorf("%s: attach XDP to %s: %w", n.Name, link.Attrs().Name, err)
	}
	return nil
}

// Occupy puts a program that passes everything on a link of a node, as somebody else's who was
// there before weir.
func (l *Lab) Occupy(n *Node, link string) error {
	at, err := n.netlink.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", n.Name, link, err)
	}
	return n.occupy(at, l.pass)
}

// loadPass loads the program of the switches' ports.
func loadPass() (*ebpf.Program, error) {
	const xdpPass = 2
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "lab_pass",
		Type:         ebpf.XDP,
		License:      "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load XDP program of the switches: %w", err)
	}
	return p, nil
}
