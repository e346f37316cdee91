// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// extensionKinds are the extension headers that are walked, but for the fragment header.
var extensionKinds = []packet.Protocol{0, 43, 51, 60, 135, 139, 140}

// behind puts extension headers between IP and transport.
func behind(layers packet.Layers, headers ...packet.Layer) packet.Layers {
	return insert(layers, 2, headers...)
}

// chains of IPv6 extension headers are walked, and sent on as they are.
func (tb *table) chains() {
	for _, p := range protocols {
		for _, m := range methods {
			c := tb.talk(6, m.host, webPort(p), p)
			options := packet.Extension{Kind: packet.ProtocolDstOptions, Body: []byte{1, 4, 0, 0, 0, 0}}
			authentic := packet.Extension{Kind: packet.ProtocolAH, Body: make([]byte, 14)} // 16 bytes
			tb.add(fmt.Sprintf("ipv6 chain, %s %s", m.name, p), in(behind(c.open(), options), m.verdict),
				in(behind(c.more(), options, authentic), m.verdict), in(tagged(behind(c.more(), authentic)), m.verdict),
				in(c.more(), m.verdict), in(ttl(behind(c.more(), options), 1), ttlTold))
		}
		for _, kind := range extensionKinds {
			for _, n := range []int{0, 7, 8, 22, 30, 60, 254} {
				header := packet.Extension{Kind: kind, Body: make([]byte, n)}
				tb.add(fmt.Sprintf("ipv6 extension header %d of %d bytes, %s", kind, n, p),
					in(behind(tb.talk(6, 30, webPort(p), p).open(), header), natIn),
					in(behind(talkTo(6, 200, webPort(p), p, 9).open(), header), noService))
			}
		}
		tb.chainLengths(p)
		tb.atomic(p)
	}
}

// chainLengths: 8 headers are walked, and no more.
func (tb *table) chainLengths(p model.Protocol) {
	for _, n := range []int{1, 2, 7, 8, 9, 10, 16, 64} {
		v := natIn
		if n > 8 {
			v = extensionHeaders
		}
		var chain []packet.Layer
		for i := range n {
			chain = append(chain, packet.Extension{Kind: extensionKinds[i%len(extensionKinds)], Body: []byte{0, 0}})
		}
		tb.add(fmt.Sprintf("ipv6 chain of %d, %s", n, p), in(behind(tb.talk(6, 30, webPort(p), p).open(), chain...), v),
			in(behind(talkTo(6, 200, webPort(p), p, 9).open(), chain...), noService))
	}
	eight := slices.Repeat([]packet.Layer{packet.Extension{Kind: packet.ProtocolDstOptions}}, 8)
	seven := eight[:7]
	c := tb.talk(6, 10, webPort(p), p)
	atomic := packet.Fragment{ID: tb.newID()}
	tb.add(fmt.Sprintf("ipv6 chain of 8 and a fragment header, %s", p),
		in(behind(c.open(), append([]packet.Layer{atomic}, seven...)...), dr),
		in(behind(c.open(), append([]packet.Layer{atomic}, eight...)...), extensionHeaders),
		in(behind(c.open(), append(slices.Clone(eight), atomic)...), extensionHeaders))
}

// atomic fragments are whole packets (RFC 6946).
func (tb *table) atomic(p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("ipv6 atomic fragment, %s: %s", p, s) }
	for _, m := range methods {
		c := tb.talk(6, m.host, webPort(p), p)
		one := packet.Fragment{ID: tb.newID()}
		odd := packet.Fragment{ID: tb.newID(), Reserved: 0xff, Flags: 6}
		tb.add(name(m.name), in(behind(c.open(), one), m.verdict), in(behind(c.open(), one), m.verdict), in(behind(c.more(), odd), m.verdict))
	}
	two := []packet.Layer{packet.Fragment{ID: 1}, packet.Fragment{ID: 2}}
	tb.add(name("twice"), in(behind(tb.talk(6, 10, webPort(p), p).open(), two...), malformed))
	first := []packet.Layer{packet.Fragment{ID: 1}, packet.Fragment{ID: tb.newID(), Flags: packet.MoreFragments}}
	tb.add(name("and a first fragment"), in(append(behind(tb.talk(6, 10, webPort(p), p).open(), first...), packet.Payload(make([]byte, 40))), malformed))
}

// brokenChains lie, or hide something.
func (tb *table) brokenChains() {
	open := func() packet.Layers { return tb.talk(6, 10, 80, model.TCP).open() }
	for _, kind := range append(extensionKinds, packet.ProtocolFragment) {
		for _, n := range []int{0, 1, 7} {
			cutOff := append(open()[:2], packet.Payload(make([]byte, n)))
			cutOff = with(cutOff, func(ip *packet.IPv6) { ip.Next = kind })
			tb.add(fmt.Sprintf("ipv6 extension header %d, %d bytes of it", kind, n), in(cutOff, malformed))
		}
	}
	for _, kind := range extensionKinds {
		beyond := append(open()[:2], packet.Payload{6, 9, 0, 0, 0, 0, 0, 0, 0, 0})
		beyond = with(beyond, func(ip *packet.IPv6) { ip.Next = kind })
		elsewhere := with(beyond, func(ip *packet.IPv6) { ip.Destination = vip(6, 200) })
		tb.add(fmt.Sprintf("ipv6 extension header %d, beyond the end", kind), in(beyond, malformed), in(elsewhere, noService))
	}
	tb.routing()
	tb.chainsInFragments()
	none := behind(open()[:2], packet.Extension{Kind: packet.ProtocolDstOptions, Next: packet.ProtocolNoNext})
	esp := behind(open()[:2], packet.Extension{Kind: packet.ProtocolDstOptions, Next: packet.ProtocolESP})
	tb.add("ipv6 chain with nothing behind it", in(none, noService), in(append(esp, packet.Payload("secret")), noService))
	short := behind(open()[:2], packet.Extension{Kind: packet.ProtocolDstOptions, Next: packet.ProtocolTCP})
	tb.add("ipv6 chain, and TCP cut short", in(append(short, packet.Payload(make([]byte, 19))), malformed))
	ping := packet.Layers{
		packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}, packet.IPv6{Source: clientAddr(6), Destination: vip(6, 10), HopLimit: 64},
		packet.Extension{Kind: packet.ProtocolDstOptions}, packet.ICMPv6{Type: packet.ICMPv6EchoRequest}, packet.Payload("echo"),
	}
	tb.add("ipv6 chain, and a ping", in(ping, icmp), in(insert(ping, 3, packet.Fragment{ID: 1}), icmp))
}

// routing headers that are not done would take the packet elsewhere (RFC 5095).
func (tb *table) routing() {
	for _, left := range []byte{0, 1, 255} {
		for _, kind := range []byte{0, 2, 4} {
			v := dr
			if left != 0 {
				v = sourceRoute
			}
			header := packet.Extension{Kind: packet.ProtocolRouting, Body: append([]byte{kind, left}, bytes.Repeat([]byte{0}, 20)...)}
			tb.add(fmt.Sprintf("ipv6 routing header of type %d, %d segments left", kind, left),
				in(behind(tb.talk(6, 10, 80, model.TCP).open(), header), v),
				in(behind(talkTo(6, 200, 80, model.TCP, 9).open(), header), noService))
		}
	}
	lie := packet.Layers{packet.Payload{6, 9, 0, 1, 0, 0, 0, 0}}
	frame := with(append(tb.talk(6, 10, 80, model.TCP).open()[:2], lie...), func(ip *packet.IPv6) { ip.Next = packet.ProtocolRouting })
	tb.add("ipv6 routing header that lies", in(frame, malformed))
}

// chainsInFragments: the first fragment must have all of the chain (RFC 7112).
func (tb *table) chainsInFragments() {
	options := packet.Extension{Kind: packet.ProtocolDstOptions, Body: make([]byte, 14)} // 16 bytes
	whole := func(host byte) packet.Layers { return append(tb.talk(6, host, 53, model.UDP).open(), hundred) }
	for _, row := range []struct {
		name    string
		at      int // where the packet is cut, behind the headers that are in each fragment
		verdict verdict
	}{
		{"within the chain", 8, fragmentTiny}, {"behind the chain", 16, fragmentTiny}, {"behind the transport header", 24, dr},
	} {
		parts := cut(behind(whole(10), options), tb.newID(), row.at, 64)
		later := map[verdict]verdict{fragmentTiny: fragmentHeld, dr: dr}[row.verdict]
		tb.add("ipv6 chain in fragments, cut "+row.name, in(parts[0], row.verdict), in(parts[1], later), in(parts[2], later))
	}
	// A header in front of the fragment header is in every fragment.
	before := packet.Extension{Kind: packet.ProtocolHopByHop}
	var steps []step
	for i, part := range cut(whole(30), tb.newID(), 32, 64) {
		part = with(part, func(ip *packet.IPv6) { ip.Next = packet.ProtocolHopByHop })
		steps = append(steps, in(behind(part, before), natIn))
		if i == 1 {
			steps = append(steps, in(tagged(behind(part, before)), fragmentOverlap))
		}
	}
	tb.add("ipv6 chain in front of the fragment header", steps...)
	many := slices.Repeat([]packet.Layer{packet.Extension{Kind: packet.ProtocolDstOptions}}, 8)
	parts := cut(behind(whole(10), many...), tb.newID(), 96)
	tb.add("ipv6 chain of 9 in a first fragment", in(parts[0], extensionHeaders), in(parts[1], fragmentHeld))
	second := cut(behind(whole(10), packet.Fragment{ID: 7}), tb.newID(), 96)
	tb.add("ipv6 fragment of a fragment", in(second[0], malformed))
}
