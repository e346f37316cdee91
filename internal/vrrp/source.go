// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// sourceOf is the address that adverts come from: the given one, or the first of the interface's that is none of the
// virtual router's, and of IPv6 link-local (RFC 9568 section 5.1.2.1).
func sourceOf(want model.VRRPWant) (netip.Addr, error) {
	link, err := net.InterfaceByIndex(want.Link)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s: %w", want.Interface, err)
	}
	source := want.Source
	if !source.IsValid() {
		if source, err = firstOf(link, want.VirtualRouter); err != nil {
			return netip.Addr{}, err
		}
	}
	if err := usable(source, want.Link); err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s: adverts cannot come from %s: %w", want.Interface, source, err)
	}
	return source, nil
}

func firstOf(link *net.Interface, router model.VirtualRouter) (netip.Addr, error) {
	addresses, err := link.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s: %w", link.Name, err)
	}
	is4, virtual := router.Addresses[0].Addr().Is4(), addressesOf(router)
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		a := prefix.Addr()
		if err == nil && a.Is4() == is4 && (is4 || a.IsLinkLocalUnicast()) && !slices.Contains(virtual, a) {
			return a, nil
		}
	}
	if is4 {
		return netip.Addr{}, fmt.Errorf("interface %s has no IPv4 address that adverts could come from", link.Name)
	}
	return netip.Addr{}, fmt.Errorf("interface %s has no link-local IPv6 address that adverts could come from", link.Name)
}

// usable says why the kernel would not send from an address: it is not this host's, or not yet, since it asks first
// whether anybody has it (RFC 4862 section 5.4).
func usable(source netip.Addr, link int) error {
	domain, at := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: source.As16(), ZoneId: uint32(link)})
	if source.Is4() {
		domain, at = unix.AF_INET, &unix.SockaddrInet4{Addr: source.As4()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, at)
}
