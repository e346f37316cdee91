// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// checkSource says why adverts cannot come from where they shall.
func checkSource(want Want) error {
	if !want.Source.IsValid() {
		return fmt.Errorf("interface %s: there is no address that adverts could come from", want.Interface)
	}
	if err := usable(want.Source, want.Link); err != nil {
		return fmt.Errorf("interface %s: adverts cannot come from %s: %w", want.Interface, want.Source, err)
	}
	return nil
}

// usable says why the kernel would not send from an address: it is not this host's, or not yet, since it asks first
// whether anybody has it (RFC 4862 section 5.4). It waits for no lock of the network's configuration.
func usable(source model.Addr, link int) error {
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
