// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// icmp: errors go to whoever has the connection that they quote.
func (tb *table) icmp(f family) {
	for _, p := range protocols {
		for _, m := range methods {
			tb.errorsToServer(f, p, m)
		}
		tb.errorsToClient(f, p)
		tb.quotes(f, p)
		tb.strangeErrors(f, p)
	}
	tb.otherMessages(f)
	tb.lowMTUs(f)
	if f == 6 {
		tb.quotedChains()
	}
}

// router is somebody on the way to a client, or to a server.
func router(f family) netip.Addr {
	if f == 4 {
		return netip.MustParseAddr("203.0.113.254")
	}
	return netip.MustParseAddr("2001:db8:c::fe")
}

func (tb *table) errorsToServer(f family, p model.Protocol, m method) {
	name := func(s string) string { return fmt.Sprintf("icmp ipv%d about %s %s: %s", f, m.name, p, s) }
	c := tb.talk(f, m.host, webPort(p), p)
	vip, quoted := c.service.Addr(), packetOf(c.turned())
	short := quoted[:map[family]int{4: 28, 6: 48}[f]]
	failure := unreachable(router(f), vip, quoted)
	tb.add(name("every kind"), append([]step{in(c.open(), m.verdict)}, tb.everyKind(f, vip, quoted, icmpIn)...)...)
	tb.add(name("quoted as little as can be"), in(unreachable(router(f), vip, short), icmpIn), in(narrow(router(f), vip, 1400, short), icmpIn))
	tb.add(name("of an odd length"), in(unreachable(router(f), vip, append(slices.Clone(quoted), 1)), icmpIn),
		in(append(failure, packet.Trailer("padding")), icmpIn))
	tb.add(name("tagged"), in(tagged(failure), icmpIn), in(taggedAs(failure, 0), icmpIn), in(taggedAs(failure, 43), otherVLAN))
	tb.add(name("TTL"), in(ttl(failure, 2), icmpIn), in(ttl(failure, 1), ttlExceeded), in(ttl(failure, 0), ttlExceeded))
	tb.add(name("too large"), in(append(failure, large), tooBig), in(uncut(append(failure, large)), tooBig))
	wrong := with(failure, func(i *packet.ICMP) { i.Checksum = 0xbad })
	wrong = with(wrong, func(i *packet.ICMPv6) { i.Checksum = 0xbad })
	tb.add(name("wrong checksum stays wrong"), in(wrong, icmpIn))
	tb.add(name("from the client itself"), in(unreachable(c.client.Addr(), vip, quoted), icmpIn))
	tb.add(name("the connection is as before"), in(c.more(), m.verdict))
}

// everyKind are the types of errors that there are.
func (tb *table) everyKind(f family, to netip.Addr, quoted []byte, v verdict) []step {
	kinds := map[family][][2]uint8{
		4: {{3, 0}, {3, 3}, {3, 13}, {11, 0}, {11, 1}, {12, 0}},
		6: {{1, 0}, {1, 4}, {3, 0}, {3, 1}, {4, 0}, {4, 1}},
	}
	steps := []step{in(narrow(router(f), to, 1400, quoted), v)}
	for _, k := range kinds[f] {
		steps = append(steps, in(about(router(f), to, k[0], k[1], 0, quoted), v))
	}
	return steps
}

// errorsToClient are about what NAT sent to a server, or about an answer that the server could not
// use; they are translated inside and outside.
func (tb *table) errorsToClient(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("icmp ipv%d to the client, %s: %s", f, p, s) }
	c := tb.talk(f, oddHost, oddNAT, p)
	server := netip.AddrPortFrom(serverAddr(f, 70), 8080)
	if p == model.UDP {
		c, server = tb.talk(f, anyHost, 4000, p), netip.AddrPortFrom(serverAddr(f, 50), 4000)
	}
	sent := c // as the server gets it
	sent.service = server
	quoted := packetOf(append(sent.open(), packet.Payload("odd")))
	from := router(f)
	fromRouter := func(l packet.Layers) packet.Layers { return toMAC(l, backMAC) }
	failure := fromRouter(unreachable(from, c.client.Addr(), quoted))
	steps := []step{in(c.open(), natIn)}
	for _, s := range tb.everyKind(f, c.client.Addr(), quoted, icmpOut) {
		steps = append(steps, fromBack(fromRouter(s.layers), icmpOut))
	}
	tb.add(name("every kind"), steps...)
	tb.add(name("from the server"), fromBack(fromRouter(unreachable(server.Addr(), c.client.Addr(), quoted)), icmpOut))
	for _, n := range []int{8, 9, 16, 17, 18, 19, 20} {
		part := quoted[:min(len(quoted), map[family]int{4: 20, 6: 40}[f]+n)]
		tb.add(name(fmt.Sprintf("%d bytes of the transport header", n)), fromBack(fromRouter(unreachable(from, c.client.Addr(), part)), icmpOut))
	}
	tb.add(name("TTL"), fromBack(ttl(failure, 2), icmpOut), fromBack(ttl(failure, 1), ttlExceeded))
	tb.add(name("too large"), fromBack(append(failure, large), tooBig))
	tb.add(name("tagged"), fromBack(toMAC(taggedAs(failure, backVLAN), backVLANMAC), icmpOut), fromBack(tagged(failure), otherVLAN))
	tb.add(name("to somebody else"), fromBack(fromRouter(unreachable(from, serverAddr(f, 9), quoted)), icmp))
	low := map[family]uint32{4: 575, 6: 1279}[f]
	tb.add(name("low MTU"), fromBack(fromRouter(narrow(from, c.client.Addr(), low, quoted)), icmpLowMTU),
		fromBack(fromRouter(narrow(from, c.client.Addr(), low+1, quoted)), icmpOut))
	stranger := sent
	stranger.client = netip.AddrPortFrom(c.client.Addr(), 9)
	tb.add(name("about nothing"), fromBack(fromRouter(unreachable(from, c.client.Addr(), packetOf(stranger.open()))), icmp))
	in42 := in(tagged(c.more()), natIn)
	tb.add(name("who is on a VLAN"), in42, fromBack(failure, icmpOut), fromBack(onBackVLAN(failure), icmpOut), in(c.more(), natIn))
	if p == model.UDP {
		none := with(sent.open(), func(u *packet.UDP) { u.NoChecksum = true })
		tb.add(name("without checksum"), fromBack(fromRouter(unreachable(from, c.client.Addr(), packetOf(none))), icmpOut))
	}
}

// quotes that cannot be read, and some that can.
func (tb *table) quotes(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("icmp ipv%d quote, %s: %s", f, p, s) }
	c := tb.talk(f, 30, webPort(p), p)
	vip, quoted := c.service.Addr(), packetOf(c.turned())
	header := map[family]int{4: 20, 6: 40}[f]
	steps := []step{in(c.open(), natIn)}
	for n := range header + 8 {
		steps = append(steps, in(unreachable(router(f), vip, quoted[:n]), icmpNoConnection))
	}
	tb.add(name("truncated"), append(steps, in(unreachable(router(f), vip, quoted[:header+8]), icmpIn))...)
	change := func(at int, b ...byte) packet.Layers {
		q := slices.Clone(quoted)
		copy(q[at:], b)
		return unreachable(router(f), vip, q)
	}
	tb.add(name("another version"), in(change(0, 0x55), icmpNoConnection), in(change(0, quoted[0]^0x20), icmpNoConnection))
	tb.add(name("another source"), in(change(header-8+3, 250), icmpNoConnection))
	tb.add(name("another port of the service"), in(change(header, 0x7f, 1), icmp))
	tb.add(name("another port of the client"), in(change(header+2, 0, 9), icmpNoConnection))
	tb.add(name("a packet cut short by Ethernet"), in(lengthen(unreachable(router(f), vip, quoted), -len(quoted)+header+7), icmpNoConnection),
		in(lengthen(unreachable(router(f), vip, quoted), -len(quoted)+header+8), icmpIn))
	if f == 4 {
		tb.add(name("header length 4"), in(change(0, 0x44), icmpNoConnection))
		tb.add(name("header length 15, and not all there"), in(change(0, 0x4f), icmpNoConnection))
		other := slices.Clone(quoted)
		other[0], other[9] = 0x4f, 1
		tb.add(name("header length 15, not all there, of another protocol"), in(unreachable(router(f), vip, other[:40]), icmp))
		tb.add(name("a later fragment"), in(change(6, 0, 1), icmpNoConnection), in(change(6, 0x20, 0), icmpIn))
		options := with(c.turned(), func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0} })
		most := with(c.turned(), func(ip *packet.IPv4) { ip.Options = slices.Repeat([]byte{1}, 40) })
		tb.add(name("options"), in(unreachable(router(f), vip, packetOf(options)), icmpIn), in(unreachable(router(f), vip, packetOf(most)), icmpIn),
			in(unreachable(router(f), vip, packetOf(most)[:67]), icmpNoConnection), in(unreachable(router(f), vip, packetOf(most)[:68]), icmpIn))
	}
	protocol := map[family]int{4: 9, 6: 6}[f]
	tb.add(name("of another protocol"), in(change(protocol, 1), icmp), in(change(protocol, 50), icmp), in(change(protocol, 58), icmp), in(change(protocol, 59), icmp))
	tb.add(name("of another protocol, cut short"), in(unreachable(router(f), vip, packetOf(with(with(c.turned(),
		func(ip *packet.IPv4) { ip.Protocol = 50 }), func(ip *packet.IPv6) { ip.Next = 50 }))[:header]), icmp))
}

// strangeErrors are about a service, but about none of its connections.
func (tb *table) strangeErrors(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("icmp ipv%d strange, %s: %s", f, p, s) }
	c := tb.talk(f, 10, webPort(p), p)
	vip, quoted := c.service.Addr(), packetOf(c.turned())
	tb.add(name("no connection"), in(unreachable(router(f), vip, quoted), icmpNoConnection), in(narrow(router(f), vip, 68, quoted), icmpNoConnection),
		in(c.open(), dr))
	unserved := tb.talk(f, 10, 4444, p)
	tb.add(name("no service at that port"), in(unreachable(router(f), vip, packetOf(unserved.turned())), icmp))
	tb.add(name("not to a service"), in(unreachable(router(f), serverAddr(f, 200), quoted), icmp))
	other := tb.talk(f, 30, webPort(p), p)
	tb.add(name("to another service than it quotes"), in(other.open(), natIn), in(unreachable(router(f), vip, packetOf(other.turned())), icmpNoConnection))
	tb.add(name("what the client sent"), in(unreachable(router(f), vip, packetOf(c.open())), icmpNoConnection))
	martians := map[family][]string{4: {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}, 6: {"::", "::1", "ff02::1"}}
	for _, a := range append(martians[f], vip.String()) {
		tb.add(name("from "+a), in(unreachable(netip.MustParseAddr(a), vip, quoted), martian))
	}
	if p == model.SCTP {
		return
	}
	if p == model.TCP {
		tb.errorsOfOddServices(f)
		return
	}
	local4 := tb.talk(f, oddHost, oddLocal, p)
	tb.add(name("local server"), in(local4.open(), local), in(unreachable(router(f), local4.service.Addr(), packetOf(local4.turned())), local))
}

func (tb *table) errorsOfOddServices(f family) {
	for _, row := range []struct {
		port        uint16
		open, error verdict
	}{
		{oddLocal, local, local}, {oddUnresolved, noNeighbour, noNeighbour}, {oddUnroutable, noRoute, noRoute},
		{oddBackup, notServing, icmpNoConnection}, {oddWeightless, noServer, icmpNoConnection}, {oddNAT, natIn, icmpIn},
	} {
		c := tb.talk(f, oddHost, row.port, model.TCP)
		tb.add(fmt.Sprintf("icmp ipv%d about odd service %d", f, row.port), in(c.open(), row.open),
			in(unreachable(router(f), c.service.Addr(), packetOf(c.turned())), row.error))
	}
	c := tb.talk(f, oddHost, oddNarrowDR, model.TCP)
	tb.add(fmt.Sprintf("icmp ipv%d too large for the server", f), in(c.open(), dr),
		in(uncut(unreachable(router(f), c.service.Addr(), append(packetOf(c.turned()), large...))), tooBig))
}

// otherMessages are the kernel's.
func (tb *table) otherMessages(f family) {
	errors := map[family][]uint8{4: {3, 11, 12}, 6: {1, 2, 3, 4}}[f]
	for kind := range uint8(20) {
		v := icmp
		if slices.Contains(errors, kind) {
			v = icmpNoConnection
		}
		tb.add(fmt.Sprintf("icmp ipv%d type %d, quoting nothing", f, kind), in(about(router(f), vip(f, 10), kind, 0, 0, nil), v))
	}
	for _, kind := range []uint8{128, 129, 133, 134, 135, 136, 137, 255} {
		tb.add(fmt.Sprintf("icmp ipv%d type %d", f, kind), in(about(router(f), vip(f, 10), kind, 0, 0, nil), icmp))
	}
	for _, kind := range append(errors, 8, 128) {
		for n := range 8 {
			short := lengthen(about(router(f), vip(f, 10), kind, 0, 0, nil), n-8)
			elsewhere := lengthen(about(router(f), vip(f, 200), kind, 0, 0, nil), n-8)
			if f == 4 || n > 0 { // IPv6: a length of zero stands for the right one
				tb.add(fmt.Sprintf("icmp ipv%d type %d, %d bytes", f, kind, n), in(short, malformed), in(elsewhere, noService))
			}
		}
	}
}

// lowMTUs that no link has are an attack.
func (tb *table) lowMTUs(f family) {
	mtus := map[family]map[uint32]verdict{
		4: {0: icmpLowMTU, 68: icmpLowMTU, 575: icmpLowMTU, 576: icmpIn, 1280: icmpIn, 65535: icmpIn, 576 << 16: icmpLowMTU},
		6: {0: icmpLowMTU, 68: icmpLowMTU, 576: icmpLowMTU, 1279: icmpLowMTU, 1280: icmpIn, 65535: icmpIn, 0xffffffff: icmpIn, 1280 << 16: icmpIn},
	}
	for _, m := range methods {
		for _, mtu := range slices.Sorted(maps.Keys(mtus[f])) {
			v := mtus[f][mtu]
			c := tb.talk(f, m.host, 53, model.UDP)
			tb.add(fmt.Sprintf("icmp ipv%d MTU %d, %s", f, mtu, m.name), in(c.open(), m.verdict),
				in(narrow(router(f), c.service.Addr(), mtu, packetOf(c.turned())), v))
		}
	}
	c := tb.talk(f, 10, 53, model.UDP)
	other := about(router(f), c.service.Addr(), map[family]uint8{4: 3, 6: 1}[f], map[family]uint8{4: 3, 6: 4}[f], 68, packetOf(c.turned()))
	tb.add(fmt.Sprintf("icmp ipv%d a low number that is no MTU", f), in(c.open(), dr), in(other, icmpIn))
}

// quotedChains: IPv6 extension headers in what is quoted.
func (tb *table) quotedChains() {
	for _, p := range protocols {
		c := tb.talk(6, 30, webPort(p), p)
		vip := c.service.Addr()
		quote := func(v verdict, headers ...packet.Layer) step {
			return in(unreachable(router(6), vip, packetOf(behind(c.turned(), headers...))), v)
		}
		steps := []step{in(c.open(), natIn)}
		for _, kind := range extensionKinds {
			steps = append(steps, quote(icmpIn, packet.Extension{Kind: kind, Body: []byte{9, 9}}))
		}
		options := packet.Extension{Kind: packet.ProtocolDstOptions}
		chain := slices.Repeat([]packet.Layer{options}, 9)
		later := packet.Fragment{ID: 9, Offset: 1}
		first := packet.Fragment{ID: 9, Flags: packet.MoreFragments}
		steps = append(steps, quote(icmpIn, chain[:8]...), quote(icmpNoConnection, chain...),
			quote(icmpIn, first), quote(icmpIn, packet.Fragment{ID: 9}), quote(icmpNoConnection, later),
			quote(icmpIn, options, first, options), quote(icmpIn, first, first))
		whole := packetOf(behind(c.turned(), options, options))
		for n := 40; n < 64; n++ {
			steps = append(steps, in(unreachable(router(6), vip, whole[:n]), icmpNoConnection))
		}
		lie := slices.Clone(whole)
		lie[41] = 200
		tb.add(fmt.Sprintf("icmp quote with a chain, %s", p), append(steps, in(unreachable(router(6), vip, lie), icmpNoConnection))...)
		tb.chainAround(c)
	}
}

// chainAround: extension headers around the error itself.
func (tb *table) chainAround(c talk) {
	failure := unreachable(router(6), c.service.Addr(), packetOf(c.turned()))
	options := packet.Extension{Kind: packet.ProtocolDstOptions, Body: make([]byte, 14)}
	tb.add(fmt.Sprintf("icmp with a chain, %s", c.protocol), in(behind(failure, options), icmpIn), in(behind(failure, packet.Fragment{ID: 5}), icmpIn),
		in(cut(failure, tb.newID(), 32)[0], icmp))
}
