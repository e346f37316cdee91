// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// change is one thing that weir did to the host, with all that it takes to undo it.
type change struct {
	Kind    changeKind   `json:"kind"`
	Path    string       `json:"path,omitempty"`   // sysctl; virtual-mac: the name of the device
	Old     string       `json:"old,omitempty"`    // sysctl: the value before weir; route: its advmss, 0 for none
	Link    string       `json:"link,omitempty"`   // address: the name of the link, for people
	Index   int          `json:"index,omitempty"`  // of the link; the kernel never uses it again, so it cannot mean another one
	Prefix  netip.Prefix `json:"prefix,omitzero"`  // address, route, check-route, virtual-route
	Address model.Addr   `json:"address,omitzero"` // neighbour; virtual-route: its next hop
	MAC     model.MAC    `json:"mac,omitzero"`     // virtual-mac: the device's
	Table   uint32       `json:"table,omitempty"`  // route, virtual-route: with Prefix, Index and the next two, which one it is
	Metric  uint32       `json:"metric,omitempty"` // route, virtual-route
	TOS     uint8        `json:"tos,omitempty"`    // route
}

type changeKind string

const (
	sysctlChange    changeKind = "sysctl"
	addressChange   changeKind = "address"
	neighbourChange changeKind = "neighbour"
	routeChange     changeKind = "route"           // another advmss
	rxVLANChange    changeKind = "rx-vlan-offload" // of a link, which was on
	aliasChangeKind changeKind = "check-route"     // to an alias, of checks; of interface 0: of a range of aliases
	clsactChange    changeKind = "clsact"          // a qdisc on a link
	filterChange    changeKind = "check-filter"    // on a link's clsact
	deviceChange    changeKind = "virtual-mac"     // a macvlan by the name of Path, upon a link

	virtualRouteChange changeKind = "virtual-route" // of a virtual router
	closedChange       changeKind = "closed"        // a table of nftables
)

func (c change) String() string {
	switch c.Kind {
	case sysctlChange:
		return fmt.Sprintf("%s to %q", c.Path, c.Old)
	case addressChange:
		return fmt.Sprintf("address %s on %s", c.Prefix, c.Link)
	case routeChange:
		return fmt.Sprintf("advmss %s of route %s on %s", c.Old, c.Prefix, c.Link)
	case rxVLANChange:
		return fmt.Sprintf("%s of %s", c.Kind, c.Link)
	case aliasChangeKind:
		if c.Index == 0 {
			return fmt.Sprintf("blackhole of check_aliases %s", c.Prefix)
		}
		return fmt.Sprintf("%s to %s on interface %d", c.Kind, c.Prefix, c.Index)
	case clsactChange, filterChange:
		return fmt.Sprintf("%s on interface %d", c.Kind, c.Index)
	case virtualRouteChange:
		return fmt.Sprintf("route to %s on interface %d", c.Prefix, c.Index)
	case closedChange:
		return "table inet " + closedTable
	case deviceChange:
		return fmt.Sprintf("interface %s on %s", c.Path, c.Link)
	}
	return fmt.Sprintf("%s %s on interface %d", c.Kind, c.Address, c.Index)
}

// subject is what a change is about: equal for two changes of one thing.
func (c change) subject() change {
	c.Old, c.Link = "", ""
	return c
}

// same reports whether both are about the same thing.
func (c change) same(other change) bool { return c.subject() == other.subject() }

func subjects(changes []change) map[change]bool {
	out := make(map[change]bool, len(changes))
	for _, c := range changes {
		out[c.subject()] = true
	}
	return out
}

// undo puts back what was there. What is gone already needs no undoing.
func (c change) undo(handle *netlink.Handle) error {
	var err error
	switch c.Kind {
	case sysctlChange:
		err = writeSysctl(c.Path, c.Old)
	case addressChange:
		err = handle.AddrDel(linkOf(c.Index), &netlink.Addr{IPNet: toIPNet(c.Prefix)})
	case neighbourChange:
		err = handle.NeighDel(&netlink.Neigh{LinkIndex: c.Index, IP: c.Address.AsSlice()})
	case routeChange:
		err = c.undoRoute()
	case rxVLANChange:
		err = restoreRxVLAN(handle, c.Index)
	case aliasChangeKind:
		err = c.undoAlias(handle)
	case clsactChange:
		err = c.undoClsact(handle)
	case filterChange:
		err = c.undoFilter(handle)
	case deviceChange:
		err = c.undoDevice(handle)
	case virtualRouteChange:
		err = c.undoVirtualRoute(handle)
	case closedChange:
		err = c.undoClosed()
	default:
		err = fmt.Errorf("unknown kind of change %q", c.Kind)
	}
	if isGone(err) {
		return nil
	}
	return err
}

// isGone reports whether an error says that there is nothing left to undo.
func isGone(err error) bool {
	gone := []syscall.Errno{unix.ENODEV, unix.EADDRNOTAVAIL, unix.ENOENT, unix.ESRCH}
	for _, errno := range gone {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.Is(err, fs.ErrNotExist)
}

// linkOf names a link to netlink by its index alone.
func linkOf(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

func toIPNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}
}
