// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// fragments: the first one decides, and the rest follow.
func (tb *table) fragments(f family) {
	for _, p := range protocols {
		for _, m := range methods {
			if m.forwarding == model.NAT && p == model.SCTP {
				continue // another port
			}
			tb.orders(f, p, m)
		}
		tb.overlaps(f, p)
		tb.badFragments(f, p)
		tb.answersInPieces(f, p)
		tb.fragmentsThatEnd(f, p)
	}
	tb.tinyFragments(f)
	tb.fragmentsOfOthers(f)
	tb.sctpFragments(f)
}

// hundred is what a cut packet carries: with the transport header more than 100 bytes.
var hundred = packet.Payload(bytes.Repeat([]byte("0123456789"), 10))

// inThree is the client's first packet, cut at 32 and 64.
func (tb *table) inThree(c talk) []packet.Layers {
	return cut(append(c.open(), hundred), tb.newID(), 32, 64)
}

// each makes a step of every frame, with one verdict.
func each(layers []packet.Layers, v verdict) []step {
	var out []step
	for _, l := range layers {
		out = append(out, in(l, v))
	}
	return out
}

func (tb *table) orders(f family, p model.Protocol, m method) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d %s %s: %s", f, p, m.name, s) }
	three := func() []packet.Layers { return tb.inThree(tb.talk(f, m.host, webPort(p), p)) }
	a := three()
	tb.add(name("in order, and the id again"), slices.Concat(each(a, m.verdict), each(a, m.verdict))...)
	b := three()
	tb.add(name("reversed"), in(b[2], fragmentHeld), in(b[1], fragmentHeld), in(b[0], m.verdict),
		in(b[2], m.verdict), in(b[1], m.verdict), in(b[1], fragmentHeld))
	c := three()
	tb.add(name("the last before the second"), in(c[0], m.verdict), in(c[2], m.verdict), in(c[1], m.verdict))
	d, e := three(), three()
	tb.add(name("of two packets by turns"), in(d[0], m.verdict), in(e[0], m.verdict), in(d[1], m.verdict),
		in(e[1], m.verdict), in(e[2], m.verdict), in(d[2], m.verdict))
	g := three()
	tb.add(name("tagged"), in(tagged(g[0]), m.verdict), in(tagged(g[1]), m.verdict), in(g[2], m.verdict))
	h := cut(append(tb.talk(f, m.host, webPort(p), p).open(), packet.Payload(make([]byte, 1480*2))), tb.newID(), 1400, 2800)
	v := map[bool]verdict{true: m.verdict, false: tooBig}[1400+overheadOf(f, m) <= roomOf(m)]
	first := v
	if v == tooBig {
		first = tooBigFor(f)
	}
	tb.add(name("as large as the link"), in(h[0], first), in(h[1], v), in(h[2], m.verdict))
}

// overheadOf is what a packet of this family has besides its fragment.
func overheadOf(f family, m method) int {
	header := map[family]int{4: 20, 6: 48}[f]
	if m.forwarding != model.TUN {
		return header
	}
	return header + m.tunnel.Overhead(serverAddr(m.outer, 1))
}

// roomOf is the MTU towards a method's servers.
func roomOf(m method) int {
	if m.onVLAN {
		return vlanMTU
	}
	return linkMTU
}

// overlaps: what was sent on once is not sent again with other bytes (RFC 5722).
func (tb *table) overlaps(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d %s: %s", f, p, s) }
	host := byte(10)
	whole := func() packet.Layers { return append(tb.talk(f, host, webPort(p), p).open(), hundred) }
	id := tb.newID()
	a := cut(whole(), id, 32, 64)
	tb.add(name("each twice"), in(a[0], dr), in(a[0], fragmentOverlap), in(a[1], dr), in(a[1], fragmentOverlap), in(a[2], dr))
	for _, row := range []struct {
		name       string
		begin, end int
		more       bool
		verdict    verdict
	}{
		{"half of what is there and half of what is not", 24, 48, true, fragmentOverlap},
		{"all that is there and more", 16, 72, true, fragmentOverlap},
		{"the last, with an end within", 32, 56, false, dr},
		{"the last, of one byte", 64, 65, false, dr},
	} {
		layers, id := whole(), tb.newID()
		frame := packet.Build(layers...)
		parsed, _ := packet.Parse(frame)
		headers := throughIP(parsed)
		body := frame[len(packet.Build(headers...)):]
		first := fragmentOf(headers, body[:32], id, 0, true)
		other := fragmentOf(headers, body[row.begin:row.end], id, row.begin, row.more)
		steps := []step{in(first, dr), in(other, row.verdict)}
		if row.verdict == fragmentOverlap { // poisoned
			steps = append(steps, in(cut(layers, id, 32, 64)[2], fragmentOverlap), in(first, fragmentOverlap))
		}
		tb.add(name("overlap: "+row.name), steps...)
	}
	tb.ends(f, p)
}

// ends: a packet has one.
func (tb *table) ends(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d %s: %s", f, p, s) }
	build := func() (packet.Layers, []byte, uint32) {
		frame := packet.Build(append(tb.talk(f, 10, webPort(p), p).open(), hundred)...)
		parsed, _ := packet.Parse(frame)
		headers := throughIP(parsed)
		return headers, frame[len(packet.Build(headers...)):], tb.newID()
	}
	headers, body, id := build()
	first := fragmentOf(headers, body[:32], id, 0, true)
	tb.add(name("two ends"), in(first, dr), in(fragmentOf(headers, body[64:80], id, 64, false), dr),
		in(fragmentOf(headers, body[80:], id, 80, false), fragmentOverlap), in(fragmentOf(headers, body[32:64], id, 32, true), fragmentOverlap))
	headers, body, id = build()
	first = fragmentOf(headers, body[:32], id, 0, true)
	tb.add(name("beyond the end"), in(first, dr), in(fragmentOf(headers, body[32:48], id, 32, false), dr))
	headers, body, id = build()
	first = fragmentOf(headers, body[:32], id, 0, true)
	tb.add(name("more behind the end"), in(first, dr), in(fragmentOf(headers, body[48:56], id, 48, false), dr),
		in(fragmentOf(headers, body[56:64], id, 56, true), fragmentOverlap), in(fragmentOf(headers, body[32:48], id, 32, true), fragmentOverlap))
	headers, body, id = build()
	first = fragmentOf(headers, body[:32], id, 0, true)
	tb.add(name("an end before what was sent"), in(first, dr), in(fragmentOf(headers, body[64:72], id, 64, true), dr),
		in(fragmentOf(headers, body[48:56], id, 48, false), dr), in(fragmentOf(headers, body[32:40], id, 32, true), dr),
		in(fragmentOf(headers, body[40:48], id, 40, true), fragmentHeld))
	headers, body, id = build()
	first = fragmentOf(headers, body[:32], id, 0, true)
	tb.add(name("the first alone says nothing of others"), in(first, dr),
		in(fragmentOf(headers, body[32:64], id+1000, 32, true), fragmentHeld))
	tb.largest(f, p)
}

// largest is a packet of 65535 bytes.
func (tb *table) largest(f family, p model.Protocol) {
	const piece = 1400
	c := tb.talk(f, 30, webPort(p), p)
	v := natIn
	if p == model.SCTP { // by NAT it would go to another port
		c, v = tb.talk(f, 10, webPort(p), p), dr
	}
	header := map[family]int{4: 20, 6: 0}[f] // IPv6 does not count its own
	layers := append(c.open(), packet.Payload(make([]byte, 65535-header-transportLength(p))))
	layers = with(layers, func(ip *packet.IPv6) { ip.Length = 0 })
	var at []int
	for n := piece; n < 65535-header; n += piece {
		at = append(at, n)
	}
	all := cut(layers, tb.newID(), at...)
	tb.add(fmt.Sprintf("fragments ipv%d %s: 65535 bytes", f, p), append(each(all, v), in(all[1], fragmentHeld))...)
}

// badFragments lie about what they are a part of.
func (tb *table) badFragments(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d %s: %s", f, p, s) }
	one := func(host byte, length, offset int, more bool) packet.Layers {
		c := tb.talk(f, host, webPort(p), p)
		headers := throughIP(must(packet.Parse(packet.Build(c.open()...))))
		return fragmentOf(headers, make([]byte, length), tb.newID(), offset, more)
	}
	for _, row := range []struct {
		name           string
		length, offset int
		more           bool
		verdict        verdict
	}{
		{"not a multiple of 8, and more to come", 63, 0, true, malformed},
		{"not a multiple of 8, and more to come, later", 63, 64, true, malformed},
		{"nothing", 0, 64, false, malformed},
		{"nothing, and more to come", 0, 0, true, malformed},
		{"ends beyond 65535", 64, 65472, false, malformed},
		{"ends at 65535, behind its header", 65535 - 65480, 65480, false, map[family]verdict{4: malformed, 6: fragmentHeld}[f]},
		{"at the very end", 7, 65480, false, fragmentHeld},
	} {
		tb.add(name(row.name), in(one(10, row.length, row.offset, row.more), row.verdict),
			in(one(200, row.length, row.offset, row.more), noService))
	}
}

func must(layers packet.Layers, err error) packet.Layers {
	if err != nil {
		panic(err)
	}
	return layers
}

// answersInPieces come back through NAT.
func (tb *table) answersInPieces(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d %s: answer %s", f, p, s) }
	c := tb.talk(f, anyHost, 4000, p)
	server := netip.AddrPortFrom(serverAddr(f, 50), 4000)
	three := func() []packet.Layers { return cut(append(c.answer(server, packet.ACK), hundred), tb.newID(), 32, 64) }
	a, b, d := three(), three(), three()
	tb.add(name("in order"), in(c.open(), natIn), fromBack(a[0], natOut), fromBack(a[1], natOut), fromBack(a[2], natOut))
	tb.add(name("reversed"), fromBack(b[2], fragmentHeld), fromBack(b[1], fragmentHeld), fromBack(b[0], natOut),
		fromBack(b[2], natOut), fromBack(b[1], natOut))
	tb.add(name("twice"), fromBack(d[0], natOut), fromBack(d[0], fragmentOverlap), fromBack(ttl(d[1], 1), ttlExceeded),
		fromBack(d[1], fragmentOverlap), fromBack(onBackVLAN(d[2]), natOut))
	stranger := tb.talk(f, oddHost, oddNAT, p)
	e := cut(append(stranger.answer(netip.AddrPortFrom(serverAddr(f, 200), 9), packet.ACK), hundred), tb.newID(), 32, 64)
	tb.add(name("of somebody else"), fromBack(e[1], noService), fromBack(e[0], noService), fromBack(e[2], noService))
}

// fragmentsThatEnd on the way, as other packets do; nobody is told of later ones.
func (tb *table) fragmentsThatEnd(f family, p model.Protocol) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d %s: %s", f, p, s) }
	a := tb.inThree(tb.talk(f, 10, webPort(p), p))
	tb.add(name("TTL of later ones"), in(a[0], dr), in(ttl(a[1], 1), ttlExceeded), in(a[1], fragmentOverlap), in(ttl(a[2], 2), dr))
	b := tb.inThree(tb.talk(f, 10, webPort(p), p))
	tb.add(name("TTL of the first"), in(ttl(b[0], 1), ttlTold), in(b[1], fragmentHeld), in(b[0], dr), in(b[1], dr), in(b[2], dr))
	if p == model.UDP {
		c := tb.inThree(tb.talk(f, oddHost, oddLocal, p))
		tb.add(name("local server"), in(c[2], fragmentHeld), in(c[0], local), in(c[1], local), in(c[2], local))
		return
	}
	if p == model.TCP {
		d := tb.inThree(tb.talk(f, oddHost, oddBackup, p))
		tb.add(name("not serving"), in(d[0], notServing), in(d[1], noService))
		e := tb.inThree(tb.talk(f, oddHost, oddUnresolved, p))
		tb.add(name("unresolved neighbour"), in(e[0], noNeighbour), in(e[1], noNeighbour), in(e[2], noNeighbour))
	}
	g := cut(append(tb.talk(f, 10, webPort(p), p).more(), hundred), tb.newID(), 32, 64)
	tb.add(name("of no connection"), in(g[0], unknownConnection), in(g[1], noService), in(g[2], noService))
}

// tinyFragments hide what they are (RFC 1858, RFC 3128, RFC 7112).
func (tb *table) tinyFragments(f family) {
	name := func(s string) string { return fmt.Sprintf("tiny fragments ipv%d: %s", f, s) }
	for _, row := range []struct {
		protocol model.Protocol
		at       int
		verdict  verdict
	}{
		{model.TCP, 8, fragmentTiny}, {model.TCP, 16, fragmentTiny}, {model.TCP, 24, dr},
		{model.UDP, 8, dr}, {model.SCTP, 8, fragmentTiny}, {model.SCTP, 16, dr},
	} {
		layers := append(tb.talk(f, 10, webPort(row.protocol), row.protocol).open(), hundred)
		parts := cut(layers, tb.newID(), row.at)
		v := row.verdict
		if v == fragmentTiny && row.at != 8 || row.protocol == model.SCTP && row.at == 8 {
			v = fragmentHeld
		}
		tb.add(name(fmt.Sprintf("%s cut at %d", row.protocol, row.at)), in(parts[0], row.verdict), in(parts[1], v))
	}
	options := func() packet.Layers {
		open := with(tb.talk(f, 10, 80, model.TCP).open(), func(t *packet.TCP) { t.Options = make([]byte, 40) })
		return append(open, hundred)
	}
	tb.add(name("tcp options cut off"), in(cut(options(), tb.newID(), 56)[0], fragmentTiny), in(cut(options(), tb.newID(), 64)[0], dr))
	short := with(append(tb.talk(f, 10, 80, model.TCP).open(), hundred), func(t *packet.TCP) { t.DataOffset = 4 })
	tb.add(name("tcp header that is too short to be one"), in(cut(short, tb.newID(), 32)[0], fragmentTiny))
	small := with(append(tb.talk(f, 10, 53, model.UDP).open(), hundred), func(u *packet.UDP) { u.Length = 7 })
	tb.add(name("udp length 7"), in(cut(small, tb.newID(), 32)[0], malformed))
	long := with(append(tb.talk(f, 10, 53, model.UDP).open(), hundred), func(u *packet.UDP) { u.Length = 65535 })
	tb.add(name("udp length beyond everything"), in(cut(long, tb.newID(), 32)[0], dr))
}

// fragmentsOfOthers are none of the path's business.
func (tb *table) fragmentsOfOthers(f family) {
	name := func(s string) string { return fmt.Sprintf("fragments ipv%d: %s", f, s) }
	a := cut(append(talkTo(f, 200, 53, model.UDP, 9).open(), hundred), tb.newID(), 32, 64)
	tb.add(name("for no service"), in(a[1], noService), in(a[0], noService), in(a[2], noService))
	b := cut(append(tb.talk(f, 10, 4444, model.UDP).open(), hundred), tb.newID(), 32, 64)
	tb.add(name("for no port of a service"), in(b[2], fragmentHeld), in(b[0], noService), in(b[1], noService), in(b[2], noService))
	echo := about(clientAddr(f), vip(f, 10), map[family]uint8{4: 8, 6: 128}[f], 0, 7, hundred)
	c := cut(echo, tb.newID(), 32, 64)
	tb.add(name("of a ping"), in(c[0], icmp), in(c[1], icmp), in(c[2], icmp))
	failure := unreachable(clientAddr(f), vip(f, 10), packetOf(append(tb.talk(f, 10, 53, model.UDP).turned(), hundred)))
	d := cut(failure, tb.newID(), 64)
	tb.add(name("of an error of ICMP"), in(d[0], icmp), in(d[1], icmp))
	esp := with(tb.talk(f, 10, 53, model.UDP).open(), func(ip *packet.IPv4) { ip.Protocol = packet.ProtocolESP })
	esp = with(esp, func(ip *packet.IPv6) { ip.Next = packet.ProtocolESP })
	e := cut(append(esp, hundred), tb.newID(), 32, 64)
	tb.add(name("of ESP"), in(e[0], noService), in(e[1], noService))
}

// sctpFragments: by NAT to another port the checksum would change by what is not there.
func (tb *table) sctpFragments(f family) {
	c := tb.talk(f, oddHost, oddNAT, model.SCTP)
	server := netip.AddrPortFrom(serverAddr(f, 70), 8080)
	a := tb.inThree(c)
	b := cut(append(c.answer(server, packet.ACK), hundred), tb.newID(), 32, 64)
	tb.add(fmt.Sprintf("fragments ipv%d sctp to another port by NAT", f),
		in(a[0], fragmentSCTP), in(a[0], fragmentOverlap), in(a[1], natIn), in(c.more(), natIn),
		fromBack(b[0], fragmentSCTP), fromBack(b[1], natOut), fromBack(c.answer(server, packet.ACK), natOut))
	d, e := tb.inThree(c), cut(append(c.answer(server, packet.ACK), hundred), tb.newID(), 32, 64)
	tb.add(fmt.Sprintf("fragments ipv%d sctp to another port by NAT, on the last hop", f),
		in(ttl(d[0], 1), ttlTold), fromBack(ttl(e[0], 1), ttlTold))
	same := tb.talk(f, anyHost, 4000, model.SCTP)
	tb.add(fmt.Sprintf("fragments ipv%d sctp to the same port by NAT", f), each(tb.inThree(same), natIn)...)
}

// TestFragmentStateIsBounded: ten thousand packets begin and never end; others go on all the same.
func TestFragmentStateIsBounded(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, small(model.NAT))
	c := talkTo(4, 10, 80, model.UDP, 20000)
	whole := append(c.open(), hundred)
	for id := range uint32(10000) {
		b.send(t, packet.Build(cut(whole, id, 32, 64)[0]...))
	}
	n, err := b.path.Fragments()
	if err != nil || n > 1024 || n < 512 {
		t.Errorf("%d packets under way, %v; want at most 1024, and most of them", n, err)
	}
	b.counted(t)
	for _, part := range cut(whole, 0xffff, 32, 64) {
		if got := b.verdictOf(t, part); got != natIn {
			t.Errorf("the next packet's fragment ends as %s", got)
		}
	}
	if got := b.verdictOf(t, c.more()); got != natIn {
		t.Errorf("a whole packet ends as %s", got)
	}
}
