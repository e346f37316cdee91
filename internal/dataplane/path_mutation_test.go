// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// good is a packet that is sent on, after others that make it so.
type good struct {
	name    string
	before  []step
	ifindex int
	layers  packet.Layers
}

// goodPackets are one of each shape: every header that the path knows, in every place.
func goodPackets() []good {
	tb := table{port: 20000}
	var out []good
	add := func(name string, layers packet.Layers, before ...step) {
		out = append(out, good{name, before, front, layers})
	}
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				add(fmt.Sprintf("%s ipv%d %s", m.name, f, p), append(tb.talk(f, m.host, webPort(p), p).open(), packet.Payload("hello")))
			}
			tb.goodShapes(f, p, add)
			out = append(out, tb.goodAnswers(f, p)...)
		}
	}
	return out
}

// goodShapes are shapes of frames, to a NAT service where there is most to get wrong.
func (tb *table) goodShapes(f family, p model.Protocol, add func(string, packet.Layers, ...step)) {
	name := func(s string) string { return fmt.Sprintf("%s ipv%d %s", s, f, p) }
	c := tb.talk(f, anyHost, 4000, p)
	open := in(c.open(), natIn)
	add(name("tagged"), tagged(c.more()), open)
	add(name("priority"), taggedAs(c.more(), 0), open)
	for i, part := range tb.inThree(c) {
		add(name(fmt.Sprintf("fragment %d", i)), part, open)
	}
	quoted := packetOf(c.turned())
	add(name("unreachable"), unreachable(router(f), c.service.Addr(), quoted), open)
	add(name("too big"), narrow(router(f), c.service.Addr(), 1400, quoted), open)
	if f == 4 {
		add(name("options"), with(c.more(), func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 1, 68, 4, 5, 0} }), open)
		options := with(c.turned(), func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 1} })
		add(name("options in a quote"), unreachable(router(f), c.service.Addr(), packetOf(options)), open)
	} else {
		chain := []packet.Layer{
			packet.Extension{Kind: packet.ProtocolHopByHop}, packet.Extension{Kind: packet.ProtocolRouting, Body: []byte{0, 0}},
			packet.Extension{Kind: packet.ProtocolAH, Body: make([]byte, 14)}, packet.Fragment{ID: tb.newID()},
			packet.Extension{Kind: packet.ProtocolDstOptions, Body: make([]byte, 14)},
		}
		add(name("chain"), behind(c.more(), chain...), open)
		add(name("chain in a quote"), unreachable(router(f), c.service.Addr(), packetOf(behind(c.turned(), chain...))), open)
	}
	if p == model.TCP {
		d := tb.talk(f, mssHost, mssNAT, p)
		add(name("mss"), with(d.open(), func(t *packet.TCP) { t.Options = mssOptions["as Linux has it"] }))
	}
	wide := tb.talk(f, oddHost, oddNarrowGUE, model.TCP)
	add(name("too wide"), append(uncut(wide.open()), packet.Payload(make([]byte, 300))))
	add(name("on the last hop"), ttl(tb.talk(f, 30, webPort(p), p).open(), 1))
}

// goodAnswers come from a server.
func (tb *table) goodAnswers(f family, p model.Protocol) []good {
	c := tb.talk(f, anyHost, 4000, p)
	server := netip.AddrPortFrom(serverAddr(f, 50), 4000)
	sent := c
	sent.service = server
	open := []step{in(c.open(), natIn)}
	failure := toMAC(unreachable(router(f), c.client.Addr(), packetOf(sent.more())), backMAC)
	parts := cut(append(c.answer(server, packet.ACK), hundred), tb.newID(), 32)
	name := func(s string) string { return fmt.Sprintf("%s ipv%d %s", s, f, p) }
	return []good{
		{name("answer"), open, back, c.answer(server, packet.SYN|packet.ACK)},
		{name("tagged answer"), open, back, onBackVLAN(c.answer(server, packet.ACK))},
		{name("error to the client"), open, back, failure},
		{name("first fragment of an answer"), open, back, parts[0]},
		{name("last fragment of an answer"), append(open, fromBack(parts[0], natOut)), back, parts[1]},
	}
}

// eachGood calls test for every good packet, with a bed that has seen what comes before it.
func eachGood(t *testing.T, test func(*testing.T, *testbed, good)) {
	b := newTestbed(t, 65536)
	b.apply(t, world())
	for _, g := range goodPackets() {
		t.Run(g.name, func(t *testing.T) {
			b.forgetFragments(t)
			for _, s := range g.before {
				expect(t, b, s.ifindex, s.layers, s.verdict)
			}
			test(t, b, g)
		})
	}
	b.compareCounters(t)
	b.compareConnections(t)
}

// TestTruncatedFramesAreNotForwarded: no part of a good frame is one, but for its padding.
func TestTruncatedFramesAreNotForwarded(t *testing.T) {
	t.Parallel()
	eachGood(t, func(t *testing.T, b *testbed, g good) {
		whole := packet.Build(g.layers...)
		for n := leastFrame; n < len(whole); n++ {
			if got := b.frame(t, g.ifindex, whole[:n]); got.egress != 0 {
				t.Errorf("%d of %d bytes were sent on: %s", n, len(whole), text(whole[:n]))
			}
		}
		b.frame(t, g.ifindex, whole)
	})
}

// TestShortenedPacketsAreNotMisread: the frame is whole, and the IP header says that there is less.
func TestShortenedPacketsAreNotMisread(t *testing.T) {
	t.Parallel()
	eachGood(t, func(t *testing.T, b *testbed, g good) {
		whole := packet.Build(g.layers...)
		network := networkAt(whole)
		for n := range len(whole) - network + 2 {
			frame := slices.Clone(whole)
			if frame[network]>>4 == 4 {
				binary.BigEndian.PutUint16(frame[network+2:], uint16(n))
				mendIPv4(frame[network:])
			} else {
				binary.BigEndian.PutUint16(frame[network+4:], uint16(n))
			}
			b.frame(t, g.ifindex, frame)
		}
	})
}

// TestEveryFieldMayBeWrong: every field of every header has other values, one at a time.
func TestEveryFieldMayBeWrong(t *testing.T) {
	t.Parallel()
	eachGood(t, func(t *testing.T, b *testbed, g good) {
		whole := packet.Build(g.layers...)
		for _, f := range fieldsOf(whole) {
			b.keepHops(t)
			for _, value := range f.values(whole) {
				b.forgetFragments(t)
				frame := slices.Clone(whole)
				f.put(frame, value)
				b.frame(t, g.ifindex, frame)
				network := networkAt(frame)
				if f.at >= network && f.at < network+20 && frame[network]>>4 == 4 { // past the checksum too
					mendIPv4(frame[network:])
					b.frame(t, g.ifindex, frame)
				}
				if t.Failed() {
					t.Fatalf("%d bits at %d are %#x", f.bits, f.at*8+f.shift, value)
				}
			}
		}
	})
}

// networkAt is where the IP header begins.
func networkAt(frame []byte) int { return len(frame) - len(networkOf(frame)) }

// mendIPv4 makes the header's checksum right, if it has one.
func mendIPv4(b []byte) {
	header := min(int(b[0]&0xf)*4, len(b))
	if header < 20 {
		return
	}
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], packet.Checksum(b[:header]))
}

// field is some bits of a header, in network order.
type field struct {
	at    int // the byte in which it begins
	shift int // bits of that byte before it
	bits  int
}

func (f field) get(frame []byte) uint32 {
	word := binary.BigEndian.Uint64(padTo(frame[f.at:], 8))
	return uint32(word << f.shift >> (64 - f.bits))
}

func (f field) put(frame []byte, value uint32) {
	word := binary.BigEndian.Uint64(padTo(frame[f.at:], 8))
	mask := (uint64(1)<<f.bits - 1) << (64 - f.bits - f.shift)
	word = word&^mask | uint64(value)<<(64-f.bits-f.shift)&mask
	copy(frame[f.at:], binary.BigEndian.AppendUint64(nil, word))
}

func padTo(b []byte, n int) []byte { return append(slices.Clone(b), make([]byte, max(0, n-len(b)))...) }

// values are what a field is changed to.
func (f field) values(frame []byte) []uint32 {
	now, most := f.get(frame), uint32(uint64(1)<<f.bits-1)
	values := []uint32{0, 1, 2, 3, 4, 6, 8, 17, 44, 58, now + 1, now - 1, now ^ 1<<(f.bits-1), ^now, most - 1, most}
	for i, v := range values {
		values[i] = v & most
	}
	slices.Sort(values)
	values = slices.Compact(values)
	return slices.DeleteFunc(values, func(v uint32) bool { return v == now })
}

// Fields of headers, as their lengths in bits.
var (
	ethernetFields  = []int{32, 16, 32, 16, 16}
	tagFields       = []int{3, 1, 12, 16}
	ipv4Fields      = []int{4, 4, 6, 2, 16, 16, 1, 1, 1, 13, 8, 8, 16, 32, 32}
	ipv6Fields      = []int{4, 8, 20, 16, 8, 8, 32, 32, 32, 32, 32, 32, 32, 32}
	extensionFields = []int{8, 8, 8, 8, 32}
	fragmentFields  = []int{8, 8, 13, 2, 1, 32}
	tcpFields       = []int{16, 16, 32, 32, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1, 16, 16, 16}
	udpFields       = []int{16, 16, 16, 16}
	sctpFields      = []int{16, 16, 32, 32, 8, 8, 16}
	icmpFields      = []int{8, 8, 16, 16, 16}
	byteField       = []int{8}
)

// fieldsOf are those of all headers in a good frame.
func fieldsOf(frame []byte) []field {
	out := fieldsAt(0, ethernetFields)
	if networkAt(frame) == 18 {
		out = append(out, fieldsAt(14, tagFields)...)
	}
	return append(out, networkFields(frame, networkAt(frame))...)
}

func fieldsAt(at int, bits []int) []field {
	var out []field
	n := 0
	for _, width := range bits {
		out = append(out, field{at + n/8, n % 8, width})
		n += width
	}
	return out
}

// networkFields are those of an IP packet and of what is in it.
func networkFields(frame []byte, at int) []field {
	b := frame[at:]
	if b[0]>>4 == 4 {
		header := int(b[0]&0xf) * 4
		out := fieldsAt(at, ipv4Fields)
		for n := 20; n < header; n++ {
			out = append(out, fieldsAt(at+n, byteField)...)
		}
		if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return out
		}
		return append(out, transportFields(frame, at+header, b[9])...)
	}
	return append(fieldsAt(at, ipv6Fields), extensionFieldsOf(frame, at+40, b[6])...)
}

func extensionFieldsOf(frame []byte, at int, next byte) []field {
	var out []field
	for isExtension(next) {
		kind := next
		size, _ := extensionSize(kind, frame[at:])
		next = frame[at]
		if kind != 44 {
			out = append(out, fieldsAt(at, extensionFields)...)
			at += size
			continue
		}
		out = append(out, fieldsAt(at, fragmentFields)...)
		if binary.BigEndian.Uint16(frame[at+2:])&0xfff8 != 0 {
			return out
		}
		at += size
	}
	return append(out, transportFields(frame, at, next)...)
}

func transportFields(frame []byte, at int, protocol byte) []field {
	switch protocol {
	case 6:
		out := fieldsAt(at, tcpFields)
		for n := at + 20; n < min(at+int(frame[at+12]>>4)*4, len(frame)); n++ {
			out = append(out, fieldsAt(n, byteField)...)
		}
		return out
	case 17:
		return fieldsAt(at, udpFields)
	case 132:
		return fieldsAt(at, sctpFields)
	case 1, 58:
		return append(fieldsAt(at, icmpFields), networkFields(frame, at+8)...)
	}
	return nil
}
