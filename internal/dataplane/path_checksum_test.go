// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// sums: a packet with a wrong checksum begins no connection, where that can be seen; and what is
// wrong is wrong still when it is sent on, so that the server can drop it.
func (tb *table) sums() {
	for _, m := range methods {
		for _, p := range protocols {
			c, d := tb.talk(4, m.host, webPort(p), p), tb.talk(4, m.host, webPort(p), p)
			tb.add(fmt.Sprintf("wrong ipv4 checksum, %s %s", m.name, p), in(wrongIPv4(c.open()), badChecksum),
				in(d.open(), m.verdict), in(wrongIPv4(d.more()), m.verdict))
		}
		for _, f := range []family{4, 6} {
			tb.wrongTransports(f, m)
		}
	}
	c := tb.talk(4, 10, 80, model.TCP)
	options := with(c.open(), func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0} })
	tb.add("wrong ipv4 checksum with options", in(wrongIPv4(options), badChecksum), in(options, dr))
	tb.add("a wrong checksum is looked at late", in(wrongIPv4(tb.talk(4, 10, 80, model.TCP).ask(packet.ACK)), hashedUnknown),
		in(wrongIPv4(talkTo(4, 200, 80, model.TCP, 9).open()), noService), in(wrongIPv4(tb.talk(4, oddHost, oddBackup, model.TCP).open()), notServing),
		in(wrongIPv4(tb.talk(4, oddHost, oddEmpty, model.TCP).open()), badChecksum), in(ttl(wrongIPv4(tb.talk(4, 10, 80, model.TCP).open()), 1), badChecksum))
}

func wrongIPv4(layers packet.Layers) packet.Layers {
	return with(layers, func(ip *packet.IPv4) { ip.Checksum = 0xbad })
}

func wrongTransport(layers packet.Layers) packet.Layers {
	layers = with(layers, func(t *packet.TCP) { t.Checksum = 0xbad })
	layers = with(layers, func(u *packet.UDP) { u.Checksum = 0xbad })
	return with(layers, func(s *packet.SCTP) { s.Checksum = 0xbad })
}

func (tb *table) wrongTransports(f family, m method) {
	name := func(p model.Protocol, s string) string {
		return fmt.Sprintf("wrong %s checksum ipv%d, %s%s", p, f, m.name, s)
	}
	c, d := tb.talk(f, m.host, 80, model.TCP), tb.talk(f, m.host, 80, model.TCP)
	odd := append(wrongTransport(d.open()), packet.Payload("odd"))
	tb.add(name(model.TCP, ""), in(wrongTransport(c.open()), badChecksum), in(odd, badChecksum), in(d.open(), m.verdict),
		in(wrongTransport(d.more()), m.verdict), in(wrongTransport(d.open()), m.verdict))
	padded := append(tb.talk(f, m.host, 80, model.TCP).open(), packet.Trailer("not in the checksum"))
	tb.add(name(model.TCP, ", padding"), in(padded, m.verdict), in(append(wrongTransport(c.open()), packet.Trailer("x")), badChecksum))
	piece := cut(append(wrongTransport(tb.talk(f, m.host, 80, model.TCP).open()), hundred), tb.newID(), 32)
	tb.add(name(model.TCP, ", of a fragment cannot be seen"), in(piece[0], m.verdict), in(piece[1], m.verdict))
	u, s := tb.talk(f, m.host, 53, model.UDP), tb.talk(f, m.host, 3868, model.SCTP)
	tb.add(name(model.UDP, ""), in(wrongTransport(u.open()), m.verdict), in(wrongTransport(u.more()), m.verdict))
	tb.add(name(model.SCTP, ""), in(wrongTransport(s.open()), m.verdict), in(wrongTransport(s.more()), m.verdict))
}
