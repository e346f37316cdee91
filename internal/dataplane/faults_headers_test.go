// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of faults 52, 53 and 54.
const (
	brokenEntries = "entries"    // connections that a broken packet began, changed or ended
	brokenSent    = "sent"       // broken packets that were sent on
	wrongLengths  = "lengths"    // whole packets that left longer or shorter than they must
	asDocumented  = "documented" // frames that took the exit that docs/verdicts.md names
	misread       = "misread"    // frames with tags of others that were sent on
	rightTags     = "tags"       // frames that left with the tag of their way, and the priority that they came with
)

// brokenHeaders: packets that are cut off, and headers that contradict each other.
func brokenHeaders() faults.Fault {
	return faults.Fault{
		Number: 52,
		Parts:  []faults.Part{none(brokenEntries, "connections"), none(brokenSent, "packets"), none(wrongLengths, "packets")},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			few := size.Of(5, 1) // of so many good packets one
			return inTrial(t, func(tr *trial) map[string]float64 {
				sent, changed := tr.brokenFrames(few)
				return map[string]float64{brokenEntries: changed, brokenSent: sent, wrongLengths: tr.oddLengths()}
			})
		},
	}
}

// brokenFrames breaks good packets. Whatever makes them good comes before the first broken one.
func (tr *trial) brokenFrames(few int) (sent, changed float64) {
	var goods []good
	for i, g := range goodPackets() {
		if i%few != 0 {
			continue
		}
		for _, s := range g.before {
			tr.send(s.ifindex, packet.Build(s.layers...))
		}
		goods = append(goods, g)
	}
	before, whole := tr.entries(), 0
	for _, g := range goods {
		for _, frame := range broken(packet.Build(g.layers...)) {
			if tr.send(g.ifindex, frame) != nil {
				sent++
				tr.t.Logf("%s: sent on: %s", g.name, text(frame))
			}
		}
	}
	changed = changedEntries(before, tr.entries())
	for _, g := range goods {
		if tr.send(g.ifindex, packet.Build(g.layers...)) != nil {
			whole++
		}
	}
	if whole < len(goods)*9/10 { // fragments may be forgotten by now
		tr.t.Errorf("%d of %d whole packets were sent on: the broken ones say nothing", whole, len(goods))
	}
	return sent, changed
}

// broken is each part of a good frame, to 60 bytes behind its Ethernet header, and all lies about lengths.
func broken(whole []byte) [][]byte {
	var out [][]byte
	for n := leastFrame; n < min(len(whole), 14+61); n++ {
		out = append(out, whole[:n])
	}
	at := networkAt(whole)
	if whole[at]>>4 == 4 {
		return append(out, ipv4Lies(whole, at)...)
	}
	return append(out, ipv6Lies(whole, at)...)
}

// ipv4Lies are wrong lengths of header and packet; the checksum of the header is right.
func ipv4Lies(whole []byte, at int) [][]byte {
	var out [][]byte
	header, protocol := int(whole[at]&0xf)*4, whole[at+9]
	lie := func(change func(ip []byte)) {
		frame := slices.Clone(whole)
		change(frame[at:])
		mendIPv4(frame[at:])
		out = append(out, frame)
	}
	for words := range byte(5) {
		lie(func(ip []byte) { ip[0] = 4<<4 | words })
	}
	for _, length := range []int{0, 19, header - 1, len(whole) - at + 1, 65535} {
		lie(func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], uint16(length)) })
	}
	later := binary.BigEndian.Uint16(whole[at+6:])&0x1fff != 0
	if least := leastTransport(protocol); least > 0 && !later {
		for n := range least {
			lie(func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], uint16(header+n)) })
		}
	}
	if later {
		return out
	}
	return append(out, transportLies(whole, at+header, protocol)...)
}

// ipv6Lies are wrong lengths of packet and, where no extension header is before it, of transport.
func ipv6Lies(whole []byte, at int) [][]byte {
	var out [][]byte
	protocol := whole[at+6]
	lengths := []int{len(whole) - at - 40 + 1, 65535}
	for n := range leastTransport(protocol) {
		lengths = append(lengths, n)
	}
	for _, length := range lengths {
		frame := slices.Clone(whole)
		binary.BigEndian.PutUint16(frame[at+4:], uint16(length))
		out = append(out, frame)
	}
	return append(out, transportLies(whole, at+40, protocol)...)
}

// leastTransport is how much of a transport protocol there must be; 0: none that is balanced.
func leastTransport(protocol byte) int {
	if p := model.Protocol(protocol); slices.Contains(protocols, p) {
		return transportLength(p)
	}
	return 0
}

// transportLies are data offsets of TCP and lengths of UDP that cannot be.
func transportLies(whole []byte, at int, protocol byte) [][]byte {
	var out [][]byte
	switch model.Protocol(protocol) {
	case model.TCP:
		for words := range byte(16) {
			if words < 5 || at+int(words)*4 > len(whole) {
				frame := slices.Clone(whole)
				frame[at+12] = words<<4 | frame[at+12]&0xf
				out = append(out, frame)
			}
		}
	case model.UDP:
		for length := range uint16(8) {
			frame := slices.Clone(whole)
			binary.BigEndian.PutUint16(frame[at+4:], length)
			out = append(out, frame)
		}
	}
	return out
}

// oddLengths counts packets that are not what they were, and their tunnel and tag.
func (tr *trial) oddLengths() float64 {
	n := 0
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				c, _ := tr.established(f, m, p)
				frame := packet.Build(append(c.more(), packet.Trailer("padding"))...)
				out := tr.send(front, frame)
				more := 0
				if m.forwarding == model.TUN {
					more = m.tunnel.Overhead(serverAddr(m.outer, 1))
				}
				if m.onVLAN {
					more += 4
				}
				if len(out) != len(frame)+more {
					n++
					tr.t.Logf("%s ipv%d %s: %d bytes became %d", m.name, f, p, len(frame), len(out))
				}
			}
		}
	}
	return float64(n)
}

// rareHeaders: IPv4 options and IPv6 extension headers, chains of 1 to 64 among them.
func rareHeaders() faults.Fault {
	return faults.Fault{
		Number: 53,
		Parts:  []faults.Part{all(asDocumented)},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			few := size.Of(4, 1)
			return inTrial(t, func(tr *trial) map[string]float64 {
				var tb table
				tb.ipv4Options()
				tb.chains()
				tb.brokenChains()
				tb.everyChain(few)
				return map[string]float64{asDocumented: tr.documented(tb.rows)}
			})
		},
	}
}

// everyChain is as many extension headers as one likes: eight are walked.
func (tb *table) everyChain(few int) {
	for _, m := range methods {
		for n := 1; n <= 64; n += few {
			v := m.verdict
			if n > 8 {
				v = extensionHeaders
			}
			p := protocols[n%3]
			var chain []packet.Layer
			for i := range n {
				chain = append(chain, packet.Extension{Kind: extensionKinds[i%len(extensionKinds)], Body: []byte{0, 0}})
			}
			tb.add(m.name, in(behind(tb.talk(6, m.host, webPort(p), p).open(), chain...), v))
		}
	}
}

// documented is how many frames of rows took the exit that they must, and were passed, sent or
// dropped as its place in docs/verdicts.md says.
func (tr *trial) documented(rows []row) float64 {
	right, frames := 0, 0
	tr.counted(tr.t)
	for _, row := range rows {
		tr.forgetFragments(tr.t)
		for _, s := range row.steps {
			sent := tr.send(s.ifindex, packet.Build(s.layers...)) != nil
			got := tr.counted(tr.t)
			if frames++; got == string(s.verdict) && sent == slices.Contains(sends, s.verdict) {
				right++
				continue
			}
			tr.t.Logf("%s: %s, want %s; sent on: %v: %s", row.name, got, s.verdict, sent, s.layers)
		}
	}
	return tr.percent(right, frames)
}

// foreignTags: 802.1Q, 802.1ad and both, of VLANs of ours and of others.
func foreignTags() faults.Fault {
	return faults.Fault{
		Number: 54,
		Parts:  []faults.Part{all(asDocumented), none(misread, "frames"), all(rightTags)},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			few := uint16(size.Of(16, 1))
			return inTrial(t, func(tr *trial) map[string]float64 {
				var tb table
				tb.vlans(4)
				tb.vlans(6)
				return map[string]float64{asDocumented: tr.documented(tb.rows), misread: tr.misreadTags(few), rightTags: tr.tagsOfWays()}
			})
		},
	}
}

// misreadTags counts frames that are sent on though their tags are nobody's here. Of ids it takes one
// of few.
func (tr *trial) misreadTags(few uint16) float64 {
	n := 0
	try := func(layers packet.Layers) {
		if tr.ask(layers) != nil {
			n++
			tr.t.Logf("sent on: %s", layers)
		}
	}
	for _, f := range []family{4, 6} {
		open := func() packet.Layers { return tr.talk(f, 10, 80, model.TCP).open() }
		for id := uint16(1); id < 4096; id += few {
			if id != frontVLAN {
				try(taggedAs(open(), id))
			}
		}
		for _, inner := range []uint16{0, 1, frontVLAN, 4095} {
			for _, outer := range []uint16{0, 1, frontVLAN, 4095} {
				try(taggedAs(taggedAs(open(), inner), outer))
				try(with(taggedAs(taggedAs(open(), inner), outer), func(e *packet.Ethernet) { e.Type = packet.EtherTypeQinQ }))
			}
			try(with(taggedAs(open(), inner), func(e *packet.Ethernet) { e.Type = packet.EtherTypeQinQ }))
		}
	}
	return float64(n)
}

// tagsOfWays is how many frames got the tag of the VLAN that their server is on, or lost theirs.
func (tr *trial) tagsOfWays() float64 {
	right, frames := 0, 0
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				for range 3 { // one for each server
					c, _ := tr.established(f, m, p)
					for _, layers := range []packet.Layers{tagged(c.more()), taggedAs(c.more(), 0)} {
						came, _ := packet.Find[packet.VLAN](layers)
						left, isTagged := packet.Find[packet.VLAN](must(packet.Parse(tr.ask(layers))))
						ours := left.ID == frontVLAN || left.ID == backVLAN
						if frames++; isTagged == m.onVLAN && (!isTagged || ours && left.Priority == came.Priority) {
							right++
						}
					}
				}
			}
		}
	}
	return tr.percent(right, frames)
}
