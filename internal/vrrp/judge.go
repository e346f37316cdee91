// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// judgeWay says whether an advert of the virtual router's id comes from whom it may, as it may (RFC 9568 section 7.1).
// own is the address that adverts of this one come from. Who sends from no address is not believed (RFC 1122 section
// 3.2.1.3), though the kernel lets that through: two of them could not be told apart, nor be fenced off.
func judgeWay(router model.VirtualRouter, own netip.Addr, a advert, w way) Reason {
	switch {
	case w.source.IsUnspecified():
		return ReasonSource
	case w.source == own:
		return ReasonOwn
	case w.destination.IsMulticast() != (len(router.Peers) == 0):
		return ReasonDestination
	case len(router.Peers) > 0 && !slices.Contains(router.Peers, w.source):
		return ReasonPeer
	case a.version != router.Version:
		return ReasonVersion
	}
	return Taken
}

// judge says whether an advert that is believed is one of the virtual router.
func judge(router model.VirtualRouter, a advert) Reason {
	switch {
	case a.auth.kind != authNone:
		return ReasonAuth
	case a.version == model.VRRP2 && a.interval != router.Advertise:
		return ReasonInterval // RFC 3768 section 7.1; in version 3 the master's counts: mismatch
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

// conflict is what cannot be right with adverts of somebody else. The zero value is none.
type conflict struct {
	what string
	fix  string // "": another id, or the same on all
}

// conflictOf says of a whole and well made advert that does not count, or of one of another version, what cannot be
// right with it; none: it may be nobody's mistake.
func conflictOf(router model.VirtualRouter, a advert, w way, why Reason) conflict {
	who, file := fmt.Sprintf("%s advertises id %d ", w.source, a.id), router.Auth.KeyFile
	sameKeys := fmt.Sprintf("have the same keys in %s on all directors, and run `weir reload` there; without it %s is nobody whom this director knows", file, w.source)
	switch why {
	case ReasonVersion:
		c := conflict{what: who + fmt.Sprintf("in version %d, here it is version %d", a.version, router.Version)}
		if a.version > model.VRRP3 {
			c.fix = "have that director speak version 3 or 2, the same on all: weir knows no later one"
		}
		return c
	case ReasonAuth:
		return conflict{what: who + "with a password, here there is none"}
	case ReasonInterval:
		return conflict{what: who + fmt.Sprintf("every %s, here it is every %s", a.interval, router.Advertise)}
	case ReasonAddresses:
		return conflict{what: who + fmt.Sprintf("with other addresses (%s)", listed(a.addresses))}
	case ReasonSource:
		return conflict{fmt.Sprintf("somebody advertises id %d from %s, which is no address", a.id, w.source),
			"give the interface of that director an address of its own, from which it can advertise"}
	case ReasonOwner:
		return conflict{who + "whose addresses are this host's own", ownerFix(router, a)}
	case ReasonSigned:
		return conflict{who + "and signs that, here there is no key", "write `auth:` on this director as it is there, and run `weir reload`"}
	case ReasonUnsigned:
		return conflict{who + "and does not sign that, here there is a key", fmt.Sprintf("write `auth:` there as it is here, or find out who that is; until all sign, `mode: %s` believes it", model.AuthPermissive)}
	case ReasonKey:
		return conflict{who + fmt.Sprintf("and signs that with key %d, which is not in %s", a.trailer.key, file), sameKeys}
	case ReasonHMAC:
		return conflict{who + fmt.Sprintf("and signs that with another key %d than %s has", a.trailer.key, file), sameKeys}
	case ReasonStale:
		return conflict{who + "as of an earlier time: its clock is wrong, or somebody repeats it", "set the clocks of all directors (NTP), and restart weir here if this one's was ahead when it began; or find out who repeats adverts"}
	}
	return conflict{}
}

// ownerFix is for an owner who hears another master: that is an owner, too, or has taken over and does not hear this one.
// Who has taken over has the virtual addresses, and of IPv4 a kernel takes in nothing from an address of its own host.
func ownerFix(router model.VirtualRouter, a advert) string {
	const firewall = "let IP protocol 112 in on that director (firewall)"
	switch {
	case a.priority == model.OwnerPriority:
		return "write `priority: 255` on one director alone"
	case router.Addresses[0].Addr().Is6():
		return firewall
	}
	return "if " + router.Interface + " has no IPv4 address but virtual ones, give this interface another IPv4 address to advertise from: who has taken over does not hear what comes from an address that he holds; if it has one, " + firewall
}

// mismatch is what an advert that counts says otherwise than this one would (RFC 9568 section 7.1): in version 3 the
// master's interval counts, but all wait longer, or shorter, as soon as another one is master.
func mismatch(router model.VirtualRouter, a advert, w way) conflict {
	if a.interval == router.Advertise {
		return conflict{}
	}
	return conflict{fmt.Sprintf("%s advertises id %d every %s, here it is every %s: the master's counts", w.source, a.id, a.interval, router.Advertise),
		"have the same `advertise:` on all of its directors, and run `weir reload` there"}
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
