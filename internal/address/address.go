// SPDX-License-Identifier: Apache-2.0

// Package address is weir's side of the host's network: which links, addresses, routes and
// neighbours there are (Observer), and which virtual addresses, managed neighbours and sysctls
// there shall be (Target). It is the one importer of netlink. It decides nothing: what is wanted
// comes from internal/plan, and what is found goes there.
//
// Whatever it changes is written, with the old value, to a Journal before it is changed, so that
// `weir cleanup` puts the host back as it was, also after a crash.
//
// Read target.go first (the road down), then observer.go and look.go (the road up), then journal.go.
package address

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// open makes a netlink connection to the network namespace of the calling thread.
func open() (*netlink.Handle, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return handle, nil
}

// toAddr turns netlink's address into ours; false: it is none.
func toAddr(ip net.IP) (model.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}

// toMAC turns netlink's hardware address into ours; zero: it is not an Ethernet address.
func toMAC(hardware net.HardwareAddr) (mac model.MAC) {
	if len(hardware) == len(mac) {
		copy(mac[:], hardware)
	}
	return mac
}
