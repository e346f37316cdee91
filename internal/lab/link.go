// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// network is what a namespace does with its links: rtnetlink over a socket that was opened inside.
type network struct {
	*Namespace
	netlink *netlink.Handle
}

func newNetwork(name string, s *spawner) (network, error) {
	ns, err := newNamespace(name, s)
	if err != nil {
		return network{}, err
	}
	n := network{Namespace: ns}
	err = ns.Do(func() (err error) {
		n.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return network{}, errors.Join(fmt.Errorf("%s: open rtnetlink: %w", name, err), ns.close())
	}
	return n, nil
}

func (n network) close() error {
	n.netlink.Close()
	return n.Namespace.close()
}

// up sets a link up.
func (n network) up(link string) error {
	l, err := n.netlink.LinkByName(link)
	if err == nil {
		err = n.netlink.LinkSetUp(l)
	}
	if err != nil {
		return fmt.Errorf("%s: set %s up: %w", n.Name, link, err)
	}
	return nil
}

// connect joins two namespaces by a veth pair with both ends up.
func (n network) connect(link string, peer network, peerLink string) error {
	pair := netlink.NewVeth(netlink.LinkAttrs{Name: link})
	pair.PeerName = peerLink
	pair.PeerNamespace = netlink.NsFd(peer.file.Fd())
	if err := n.netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("connect %s %s with %s %s: %w", n.Name, link, peer.Name, peerLink, err)
	}
	return errors.Join(n.ready(link), peer.ready(peerLink))
}

// ready makes an end of a veth pair fit for XDP next to it and sets it up.
func (n network) ready(link string) error {
	if err := n.Do(func() error { return disableOffloads(link) }); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return n.up(link)
}

// setMTU sets a link's MTU; 0: it stays as it is.
func (n network) setMTU(link string, mtu int) error {
	if mtu == 0 {
		return nil
	}
	l, err := n.netlink.LinkByName(link)
	if err == nil {
		err = n.netlink.LinkSetMTU(l, mtu)
	}
	if err != nil {
		return fmt.Errorf("%s: set MTU %d of %s: %w", n.Name, mtu, link, err)
	}
	return nil
}

// address adds addresses to a link, each with the length of its subnet.
func (n network) address(link string, prefixes ...netip.Prefix) error {
	l, err := n.netlink.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", n.Name, link, err)
	}
	for _, p := range prefixes {
		addr := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}
		if err := n.netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("%s: add %v to %s: %w", n.Name, p, link, err)
		}
	}
	return nil
}

// route sends what is for a prefix through a gateway; mtu 0: the link's.
func (n network) route(to netip.Prefix, via netip.Addr, mtu int) error {
	if err := n.netlink.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice(), MTU: mtu}); err != nil {
		return fmt.Errorf("%s: route to %v via %v: %w", n.Name, to, via, err)
	}
	return nil
}

// local makes every address of a network the node's own.
func (n network) local(p netip.Prefix) error {
	lo, err := n.netlink.LinkByName("lo")
	if err == nil {
		err = n.netlink.RouteAdd(&netlink.Route{
			Dst: ipNet(p), LinkIndex: lo.Attrs().Index, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
		})
	}
	if err != nil {
		return fmt.Errorf("%s: hold %v: %w", n.Name, p, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// SetMAC gives the first interface another MAC, as when a machine was replaced, and tells the
// neighbours by gratuitous ARP and unsolicited neighbour advertisement.
func (n network) SetMAC(mac net.HardwareAddr) error {
	err := n.sysctls([][2]string{
		{"ipv4/conf/" + FirstLink + "/arp_notify", "1"},
		{"ipv6/conf/" + FirstLink + "/ndisc_notify", "1"},
	})
	if err != nil {
		return err
	}
	l, err := n.netlink.LinkByName(FirstLink)
	if err == nil {
		err = n.netlink.LinkSetHardwareAddr(l, mac)
	}
	if err != nil {
		return fmt.Errorf("%s: set MAC %v of %s: %w", n.Name, mac, FirstLink, err)
	}
	return nil
}

// The interfaces of a node, counted from the clients' side.
const (
	FirstLink  = "eth0"
	SecondLink = "eth1" // of routers, and of directors in shape two-arm
)
