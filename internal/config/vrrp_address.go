// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// maxRouterAddresses is what the count in an advert can say (RFC 9568 section 5.2.5).
const maxRouterAddresses = 255

// maxPeers is more than a link has directors.
const maxPeers = 255

// placedAddress is an address of a virtual router, or of another one with its id, and where it stands.
type placedAddress struct {
	netip.Prefix // of a peer or a source: of that address alone
	node         *yaml.Node
}

func strip(placed []placedAddress) (out []netip.Prefix) {
	for _, p := range placed {
		out = append(out, p.Prefix)
	}
	return out
}

// routerAddresses reads all addresses that a virtual router names, and what they have to do with each other.
func (s scope) routerAddresses(n *yaml.Node, values map[string]*yaml.Node, of *router) {
	of.addresses = s.virtualAddresses(n, values["addresses"], *of)
	of.Addresses = strip(of.addresses)
	if source := values["source"]; source != nil {
		of.source = s.routerSource(source, values["peers"] != nil, *of)
		of.Source = of.source.Addr()
	}
	of.peers = s.routerPeers(values["peers"], *of)
	for _, peer := range of.peers {
		of.Peers = append(of.Peers, peer.Addr())
	}
}

func (s scope) virtualAddresses(n, list *yaml.Node, of router) (out []placedAddress) {
	items := s.list(list, "addresses")
	if list == nil || len(items) == 0 && (list.Kind == yaml.SequenceNode || isNull(list)) {
		s.missing(n, "addresses", "[192.0.2.10/24]")
		return nil
	}
	for i, item := range items {
		if i == maxRouterAddresses {
			s.complain(item, mistake{fmt.Sprintf("more than %d addresses", maxRouterAddresses),
				"an advert has no room for more: write another virtual router, with an id of its own"})
			break
		}
		if one, ok := s.virtualAddress(item, out, of.Version); ok {
			out = append(out, one)
		}
	}
	s.in("addresses").linkLocalFirst(out)
	return out
}

// virtualAddress reads one of them, and holds it against those before it.
func (s scope) virtualAddress(n *yaml.Node, before []placedAddress, version model.VRRPVersion) (out placedAddress, ok bool) {
	s = s.in("addresses")
	text, ok := s.text(n, "address")
	if !ok {
		return out, false
	}
	prefix, m := parseVirtualAddress(text)
	if m == nil {
		m = unfitBeside(prefix.Addr(), before)
	}
	if m == nil && version == model.VRRP2 && prefix.Addr().Is6() {
		m = &mistake{fmt.Sprintf("%s in version 2, which is for IPv4 only", prefix.Addr()), "leave the version out: 3 is the default"}
	}
	s.complainIf(n, m)
	return placedAddress{prefix, n}, m == nil
}

// unfitBeside refuses an address of another family, and one that stands twice.
func unfitBeside(a netip.Addr, before []placedAddress) *mistake {
	for _, b := range before {
		if b.Addr() == a {
			return &mistake{fmt.Sprintf("%s stands twice", a), fmt.Sprintf("the first is in line %d: keep one", b.node.Line)}
		}
	}
	if len(before) > 0 && before[0].Addr().Is4() != a.Is4() {
		return &mistake{fmt.Sprintf("%s beside %s ones", familyName(a), familyName(before[0].Addr())),
			"write a virtual router for each family; both may have the same id"}
	}
	return nil
}

// linkLocalFirst refuses a link-local address that is not where others look for it (RFC 9568 section 5.2.9). Whether
// there is one at all is asked by `weir check`: keepalived goes without it, and adverts must name the same addresses.
func (s scope) linkLocalFirst(addresses []placedAddress) {
	isLinkLocal := func(p placedAddress) bool { return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() }
	if len(addresses) == 0 || isLinkLocal(addresses[0]) {
		return
	}
	if i := slices.IndexFunc(addresses, isLinkLocal); i > 0 {
		s.complain(addresses[i].node, mistake{fmt.Sprintf("%s is link-local, and not the first", addresses[i].Addr()),
			"write it before the others, on every director: that is where adverts name it"})
	}
}

// parseVirtualAddress takes IP and IP/LENGTH. Without a length it is the address alone.
func parseVirtualAddress(text string) (netip.Prefix, *mistake) {
	host, length, found := strings.Cut(text, "/")
	if strings.ContainsAny(text, " \t") {
		host = text // keepalived's way to say more of it
	}
	address, m := parseOnLink(host)
	switch {
	case m != nil:
		return netip.Prefix{}, m
	case !found:
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	if bits, ok := netmaskLength(length); ok && address.Is4() {
		return netip.Prefix{}, &mistake{length + " is a netmask", fmt.Sprintf("write its length: %s/%d", address, bits)}
	}
	bits, err := strconv.Atoi(length)
	if err != nil || !isDecimal(length) || bits < 1 || bits > address.BitLen() {
		return netip.Prefix{}, &mistake{fmt.Sprintf("%s is not the length of an %s network", quote(length), familyName(address)),
			fmt.Sprintf("from 1 to %d", address.BitLen())}
	}
	prefix := netip.PrefixFrom(address, bits)
	return prefix, unfitHost(prefix)
}

// unfitHost refuses the two addresses of a network that no host has, where there are two (RFC 3021, RFC 6164).
func unfitHost(p netip.Prefix) *mistake {
	const hint = "write an address of one host in it"
	if p.Addr().BitLen()-p.Bits() < 2 {
		return nil
	}
	if p == p.Masked() {
		return &mistake{fmt.Sprintf("%s is the network itself", p), hint}
	}
	if outside := p.Addr().Next(); p.Addr().Is4() && !p.Contains(outside) {
		return &mistake{fmt.Sprintf("%s is the network's broadcast address", p), hint}
	}
	return nil
}

// parseOnLink takes an address that a host on the same link can have: link-local ones, too.
func parseOnLink(text string) (netip.Addr, *mistake) {
	switch withPort, err := netip.ParseAddrPort(text); {
	case err == nil:
		return netip.Addr{}, &mistake{"a port behind the address", fmt.Sprintf("write %s: ports are those of services", withPort.Addr())}
	case strings.Contains(text, "%"):
		return netip.Addr{}, &mistake{"zones (%) are not needed", `leave it out: "interface:" says where the address is`}
	case strings.ContainsAny(text, " \t"):
		return netip.Addr{}, &mistake{fmt.Sprintf("%s is more than an address", quote(text)),
			`write the address alone: "interface:" says where it is`}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, notAnAddress(text, err)
	}
	if address.Is6() && address.IsLinkLocalUnicast() {
		return address, nil
	}
	return address, unfit(address)
}

// routerSource reads from where adverts come. Over IPv6 what goes to all comes from a link-local address (RFC 9568
// section 5.1.2.1).
func (s scope) routerSource(n *yaml.Node, unicast bool, of router) placedAddress {
	s = s.in("source")
	text, ok := s.text(n, "source")
	if !ok {
		return placedAddress{}
	}
	address, m := parseOneOnLink(text)
	switch {
	case m != nil:
	case otherFamily(address, of):
		m = &mistake{fmt.Sprintf("%s for %s addresses", familyName(address), familyName(of.Addresses[0].Addr())), "write one of their family"}
	case !of.IsOwner() && hasAddress(of, address):
		m = &mistake{fmt.Sprintf("%s moves with the virtual router", address), "write an address that this host always has, or leave it out"}
	case address.Is6() && !address.IsLinkLocalUnicast() && !unicast:
		m = &mistake{fmt.Sprintf("%s is not link-local", address), `adverts to all come from a link-local address: write that, leave it out, or name "peers:"`}
	default:
		return placedAddress{netip.PrefixFrom(address, address.BitLen()), n}
	}
	s.complain(n, *m)
	return placedAddress{}
}

// parseOneOnLink takes no length.
func parseOneOnLink(text string) (netip.Addr, *mistake) {
	if host, _, found := strings.Cut(text, "/"); found {
		return netip.Addr{}, &mistake{fmt.Sprintf("%s is a network, not an address", quote(text)), "write " + label(host)}
	}
	return parseOnLink(text)
}

func otherFamily(a netip.Addr, of router) bool {
	return len(of.Addresses) > 0 && of.Addresses[0].Addr().Is4() != a.Is4()
}

func hasAddress(r router, a netip.Addr) bool {
	return slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
}

// routerPeers are nobody where the key is left out. What others of this file have is looked at later: checkFixed.
func (s scope) routerPeers(n *yaml.Node, of router) (out []placedAddress) {
	items := s.list(n, "peers")
	if n != nil && len(items) == 0 && (n.Kind == yaml.SequenceNode || isNull(n)) {
		s.complain(n, mistake{"no peer", `write "peers: [192.0.2.3]", or leave the key out: adverts go to all by multicast`})
	}
	s = s.in("peers")
	for i, item := range items {
		if i == maxPeers {
			s.complain(item, mistake{fmt.Sprintf("more than %d peers", maxPeers), "leave the key out: adverts go to all by multicast"})
			break
		}
		one := s.addressOnLink(item, "peer")
		if one.node == nil {
			continue
		}
		m := unfitPeer(one.Addr(), of, out)
		s.complainIf(item, m)
		if m == nil {
			out = append(out, one)
		}
	}
	return out
}

func unfitPeer(a netip.Addr, of router, before []placedAddress) *mistake {
	twice := slices.IndexFunc(before, func(b placedAddress) bool { return b.Addr() == a })
	switch {
	case otherFamily(a, of):
		return &mistake{fmt.Sprintf("%s for %s addresses", familyName(a), familyName(of.Addresses[0].Addr())), "write the peer's address of their family"}
	case a == of.Source:
		return &mistake{fmt.Sprintf("%s is the source", a), "peers are the other directors: leave this one out"}
	case hasAddress(of, a):
		return &mistake{fmt.Sprintf("%s moves with the virtual router", a), "write an address that the peer always has"}
	case twice >= 0:
		return &mistake{fmt.Sprintf("%s stands twice", a), fmt.Sprintf("the first is in line %d: keep one", before[twice].node.Line)}
	}
	return nil
}
