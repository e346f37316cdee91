// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// source returns the zero prefix after a complaint.
func (s scope) source(n *yaml.Node) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	text, ok := s.text(n, "source")
	if !ok {
		return netip.Prefix{}
	}
	prefix, m := parseSource(text)
	s.in("source").complainIf(n, m)
	return prefix
}

// parseSource takes a network whose addresses may be the source of what goes to another host.
func parseSource(text string) (netip.Prefix, *mistake) {
	host, length, found := strings.Cut(text, "/")
	address, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return netip.Prefix{}, &mistake{"the network is missing", `such as "10.200.0.0/16"`}
	case err != nil:
		return netip.Prefix{}, notAnAddress(host, err)
	case address.Zone() != "":
		return netip.Prefix{}, &mistake{"zones (%) are not supported", "write a network that is not link-local"}
	case address.Is4In6():
		return netip.Prefix{}, unfit(address)
	case !found:
		return netip.Prefix{}, &mistake{fmt.Sprintf("%s is one address, not a network", address),
			`write its length too, such as "10.200.0.0/16"; leave the key out for the host's own address`}
	}
	prefix, m := withLength(address, length)
	if m == nil {
		m = unfitSource(prefix)
	}
	if m != nil {
		return netip.Prefix{}, m
	}
	return prefix, nil
}

// withLength wants a bit at least that can be varied.
func withLength(a netip.Addr, text string) (netip.Prefix, *mistake) {
	most := a.BitLen() - 1
	bits, err := strconv.Atoi(text)
	switch {
	case isDecimal(text) && bits == a.BitLen():
		return netip.Prefix{}, &mistake{fmt.Sprintf("%s/%d is one address, which leaves nothing to vary", a, bits),
			fmt.Sprintf("write a length from 1 to %d", most)}
	case err != nil || !isDecimal(text) || bits < 1 || bits > most:
		return netip.Prefix{}, &mistake{fmt.Sprintf("%s is not the length of an %s network", quote(text), familyName(a)),
			fmt.Sprintf("from 1 to %d", most)}
	}
	return netip.PrefixFrom(a, bits), nil
}

// unfitSource refuses networks with an address that no packet to another host comes from.
func unfitSource(p netip.Prefix) *mistake {
	if p != p.Masked() {
		return &mistake{fmt.Sprintf("%s has bits behind its length", p), "write " + p.Masked().String()}
	}
	for _, bad := range noSources {
		if p.Overlaps(bad.network) {
			return &mistake{fmt.Sprintf("%s has %s addresses in it (%s)", p, bad.kind, bad.network),
				"write a network of addresses that hosts can have"}
		}
	}
	return nil
}

// noSources are what unfit refuses of a single address, and what RFC 6890 has besides.
var noSources = []struct {
	kind    string
	network netip.Prefix
}{
	{"unspecified", netip.MustParsePrefix("0.0.0.0/8")},
	{"loopback", netip.MustParsePrefix("127.0.0.0/8")},
	{"multicast", netip.MustParsePrefix("224.0.0.0/4")},
	{"reserved", netip.MustParsePrefix("240.0.0.0/4")},
	{"unspecified", netip.MustParsePrefix("::/128")},
	{"loopback", netip.MustParsePrefix("::1/128")},
	{"IPv4-mapped", netip.MustParsePrefix("::ffff:0:0/96")},
	{"link-local", netip.MustParsePrefix("fe80::/10")},
	{"multicast", netip.MustParsePrefix("ff00::/8")},
}

// checkSource holds the outer source against the server's address, which is the outer destination.
func (s scope) checkSource(to server, source netip.Prefix, at *yaml.Node, of string) {
	address := to.Key.Address
	if !source.IsValid() || !address.IsValid() {
		return
	}
	if source.Addr().Is4() != address.Is4() {
		s.complain(at, mistake{fmt.Sprintf("%s: source %s for a server whose address is %s", of, source, familyName(address)),
			fmt.Sprintf("write an %s source, or none, in this server's own tunnel", familyName(address))})
	} else if source.Contains(address) {
		s.complain(at, mistake{fmt.Sprintf("%s: source %s has the server's own address in it", of, source),
			"write a network in which no server is: a host takes no packet from itself"})
	}
}
