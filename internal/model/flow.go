// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"net/netip"
	"strings"
)

// Flow is a client and what it asks for.
type Flow struct {
	Protocol Protocol
	Client   netip.AddrPort
	Virtual  netip.AddrPort
}

// ParseFlow reads the three as people write them; protocol "" is TCP. The error ends with the way out.
func ParseFlow(client, virtual, protocol string) (f Flow, err error) {
	f.Protocol = TCP
	if protocol != "" {
		known := false
		if f.Protocol, known = ParseProtocol(strings.ToLower(protocol)); !known {
			return f, fmt.Errorf("protocol %q: there is no such protocol: write tcp, udp or sctp", protocol)
		}
	}
	if f.Client, err = parseEnd("client", client, "203.0.113.7:40000 or [2001:db8::7]:40000"); err != nil {
		return f, err
	}
	if f.Virtual, err = parseEnd("virtual", virtual, "192.0.2.10:80 or [2001:db8::10]:80"); err != nil {
		return f, err
	}
	if f.Client.Addr().Is4() != f.Virtual.Addr().Is4() {
		return f, fmt.Errorf("client %s and virtual %s: no packet is of IPv4 and of IPv6: write both in one family",
			f.Client.Addr(), f.Virtual.Addr())
	}
	return f, nil
}

// parseEnd reads an address and port; IPv4 that is mapped into IPv6 is IPv4.
func parseEnd(what, text, example string) (netip.AddrPort, error) {
	wrong := func(why string) (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("%s %q: %s: write it as %s", what, text, why, example)
	}
	switch a, err := netip.ParseAddr(text); {
	case err == nil && a.Is6() && a.Zone() == "":
		return wrong("an IPv6 address stands in brackets, with a port behind them")
	case err == nil && a.Is4(), strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
		return wrong("the port is missing")
	}
	at := max(strings.LastIndex(text, ":"), 0)
	host, port := text[:at], strings.TrimPrefix(text[at:], ":")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil {
		return wrong("not an address and port, and names are not looked up")
	}
	end, err := netip.ParseAddrPort(text)
	switch {
	case err != nil:
		return wrong(fmt.Sprintf("%q is no port from 1 to 65535", port))
	case end.Port() == 0:
		return wrong("no packet is to or from port 0")
	case end.Addr().Zone() != "":
		return wrong("an address of one link cannot be balanced")
	}
	return netip.AddrPortFrom(end.Addr().Unmap(), end.Port()), nil
}
