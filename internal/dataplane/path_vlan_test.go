// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// vlans: a frame has the tag of where it goes, and the priority that it came with.
func (tb *table) vlans(f family) {
	tb.tags(f)
	for _, p := range protocols {
		for _, m := range methods {
			if m.onVLAN {
				tb.toVLAN(f, p, m)
			}
		}
		tb.answersAcrossVLANs(f, p)
	}
}

// tags that are not ours, and other frames that only look like those of a service.
func (tb *table) tags(f family) {
	name := func(s string) string { return fmt.Sprintf("ipv%d tags: %s", f, s) }
	open := func() packet.Layers { return tb.talk(f, 10, 80, model.TCP).open() }
	provider := func(id uint16) packet.Layers {
		return with(taggedAs(open(), id), func(e *packet.Ethernet) { e.Type = packet.EtherTypeQinQ })
	}
	tb.add(name("of no VLAN of ours"), in(taggedAs(open(), 43), otherVLAN), in(taggedAs(open(), 4095), otherVLAN),
		in(taggedAs(open(), 1), otherVLAN), in(toMAC(taggedAs(open(), 43), gatewayMAC), otherVLAN))
	tb.add(name("of a VLAN on another link"), in(taggedAs(open(), backVLAN), otherVLAN), fromBack(toMAC(tagged(open()), backMAC), otherVLAN))
	tb.add(name("of a provider"), in(provider(frontVLAN), otherVLAN), in(provider(0), otherVLAN))
	tb.add(name("for another host"), in(toMAC(tagged(open()), gatewayMAC), otherHost), in(toMAC(tagged(open()), backVLANMAC), otherHost))
	tb.add(name("with the MAC of the parent"), fromBack(toMAC(taggedAs(open(), backVLAN), backMAC), otherHost))
	tb.add(name("on a link that is not weir's"), step{foreign, tagged(open()), otherHost}, step{foreign, taggedAs(open(), 0), otherHost})
	tb.add(name("two"), in(tagged(tagged(open())), notIP), in(taggedAs(tagged(open()), 0), notIP), in(insert(provider(frontVLAN), 2, packet.VLAN{ID: 1}), notIP))
	tb.add(name("priority"), in(taggedAs(open(), 0), dr), in(insert(open(), 1, packet.VLAN{Priority: 7, DropEligible: true}), dr))
	arp := packet.Layers{packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}, packet.ARP{Operation: packet.ARPRequest}}
	tb.add(name("around ARP"), in(arp, notIP), in(tagged(arp), notIP))
	elsewhere := talkTo(f, 200, 80, model.TCP, 9).open()
	tb.add(name("for no service"), in(tagged(elsewhere), noService), in(taggedAs(elsewhere, 0), noService), in(taggedAs(elsewhere, 43), otherVLAN))
}

func (tb *table) toVLAN(f family, p model.Protocol, m method) {
	for i := range 3 { // one for each server
		c := tb.talk(f, m.host, webPort(p), p)
		tb.add(fmt.Sprintf("%s ipv%d %s, client %d, tagged and not", m.name, f, p, i),
			in(c.open(), m.verdict), in(tagged(c.more()), m.verdict), in(taggedAs(c.more(), 0), m.verdict),
			in(append(tagged(c.more()), packet.Trailer("padding")), m.verdict))
	}
	wide := func(n int) packet.Layers {
		return append(tb.talk(f, m.host, webPort(p), p).open(), packet.Payload(make([]byte, n)))
	}
	tb.add(fmt.Sprintf("%s ipv%d %s, fits the link but not the VLAN", m.name, f, p),
		in(wide(1400), tooBigFor(f)), in(tagged(uncut(wide(1400))), tooBigTold))
}

func (tb *table) answersAcrossVLANs(f family, p model.Protocol) {
	name := fmt.Sprintf("answer ipv%d %s across VLANs", f, p)
	c := tb.talk(f, anyHost, 4000, p)
	server := netip.AddrPortFrom(serverAddr(f, 50), 4000)
	answer := c.answer(server, packet.ACK)
	wide := append(answer, packet.Payload(make([]byte, 1370)))
	tb.add(name, in(tagged(c.open()), natIn), fromBack(answer, natOut), fromBack(onBackVLAN(answer), natOut),
		fromBack(wide, tooBigFor(f)), fromBack(uncut(onBackVLAN(wide)), tooBigTold), fromBack(ttl(onBackVLAN(answer), 1), ttlTold),
		in(taggedAs(c.more(), 0), natIn), fromBack(onBackVLAN(answer), natOut), fromBack(wide, natOut))
}
