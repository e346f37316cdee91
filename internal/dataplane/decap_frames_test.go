// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/packet"
)

// tunnel is a packet in a packet.
type tunnel struct {
	outer packet.Layer
	shim  []packet.Layer // between the IP headers
	inner packet.Layer
}

func ethernet() packet.Layer { return packet.Ethernet{Source: decapClient, Destination: decapHost} }

func outer4() packet.IPv4 {
	return packet.IPv4{Source: netip.MustParseAddr("198.51.100.1"), Destination: decapWant.Tunnels[0], TTL: 64}
}

func outer6() packet.IPv6 {
	return packet.IPv6{Source: netip.MustParseAddr("2001:db8:1::1"), Destination: decapWant.Tunnels[1], HopLimit: 64}
}

func inner4() packet.IPv4 {
	return packet.IPv4{Source: netip.MustParseAddr("203.0.113.7"), Destination: decapVIP4, TTL: 63, ID: 7}
}

func inner6() packet.IPv6 {
	return packet.IPv6{Source: netip.MustParseAddr("2001:db8:7::7"), Destination: decapVIP6, HopLimit: 63}
}

func (t tunnel) frame() []byte { return t.with(udp(), hello()) }
func (t tunnel) naked() []byte { return t.nakedWith(udp(), hello()) }

// with is the frame with these layers inside; nakedWith is what must come out.
func (t tunnel) with(inside ...packet.Layer) []byte {
	return packet.Build(slices.Concat([]packet.Layer{ethernet(), t.outer}, t.shim, []packet.Layer{t.inner}, inside)...)
}

func (t tunnel) nakedWith(inside ...packet.Layer) []byte {
	return packet.Build(append([]packet.Layer{ethernet(), t.inner}, inside...)...)
}

// headers is where the inner IP header begins in the frame.
func (t tunnel) headers() int { return 14 + len(t.frame()) - len(t.naked()) }

func udp() packet.Layer   { return packet.UDP{Source: 40000, Destination: 53} }
func hello() packet.Layer { return packet.Payload("hello") }

// shims are the types of tunnel.
func shims() map[string][]packet.Layer {
	return map[string][]packet.Layer{
		"ipip":                  nil,
		"gre":                   {packet.GRE{}},
		"gre, reserved bits":    {packet.GRE{Flags: 0x03f8}},
		"gre with checksum":     {packet.GRE{Flags: packet.GREChecksum}},
		"gue":                   {gueUDP(false), packet.GUE{}},
		"gue with checksum":     {gueUDP(true), packet.GUE{}},
		"gue with private data": {gueUDP(true), packet.GUE{Private: make([]byte, 31*4)}},
		"gue, another port":     {packet.UDP{Source: 50000, Destination: 7000}, packet.GUE{}},
	}
}

func gueUDP(checksum bool) packet.UDP {
	return packet.UDP{Source: 50000, Destination: packet.PortGUE, NoChecksum: !checksum}
}

// mixes are the four families of every type of tunnel.
func mixes() map[string]tunnel {
	out := map[string]tunnel{}
	for name, shim := range shims() {
		out["4 in 4 "+name] = tunnel{outer4(), shim, inner4()}
		out["6 in 4 "+name] = tunnel{outer4(), shim, inner6()}
		out["4 in 6 "+name] = tunnel{outer6(), shim, inner4()}
		out["6 in 6 "+name] = tunnel{outer6(), shim, inner6()}
	}
	return out
}

func TestOuterHeaderIsTakenOff(t *testing.T) {
	b := newDecapBed(t)
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			b.t = t
			b.expect("decapsulated", mix.frame(), mix.naked())
			padding := make([]byte, 9)
			b.expect("decapsulated", append(mix.frame(), padding...), append(mix.naked(), padding...))
		})
	}
}

// TestPacketsOfEveryLength: a checksum is of all of it, however many chunks that is.
func TestPacketsOfEveryLength(t *testing.T) {
	b := newDecapBed(t)
	random := rand.New(rand.NewPCG(3, 4))
	for _, name := range []string{"4 in 4 gre with checksum", "6 in 6 gue with checksum"} {
		mix := mixes()[name]
		for size := 0; size < 1600; size += 1 + random.IntN(9) {
			payload := randomPayload(random, size)
			b.expect("decapsulated", mix.with(udp(), payload), mix.nakedWith(udp(), payload))
		}
		b.expectWrongIsSeen(mix, random)
	}
}

func randomPayload(random *rand.Rand, size int) packet.Payload {
	payload := make(packet.Payload, size)
	for i := range payload {
		payload[i] = byte(random.Uint32())
	}
	return payload
}

// expectWrongIsSeen changes one bit, anywhere in what is inside.
func (b decapBed) expectWrongIsSeen(mix tunnel, random *rand.Rand) {
	b.t.Helper()
	for range 200 {
		frame := mix.with(udp(), randomPayload(random, random.IntN(1500)))
		at := mix.headers() + 40 + random.IntN(len(frame)-mix.headers()-40+1) - 1
		frame[at] ^= 1 << random.IntN(8)
		if verdict, _ := decapTwin(decapWant, frame); verdict == "bad_checksum" {
			b.expect("bad_checksum", frame, frame)
		} else {
			b.t.Errorf("the twin says %s after byte %d was changed: %x", verdict, at, frame)
		}
	}
}

func TestPrefixesAreWhatTheTwinSays(t *testing.T) {
	b := newDecapBed(t)
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			b.t = t
			whole := mix.frame()
			for length := 14; length < len(whole); length++ { // the kernel refuses to test shorter ones
				verdict, _ := decapTwin(decapWant, whole[:length])
				if verdict != "malformed" && verdict != "passed" {
					t.Errorf("%s after %d bytes", verdict, length)
				}
				b.expect(verdict, whole[:length], whole[:length])
			}
		})
	}
}

func TestWhatIsNotOursPassesUntouched(t *testing.T) {
	stranger4, stranger6 := netip.MustParseAddr("198.51.100.99"), netip.MustParseAddr("2001:db8:1::99")
	foreignOuter4, foreignOuter6 := outer4(), outer6()
	foreignOuter4.Destination, foreignOuter6.Destination = stranger4, stranger6
	foreignInner4, foreignInner6 := inner4(), inner6()
	foreignInner4.Destination, foreignInner6.Destination = stranger4, stranger6
	first4, last := outer4(), outer4()
	first4.Flags, last.Offset = packet.MoreFragments, 100
	last.Protocol = packet.ProtocolUDP
	ipip, six := mixes()["4 in 4 ipip"], mixes()["6 in 4 ipip"]

	b := newDecapBed(t)
	for _, c := range []struct {
		name    string
		frame   []byte
		verdict string
	}{
		{"tunnel in a tunnel", packet.Build(ethernet(), outer4(), outer4(), inner4(), udp()), "refused"},
		{"last fragment of UDP", packet.Build(ethernet(), last, hello()), "passed"},
		{"first fragment of UDP", packet.Build(ethernet(), first4, udp(), hello()), "passed"},
		{"no tunnel", packet.Build(ethernet(), outer4(), udp(), hello()), "passed"},
		{"no tunnel, from the port of GUE", packet.Build(ethernet(), outer4(), packet.UDP{Source: 6080, Destination: 53}, hello()), "passed"},
		{"no tunnel, for the VIP", packet.Build(ethernet(), inner6(), udp(), hello()), "passed"},
		{"ARP", first(packet.GratuitousARP(decapClient, decapVIP4)), "passed"},
		{"outer version 6", poke(ipip, 14, 0x65), "malformed"},
		{"outer header length 16", poke(ipip, 14, 0x44), "malformed"},
		{"outer header longer than the packet", lie(outer4(), 19), "malformed"},
		{"outer length longer than the frame", lie(outer4(), 2000), "malformed"},
		{"inner version 6 in IPIP", poke(ipip, 34, 0x65), "malformed"},
		{"inner version 4 in IPv6 in IPv4", poke(six, 34, 0x45), "malformed"},
		{"inner header length 16", poke(ipip, 34, 0x44), "malformed"},
		{"inner length longer than the outer", poke(ipip, 36, 0xff), "malformed"},
		{"inner length shorter than its header", poke(ipip, 37, 19), "malformed"},
		{"inner payload longer than the outer", poke(mixes()["6 in 6 ipip"], 54+4, 0xff), "malformed"},
		{"nothing inside", packet.Build(ethernet(), packet.IPv4{Source: decapVIP4, Destination: decapWant.Tunnels[0], TTL: 9, Protocol: packet.ProtocolIPv4}), "malformed"},
		{"GRE with a key", shimmed(packet.GRE{Flags: packet.GREKey}), "unsupported"},
		{"GRE with a sequence number", shimmed(packet.GRE{Flags: packet.GRESequence}), "unsupported"},
		{"GRE with routing", shimmed(packet.GRE{Flags: 0x4000}), "unsupported"},
		{"GRE version 1", shimmed(packet.GRE{Flags: 1}), "unsupported"},
		{"Ethernet in GRE", shimmed(packet.GRE{Type: 0x6558}), "unsupported"},
		{"IPv4 in GRE that says IPv6", shimmed(packet.GRE{Type: 0x86dd}), "malformed"},
		{"GUE variant 1", shimmed(gueUDP(true), packet.GUE{Variant: 1}), "unsupported"},
		{"GUE control message", shimmed(gueUDP(true), packet.GUE{Control: true}), "unsupported"},
		{"GUE with remote checksum offload", shimmed(gueUDP(true), packet.GUE{Flags: 1, Private: make([]byte, 8)}), "unsupported"},
		{"UDP in GUE", packet.Build(ethernet(), outer4(), gueUDP(true), packet.GUE{}, udp(), hello()), "unsupported"},
		{"UDP to the port of GUE", packet.Build(ethernet(), outer4(), gueUDP(true), packet.Payload("hello, this is no GUE")), "unsupported"},
		{"UDP length longer than the packet", shimmed(packet.UDP{Destination: packet.PortGUE, Length: 200}, packet.GUE{}), "malformed"},
		{"UDP length that ends in the inner packet", shimmed(packet.UDP{Destination: packet.PortGUE, Length: 40, NoChecksum: true}, packet.GUE{}), "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.expect(c.verdict, c.frame, c.frame)
		})
	}
	for name, shim := range shims() {
		t.Run(name, func(t *testing.T) {
			b.t = t
			for want, frames := range map[string][]tunnel{
				"passed":   {{foreignOuter4, shim, inner4()}, {foreignOuter6, shim, inner4()}},
				"refused":  {{outer4(), shim, foreignInner4}, {outer6(), shim, foreignInner6}, {outer4(), shim, foreignInner6}},
				"fragment": {{first4, shim, inner4()}},
			} {
				for _, foreign := range frames {
					b.expect(want, foreign.frame(), foreign.frame())
				}
			}
			tagged := retype(tunnel{outer4(), shim, inner4()}.frame(), 0x8100)
			b.expect("passed", tagged, tagged)
		})
	}
}

func first(frame, _ []byte) []byte { return frame }

// shimmed is an IPv4 packet in a tunnel over IPv4.
func shimmed(shim ...packet.Layer) []byte { return tunnel{outer4(), shim, inner4()}.frame() }

// retype gives a frame another ethertype.
func retype(frame []byte, ethertype uint16) []byte {
	frame[12], frame[13] = byte(ethertype>>8), byte(ethertype)
	return frame
}

// poke changes one byte of a tunnel's frame.
func poke(t tunnel, offset int, value byte) []byte {
	frame := t.frame()
	frame[offset] = value
	return frame
}

// lie builds a tunnel whose outer length is wrong.
func lie(outer packet.IPv4, length uint16) []byte {
	outer.Length = length
	return tunnel{outer, nil, inner4()}.frame()
}

// TestWrongChecksumIsDropped: unless the packet is for nobody here, and the kernel's to judge.
func TestWrongChecksumIsDropped(t *testing.T) {
	b := newDecapBed(t)
	foreign := inner4()
	foreign.Destination = netip.MustParseAddr("198.51.100.99")
	wrongUDP := gueUDP(true)
	wrongUDP.Checksum = 1
	for name, shim := range map[string][]packet.Layer{
		"gre": {packet.GRE{Flags: packet.GREChecksum, Checksum: 1}},
		"gue": {wrongUDP, packet.GUE{}},
	} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			for _, wrong := range []tunnel{{outer4(), shim, inner4()}, {outer6(), shim, inner6()}} {
				b.expect("bad_checksum", wrong.frame(), wrong.frame())
			}
			other := tunnel{outer4(), shim, foreign}.frame()
			b.expect("refused", other, other)
		})
	}
}

func TestOuterOptionsAreTakenOffToo(t *testing.T) {
	b := newDecapBed(t)
	outer := outer4()
	outer.Options = make([]byte, 40)
	for _, shim := range shims() {
		optional := tunnel{outer, shim, inner4()}
		b.expect("decapsulated", optional.frame(), optional.naked())
	}
}

// TestCongestionIsCombined goes through all of RFC 6040's figure 4.
func TestCongestionIsCombined(t *testing.T) {
	b := newDecapBed(t)
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			b.t = t
			for inner, row := range figure4 {
				for outer, want := range row {
					b.expectCongestion(mix, byte(outer), byte(inner), want)
				}
			}
		})
	}
}

func (b decapBed) expectCongestion(mix tunnel, outer, inner, want byte) {
	b.t.Helper()
	const dscp = 0xb8
	sent := tunnel{withTOS(mix.outer, outer), mix.shim, withTOS(mix.inner, dscp|inner)}.frame()
	if want > 3 {
		b.expect("congested", sent, sent)
		return
	}
	b.expect("decapsulated", sent, tunnel{inner: withTOS(mix.inner, dscp|want)}.naked())
}

func withTOS(l packet.Layer, tos uint8) packet.Layer {
	switch ip := l.(type) {
	case packet.IPv4:
		ip.TOS = tos
		return ip
	case packet.IPv6:
		ip.TrafficClass = tos
		return ip
	}
	return l
}

// TestRandomFramesAreWhatTheTwinSays changes bytes of good tunnels: whatever comes out stripped must
// be for a VIP, and whatever is not stripped must be as it came.
func TestRandomFramesAreWhatTheTwinSays(t *testing.T) {
	b := newDecapBed(t)
	random := rand.New(rand.NewPCG(1, 2))
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			for range 1000 {
				frame := mutate(random, mix.frame(), mix.headers()+40)
				verdict, want := decapTwin(decapWant, frame)
				action, out, err := b.program.Send(frame)
				if err != nil || action != actionOf(verdict) || !bytes.Equal(out, want) {
					t.Fatalf("%s, action %d, %v:\n in   %x\n out  %x\n want %x", verdict, action, err, frame, out, want)
				}
				if verdict == "decapsulated" && !forVIP(out) {
					t.Fatalf("for nobody here: %x", out)
				}
			}
		})
	}
}

// mutate changes up to three bytes, mostly of the headers, and now and then cuts the frame.
func mutate(random *rand.Rand, frame []byte, headers int) []byte {
	for range 1 + random.IntN(3) {
		frame[random.IntN(min(headers, len(frame)))] = byte(random.Uint32())
	}
	if random.IntN(4) == 0 {
		frame = frame[:14+random.IntN(len(frame)-13)]
	}
	return frame
}

func forVIP(frame []byte) bool {
	return len(frame) >= 34 && bytes.Equal(frame[30:34], decapVIP4.AsSlice()) ||
		len(frame) >= 54 && bytes.Equal(frame[38:54], decapVIP6.AsSlice())
}

// TestEveryFieldOfAHeader gives every byte of the headers every value of one bit changed.
func TestEveryFieldOfAHeader(t *testing.T) {
	b := newDecapBed(t)
	for name, mix := range mixes() {
		t.Run(name, func(t *testing.T) {
			for bit := range (mix.headers() + 20) * 8 {
				frame := mix.frame()
				frame[bit/8] ^= 1 << (bit % 8)
				verdict, want := decapTwin(decapWant, frame)
				action, out, err := b.program.Send(frame)
				if err != nil || action != actionOf(verdict) || !bytes.Equal(out, want) {
					t.Fatalf("bit %d, %s, action %d, %v:\n in   %x\n out  %x\n want %x", bit, verdict, action, err, frame, out, want)
				}
			}
		})
	}
}
