// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// clients are who asks, and for which addresses if not for the service.
type clients struct {
	from []netip.AddrPort
	to   []netip.AddrPort // in turn; none: the service
}

// asks are the first n connections.
func (c clients) asks(service netip.AddrPort, n int) (out []Ask, err error) {
	if n > len(c.from) {
		return nil, fmt.Errorf("%d picks of %d connections", n, len(c.from))
	}
	for i, from := range c.from[:n] {
		to := service
		if len(c.to) > 0 {
			to = c.to[i%len(c.to)]
		}
		out = append(out, Ask{from, to})
	}
	return out, nil
}

// later is the same clients from other ports.
func (c clients) later(by int) clients {
	from := make([]netip.AddrPort, len(c.from))
	for i, f := range c.from {
		from[i] = netip.AddrPortFrom(f.Addr(), f.Port()+uint16(by))
	}
	return clients{from, c.to}
}

// ports are n of one host.
func ports(host string, first, n int) (out []netip.AddrPort, err error) {
	at, err := netip.ParseAddr(host)
	for i := range n {
		out = append(out, netip.AddrPortFrom(at, uint16(first+i)))
	}
	return out, err
}

// rounds are n hosts with one port, then with another.
func rounds(first string, n int, each ...int) (out []netip.AddrPort, err error) {
	all, err := hosts(first, n)
	for _, port := range each {
		for _, host := range all {
			out = append(out, netip.AddrPortFrom(host, uint16(port)))
		}
	}
	return out, err
}

// hosts are n addresses from one that ends with 1, as somebody counts who writes decimal numbers, in
// IPv6 too.
func hosts(first string, n int) (out []netip.Addr, err error) {
	network, found := strings.CutSuffix(first, "1")
	if !found {
		return nil, fmt.Errorf("%s: not the first address", first)
	}
	for i := range n {
		host, err := netip.ParseAddr(network + strconv.Itoa(i+1))
		if err != nil {
			return nil, err
		}
		out = append(out, host)
	}
	return out, nil
}
