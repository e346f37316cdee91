// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/vrrp"
)

// throws returns what sends a frame on eth0, as it is.
func (n namespace) throws() func(layers ...packet.Layer) {
	n.T.Helper()
	link, opened := n.Link(), make(chan error, 1)
	var socket int
	go func() { // on a thread of its own, which dies with it
		runtime.LockOSThread()
		at, err := os.Open(n.Path())
		if err == nil {
			defer at.Close()
			err = unix.Setns(int(at.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		}
		opened <- err
	}()
	if err := <-opened; err != nil {
		n.T.Fatal(err)
	}
	n.T.Cleanup(func() { unix.Close(socket) })
	return func(layers ...packet.Layer) {
		n.T.Helper()
		if err := unix.Sendto(socket, packet.Build(layers...), 0, &unix.SockaddrLinklayer{Ifindex: link}); err != nil {
			n.T.Fatal(err)
		}
	}
}

var (
	all4 = netip.MustParseAddr("224.0.0.18")
	all6 = netip.MustParseAddr("ff02::12")
)

// advert4 is an advert with the checksum that does not depend on where it comes from, of front's address.
func advert4(t *testing.T) packet.Payload {
	t.Helper()
	b, err := hex.DecodeString("3133c80100644402c0000264")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// advert6 is one of fe80::100, from there.
func advert6(source netip.Addr) packet.Payload {
	text := append([]byte{0x31, 51, 200, 1, 0, 100, 0, 0}, netip.MustParseAddr("fe80::100").AsSlice()...)
	pseudo := append(append(source.AsSlice(), all6.AsSlice()...), 0, 0, 0, byte(len(text)), 0, 0, 0, 112)
	binary.BigEndian.PutUint16(text[6:], packet.Checksum(append(pseudo, text...)))
	return text
}

// hears is a director that only listens, and counts what it hears.
func (n namespace) hears(address string, source netip.Addr) *director {
	n.T.Helper()
	want := n.front(100)
	want.Addresses, want.Source, want.StartDelay = prefixes(address), source, time.Hour
	d := n.direct(want)
	d.becomes(model.VRRPInit, "front")
	return d
}

// counts is how many adverts it has heard, by what became of them.
func (d *director) counts() map[vrrp.Reason]uint64 {
	d.t.Helper()
	counts := d.order("counts").Counts["front"]
	out := map[vrrp.Reason]uint64{vrrp.Taken: counts.Received}
	for reason, n := range counts.Discarded {
		out[reason] = n
	}
	return out
}

// counted is what became of one that is thrown at it, and of the one behind that, which is known to be of no type.
func (d *director) counted(thrown, behind func()) string {
	d.t.Helper()
	before := d.counts()
	thrown()
	behind()
	now := before
	within(d.t, "the one behind is counted", func() bool { now = d.counts(); return now[vrrp.ReasonType] > before[vrrp.ReasonType] })
	got := ""
	for reason, n := range now {
		if reason != vrrp.ReasonType && n != before[reason] {
			got += fmt.Sprintf("%s %d", reason, n-before[reason])
		}
	}
	return got
}

// TestWhatTheKernelLetsThrough of IPv4: options and fragments are its business, and so is who sends from an address of
// this host's.
func TestWhatTheKernelLetsThrough(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	left.Run("ip addr add 192.0.2.98/24 dev eth0")
	d := left.hears("192.0.2.100/24", left.Own)
	throw, id := right.throws(), uint16(0)
	text := advert4(t)
	say := func(source string, body packet.Payload, change ...func(*packet.IPv4)) func() {
		return func() {
			id++
			ip := packet.IPv4{Source: netip.MustParseAddr(source), Destination: all4, TTL: 255, ID: id, Protocol: 112}
			for _, c := range change {
				c(&ip)
			}
			throw(packet.Ethernet{Source: packet.MAC{2, 0, 0, 0, 0, 9}, Destination: packet.MulticastMAC(all4)}, ip, body)
		}
	}
	part := func(n uint16, flags uint8, offset uint16) func(*packet.IPv4) {
		return func(ip *packet.IPv4) { ip.ID, ip.Flags, ip.Offset = n, flags, offset }
	}
	twice := func(a, b func()) func() { return func() { a(); b() } }
	const peer = "192.0.2.2"
	other := append(packet.Payload{0x32}, text[1:]...)
	for _, c := range []struct {
		name   string
		thrown func()
		want   string
	}{
		{"whole", say(peer, text), "taken 1"},
		{"with a router alert", say(peer, text, func(ip *packet.IPv4) { ip.Options = []byte{148, 4, 0, 0} }), "taken 1"},
		{"in fragments", twice(say(peer, text[:8], part(1000, packet.MoreFragments, 0)), say(peer, text[8:], part(1000, 0, 1))), "taken 1"},
		{"its first fragment", say(peer, text[:8], part(1001, packet.MoreFragments, 0)), ""},
		{"its last fragment", say(peer, text[8:], part(1002, 0, 1)), ""},
		{"cut off", say(peer, text[:8]), "length 1"},
		{"from far", say(peer, text, func(ip *packet.IPv4) { ip.TTL = 254 }), "ttl 1"},
		{"from no address", say("0.0.0.0", text), "source 1"},
		{"from the virtual address", say("192.0.2.100", text), "taken 1"},
		{"from its own address", say("192.0.2.1", text), ""},
		{"from another address of its host", say("192.0.2.98", text), ""},
	} {
		if got := d.counted(c.thrown, say(peer, other)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhatTheKernelLetsThroughOfIPv6(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	own := netip.MustParseAddr("fe80::1")
	d := left.hears("fe80::100/64", own)
	throw, id := right.throws(), uint32(0)
	say := func(source string, body func(from netip.Addr) packet.Payload, between ...packet.Layer) func() {
		return func() {
			id++
			from := netip.MustParseAddr(source)
			layers := []packet.Layer{packet.Ethernet{Source: packet.MAC{2, 0, 0, 0, 0, 9}, Destination: packet.MulticastMAC(all6)},
				packet.IPv6{Source: from, Destination: all6, HopLimit: 255, Next: 112}}
			if len(between) > 0 {
				layers[1] = packet.IPv6{Source: from, Destination: all6, HopLimit: 255}
			}
			throw(append(append(layers, between...), body(from))...)
		}
	}
	cut := func(from, to int) func(netip.Addr) packet.Payload {
		return func(source netip.Addr) packet.Payload { return advert6(source)[from:to] }
	}
	twice := func(a, b func()) func() { return func() { a(); b() } }
	const peer = "fe80::2"
	first := func(id uint32) packet.Layer { return packet.Fragment{Next: 112, Flags: packet.MoreFragments, ID: id} }
	last := func(id uint32) packet.Layer { return packet.Fragment{Next: 112, Offset: 2, ID: id} }
	other := func(source netip.Addr) packet.Payload { return append(packet.Payload{0x32}, advert6(source)[1:]...) }
	for _, c := range []struct {
		name   string
		thrown func()
		want   string
	}{
		{"whole", say(peer, advert6), "taken 1"},
		{"behind options for the host", say(peer, advert6, packet.Extension{Kind: packet.ProtocolDstOptions, Next: 112, Body: []byte{1, 4, 0, 0, 0, 0}}), "taken 1"},
		{"behind options for each hop", say(peer, advert6, packet.Extension{Kind: packet.ProtocolHopByHop, Next: 112, Body: []byte{1, 4, 0, 0, 0, 0}}), "taken 1"},
		{"in fragments", twice(say(peer, cut(0, 16), first(1)), say(peer, cut(16, 24), last(1))), "taken 1"},
		{"its first fragment", say(peer, cut(0, 16), first(2)), ""},
		{"its last fragment", say(peer, cut(16, 24), last(3)), ""},
		{"cut off", say(peer, cut(0, 16)), "length 1"},
		{"from no address", say("::", advert6), "source 1"},
		{"from the virtual address", say("fe80::100", advert6), "taken 1"},
		{"from its own address", say("fe80::1", advert6), "own 1"},
	} {
		if got := d.counted(c.thrown, say(peer, other)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
