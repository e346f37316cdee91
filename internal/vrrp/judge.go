// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// judge says whether an advert of the virtual router's id is one of it (RFC 9568 section 7.1). own are the addresses
// that adverts of this one come from.
func judge(router model.VirtualRouter, own netip.Addr, a advert, w way) Reason {
	switch {
	case w.source == own:
		return ReasonOwn
	case w.destination.IsMulticast() != (len(router.Peers) == 0):
		return ReasonDestination
	case len(router.Peers) > 0 && !slices.Contains(router.Peers, w.source):
		return ReasonPeer
	case a.version != router.Version:
		return ReasonVersion
	case a.auth.kind != authNone:
		return ReasonAuth
	case a.version == model.VRRP2 && a.interval != router.Advertise:
		return ReasonInterval // RFC 3768 section 7.1; in version 3 the master's counts
	case !sameAddresses(a.addresses, addressesOf(router)):
		return ReasonAddresses
	}
	return Taken
}

func addressesOf(router model.VirtualRouter) (out []netip.Addr) {
	for _, prefix := range router.Addresses {
		out = append(out, prefix.Addr())
	}
	return out
}

// sameAddresses overlooks their order.
func sameAddresses(a, b []netip.Addr) bool {
	return slices.Equal(slices.SortedFunc(slices.Values(a), netip.Addr.Compare), slices.SortedFunc(slices.Values(b), netip.Addr.Compare))
}

// conflict says of a whole and well made advert that does not count what cannot be right with it; "": it may be
// nobody's mistake.
func conflict(router model.VirtualRouter, a advert, w way, why Reason) string {
	who := fmt.Sprintf("%s advertises id %d ", w.source, a.id)
	switch why {
	case ReasonVersion:
		return who + fmt.Sprintf("in version %d, here it is version %d", a.version, router.Version)
	case ReasonAuth:
		return who + "with a password, here there is none"
	case ReasonInterval:
		return who + fmt.Sprintf("every %s, here it is every %s", a.interval, router.Advertise)
	case ReasonAddresses:
		return who + fmt.Sprintf("with other addresses (%s)", listed(a.addresses))
	case ReasonOwner:
		return who + "whose addresses are this host's own"
	}
	return ""
}

// listed names the first few: there may be 255.
func listed(addresses []netip.Addr) string {
	const few = 4
	var names []string
	for _, address := range addresses[:min(few, len(addresses))] {
		names = append(names, address.String())
	}
	if more := len(addresses) - few; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
