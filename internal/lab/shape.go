// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Shape is a topology.
//
//	lan      client ─ router ─┬─ director                 servers answer through the router (DR, TUN),
//	                          └─ servers                  or through the director (NAT)
//
//	routed   client ─ router ─┬─ director                 servers answer through both routers
//	                          └─ inner router ── servers
//
//	two-arm  client ─ router ─── director ────── servers  servers answer through the first director
//
// ┬ and ── are switches: the front LAN has the VIP in its subnet, the back LAN is behind the inner
// router or the director. Interfaces are counted from the clients' side: eth0, eth1. Of two directors
// on a LAN, servers answer through the one that has the VIP (NAT).
type Shape string

const (
	LAN    Shape = "lan"
	Routed Shape = "routed"
	TwoArm Shape = "two-arm"
)

// Shapes lists every shape.
func Shapes() []Shape { return []Shape{LAN, Routed, TwoArm} }

// Forwarding is the method for which a lab is set up: it decides how the servers answer.
type Forwarding string

const (
	NAT Forwarding = "nat"
	TUN Forwarding = "tun"
	DR  Forwarding = "dr"
)

// Forwardings lists the methods that work in a shape, the usual one first.
func (s Shape) Forwardings() []Forwarding {
	switch s {
	case LAN:
		return []Forwarding{DR, NAT, TUN}
	case Routed:
		return []Forwarding{TUN}
	case TwoArm:
		return []Forwarding{NAT}
	}
	return nil
}

// check refuses what is not a shape, and a method that does not work in it.
func (s Shape) check(f Forwarding) error {
	methods := s.Forwardings()
	if methods == nil {
		return fmt.Errorf("no shape %q: it is one of %s", s, join(Shapes()))
	}
	if !slices.Contains(methods, f) {
		return fmt.Errorf("forwarding %q does not work in shape %s: it is one of %s", f, s, join(methods))
	}
	return nil
}

func join[T ~string](words []T) string {
	var out []string
	for _, w := range words {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}

// Node is a host: a namespace with addresses.
type Node struct {
	network
	Address Pair // by which the others reach it

	outside int // MTU of default routes; 0: the link's
}

// Addresses are those on its first interface.
func (n *Node) Addresses() (out []netip.Addr, err error) {
	err = n.Do(func() error {
		link, err := net.InterfaceByName(FirstLink)
		if err != nil {
			return err
		}
		addresses, err := link.Addrs()
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, prefix.Addr())
			}
		}
		return err
	})
	return out, err
}

// build makes every node and connects it.
func (l *Lab) build() error {
	front, err := l.addSwitch("front")
	if err != nil {
		return err
	}
	if err := errors.Join(l.buildRouter(front), l.buildDirectors(front), l.buildStranger(front)); err != nil {
		return err
	}
	switch l.Shape {
	case LAN:
		return l.buildServers(front, l.front(), l.gatewayOnFront())
	case Routed:
		return l.buildBehindRouter(front)
	default:
		return l.buildBehindDirectors()
	}
}

// gatewayOnFront is where servers on the front LAN send their answers.
func (l *Lab) gatewayOnFront() int {
	switch {
	case l.Forwarding != NAT:
		return routerHost
	case l.config.Directors > 1:
		return vipHost
	}
	return directorHost
}

// buildRouter makes the router and the clients behind it.
func (l *Lab) buildRouter(front *lan) (err error) {
	if l.Client, err = l.newClient(); err != nil {
		return err
	}
	if l.Router, err = l.newRouter("router", l.front().host(routerHost)); err != nil {
		return err
	}
	r, c := l.Router, l.Client
	return inOrder(
		func() error { return c.connect(FirstLink, r.network, FirstLink) },
		func() error { return front.plug(r.network, SecondLink) },
		func() error { return r.address(FirstLink, l.clients().on(routerHost)...) },
		func() error { return r.address(SecondLink, l.front().on(routerHost)...) },
		func() error { return c.address(FirstLink, c.prefixes()...) },
		func() error { return c.defaultRoutes(l.clients().host(routerHost)) },
	)
}

// buildDirectors puts the directors on the front LAN.
func (l *Lab) buildDirectors(front *lan) error {
	for i := range l.config.Directors {
		d, err := l.newDirector(i)
		if err != nil {
			return err
		}
		l.Directors = append(l.Directors, d)
		err = inOrder(
			func() error { return front.plug(d.network, FirstLink) },
			func() error { return d.address(FirstLink, l.front().on(directorHost+i)...) },
			func() error { return d.defaultRoutes(l.front().host(routerHost)) },
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// buildStranger puts one more host on the front LAN.
func (l *Lab) buildStranger(front *lan) (err error) {
	if !l.config.Stranger {
		return nil
	}
	if l.Stranger, err = l.newNode("stranger", l.front().host(strangerHost)); err != nil {
		return err
	}
	return errors.Join(
		front.plug(l.Stranger.network, FirstLink),
		l.Stranger.address(FirstLink, l.front().on(strangerHost)...),
	)
}

// buildElsewhere routes the networks that are elsewhere.
func (l *Lab) buildElsewhere() error {
	var errs []error
	for _, p := range l.config.Elsewhere.Clients {
		errs = append(errs, l.Client.local(p), l.Router.route(p, l.Client.Address.of(p), 0))
	}
	for _, p := range l.config.Elsewhere.Services {
		errs = append(errs, l.Router.route(p, l.Directors[0].Address.of(p), 0))
	}
	for _, p := range l.config.Elsewhere.Servers {
		errs = append(errs, l.Servers[0].local(p), l.Directors[0].route(p, l.Servers[0].Address.of(p), 0))
	}
	return errors.Join(errs...)
}

// buildServers puts the servers on a LAN, with a host of it as their way out.
func (l *Lab) buildServers(lan *lan, net subnet, gateway int) error {
	for i := range l.config.Servers {
		s, err := l.newServer(i, net.host(serverHost+i))
		if err != nil {
			return err
		}
		l.Servers = append(l.Servers, s)
		err = inOrder(
			func() error { return lan.plug(s.network, FirstLink) },
			func() error { return s.address(FirstLink, net.on(serverHost+i)...) },
			func() error { return s.defaultRoutes(net.host(gateway)) },
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// buildBehindRouter makes the inner router, and the servers behind it.
func (l *Lab) buildBehindRouter(front *lan) error {
	back, err := l.addSwitch("back")
	if err != nil {
		return err
	}
	if l.Inner, err = l.newRouter("inner", l.front().host(innerHost)); err != nil {
		return err
	}
	inner := l.Inner
	err = inOrder(
		func() error { return front.plug(inner.network, FirstLink) },
		func() error { return back.plug(inner.network, SecondLink) },
		func() error { return inner.address(FirstLink, l.front().on(innerHost)...) },
		func() error { return inner.address(SecondLink, l.back().on(routerHost)...) },
		func() error { return inner.defaultRoutes(l.front().host(routerHost)) },
		func() error { return l.Router.routes(l.back(), inner.Address) },
	)
	for _, d := range l.Directors {
		err = errors.Join(err, d.routes(l.back(), inner.Address))
	}
	if err != nil {
		return err
	}
	return l.buildServers(back, l.back(), routerHost)
}

// buildBehindDirectors connects the directors to the back LAN, with the servers on it.
func (l *Lab) buildBehindDirectors() error {
	back, err := l.addSwitch("back")
	if err != nil {
		return err
	}
	for i, d := range l.Directors {
		err := inOrder(
			func() error { return back.plug(d.network, SecondLink) },
			func() error { return d.address(SecondLink, l.back().on(directorHost+i)...) },
		)
		if err != nil {
			return err
		}
	}
	if err := l.Router.routes(l.back(), l.Directors[0].Address); err != nil {
		return err
	}
	return l.buildServers(back, l.back(), directorHost)
}

// addSwitch makes a LAN that goes with the lab.
func (l *Lab) addSwitch(name string) (*lan, error) {
	s, err := newLAN(name, l.spawner, l.pass, l.config.MTU)
	if err != nil {
		return nil, err
	}
	l.networks = append(l.networks, s.network)
	l.switches = append(l.switches, s)
	return s, nil
}

// newNode makes a host that goes with the lab, without an interface but lo.
func (l *Lab) newNode(name string, address Pair) (*Node, error) {
	n, err := newNetwork(name, l.spawner)
	if err != nil {
		return nil, err
	}
	l.networks = append(l.networks, n)
	node := &Node{network: n, Address: address}
	if l.config.MTU > usualMTU {
		node.outside = usualMTU
	}
	// Addresses are ours alone: looking for duplicates would only make them wait. Routes are
	// written down, not advertised.
	err = n.sysctls([][2]string{
		{"ipv6/conf/default/accept_dad", "0"},
		{"ipv6/conf/default/accept_ra", "0"},
	})
	return node, errors.Join(err, n.up("lo"))
}

// newRouter makes a host that forwards, also what comes in on another interface than the one
// where its source is routed: servers answer with the VIP as source.
func (l *Lab) newRouter(name string, address Pair) (*Node, error) {
	n, err := l.newNode(name, address)
	if err != nil {
		return nil, err
	}
	return n, n.sysctls([][2]string{
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
		{"ipv4/ip_forward", "1"},
		{"ipv6/conf/all/forwarding", "1"},
	})
}

const (
	usualMTU  = 1500 // Ethernet's, and that of everything beyond the router
	widestMTU = 3506 // with which a veth takes native XDP: a page less what the kernel keeps of it
)

func (n *Node) routes(to subnet, via Pair) error {
	return errors.Join(n.route(to.ipv4, via.IPv4, 0), n.route(to.ipv6, via.IPv6, 0))
}

func (n *Node) defaultRoutes(via Pair) error {
	everything := subnet{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	return errors.Join(n.route(everything.ipv4, via.IPv4, n.outside), n.route(everything.ipv6, via.IPv6, n.outside))
}

// inOrder takes steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
