// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// endpoint is an address with a port as the file writes it.
type endpoint struct {
	address netip.Addr
	port    portRef
}

// portRef is the part behind the colon.
type portRef struct {
	kind   portKind
	number uint16
	last   uint16 // of a range
}

type portKind uint8

const (
	portLeftOut portKind = iota
	portAny              // written as *
	portNumber
	portRange // of services only
)

// parseServiceEndpoint takes what parseEndpoint does, with a range of ports (IP:FIRST-LAST), and any
// destination: 0.0.0.0/0:PORT, ::/0:PORT.
func parseServiceEndpoint(text string) (endpoint, *mistake) {
	for prefix, any := range map[string]netip.Addr{
		"0.0.0.0/0": netip.IPv4Unspecified(), "::/0": netip.IPv6Unspecified(), "[::]/0": netip.IPv6Unspecified(), "[::/0]": netip.IPv6Unspecified(),
	} {
		if port, ok := strings.CutPrefix(text, prefix); ok && (port == "" || port[0] == ':') {
			ref, m := parsePort(port)
			return endpoint{any, ref}, m
		}
	}
	return parseEndpoint(text)
}

// parseEndpoint takes IP, IP:PORT, IP:*, [IP6], [IP6]:PORT, [IP6]:* and a bare IPv6 address.
func parseEndpoint(text string) (endpoint, *mistake) {
	host, port, m := splitEndpoint(text)
	if m != nil {
		return endpoint{}, m
	}
	address, m := parseAddress(host)
	if m != nil {
		return endpoint{}, m
	}
	if strings.HasPrefix(text, "[") && address.Is4() {
		return endpoint{}, &mistake{"brackets are for IPv6 addresses", "write " + address.String()}
	}
	ref, m := parsePort(port)
	return endpoint{address, ref}, m
}

// splitEndpoint cuts at the colon before the port; the port keeps it, so "" means that there is none.
func splitEndpoint(text string) (host, port string, m *mistake) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, port, ok = strings.Cut(inner, "]")
		if !ok || port != "" && port[0] != ':' {
			return "", "", &mistake{fmt.Sprintf("%s is not an address", quote(text)), `write "[2001:db8::1]:80"`}
		}
		return host, port, nil
	}
	if strings.Count(text, ":") > 1 {
		return text, "", nil
	}
	host, port, found := strings.Cut(text, ":")
	if found {
		port = ":" + port
	}
	return host, port, nil
}

func parsePort(text string) (portRef, *mistake) {
	port, found := strings.CutPrefix(text, ":")
	switch low, high, isRange := strings.Cut(port, "-"); {
	case !found:
		return portRef{}, nil
	case port == "*":
		return portRef{kind: portAny}, nil
	case port == "":
		return portRef{}, &mistake{"no port behind the colon", "from 1 to 65535, or * for any port"}
	case port == "0":
		return portRef{}, &mistake{"port 0 is not a port", "write * for any port"}
	case isRange && isDecimal(low) && isDecimal(high):
		return parseRange(low, high)
	case !isDecimal(port):
		return portRef{}, &mistake{fmt.Sprintf("port %s is not a number", quote(port)),
			"from 1 to 65535, or * for any port; names of ports are not looked up"}
	}
	number, m := parsePortNumber(port)
	return portRef{kind: portNumber, number: number}, m
}

func parsePortNumber(text string) (uint16, *mistake) {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return 0, &mistake{fmt.Sprintf("port %s is out of range", abbreviate(text)), "from 1 to 65535"}
	}
	return uint16(number), nil
}

func parseRange(low, high string) (portRef, *mistake) {
	first, m := parsePortNumber(low)
	if m != nil {
		return portRef{}, m
	}
	last, m := parsePortNumber(high)
	switch {
	case m != nil:
		return portRef{}, m
	case first == last:
		return portRef{}, &mistake{fmt.Sprintf("%s-%s is one port", low, high), "write " + low}
	case first > last:
		return portRef{}, &mistake{fmt.Sprintf("%s-%s ends before it begins", low, high), fmt.Sprintf("write %s-%s", high, low)}
	}
	return portRef{portRange, first, last}, nil
}

// parseAddress takes an address that one host can have and others can reach.
func parseAddress(text string) (netip.Addr, *mistake) {
	switch {
	case text == "0.0.0.0/0" || text == "::/0":
		return netip.Addr{}, &mistake{"any destination is no server's address", "write one address"}
	case strings.Contains(text, "/"):
		return netip.Addr{}, &mistake{fmt.Sprintf("%s is a network, not an address", quote(text)),
			"write one address, without a length; a service may have any destination: 0.0.0.0/0:80"}
	case strings.Contains(text, "%"):
		return netip.Addr{}, &mistake{"zones (%) are not supported", "write an address that is not link-local"}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, notAnAddress(text, err)
	}
	if m := unfit(address); m != nil {
		return netip.Addr{}, m
	}
	return address, nil
}

// notAnAddress tells a mistyped address from a host's name.
func notAnAddress(text string, err error) *mistake {
	reason := strings.TrimPrefix(err.Error(), "ParseAddr("+strconv.Quote(text)+"): ")
	switch {
	case text == "" || text == "*":
		return &mistake{"the address is missing", "write one: the port alone does not say where"}
	case strings.Trim(text, "0123456789.") == "":
		return &mistake{fmt.Sprintf("%s is not an IPv4 address", quote(text)), reason}
	case strings.Contains(text, ":"):
		return &mistake{fmt.Sprintf("%s is not an IPv6 address", quote(text)), reason}
	}
	return &mistake{fmt.Sprintf("%s is not an address", quote(text)), "names are not resolved; write an address"}
}

// unfit refuses addresses that no packet to or from another host can carry.
func unfit(a netip.Addr) *mistake {
	const unicast = "write an address of one host"
	switch {
	case a.Is4In6():
		return &mistake{fmt.Sprintf("%s is an IPv4 address mapped into IPv6", a), fmt.Sprintf("write %s", a.Unmap())}
	case a.IsUnspecified():
		return &mistake{fmt.Sprintf("%s is no host's address", a), unicast}
	case a.IsMulticast():
		return &mistake{fmt.Sprintf("%s is a multicast address", a), unicast}
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &mistake{fmt.Sprintf("%s is the broadcast address", a), unicast}
	case a.IsLoopback():
		return &mistake{fmt.Sprintf("%s is a loopback address", a), "write an address that other hosts can reach"}
	case a.Is6() && a.IsLinkLocalUnicast():
		return &mistake{fmt.Sprintf("%s is link-local", a), "write an address that is the same on every interface"}
	}
	return nil
}

func familyName(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
