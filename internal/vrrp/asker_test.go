// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// link is one that brings frames to an asker: a pair of sockets, whose filters are those of packet sockets.
type link struct {
	t *testing.T
	*asker
	end int
}

func newLink(t *testing.T) link {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := link{t, &asker{fd: ends[0], mac: model.MAC{2, 0, 0, 0, 0, 1}, space: make([]byte, 2048)}, ends[1]}
	t.Cleanup(func() { l.close(); unix.Close(l.end) })
	return l
}

func (l link) brings(frame []byte) {
	l.t.Helper()
	if err := unix.Send(l.end, frame, 0); err != nil {
		l.t.Fatal(err)
	}
}

// wakes says whether there is anything to read.
func (l link) wakes() bool {
	l.t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return n > 0
}

func (l link) hears() (out []netip.Addr) {
	l.receive(func(address netip.Addr, mac model.MAC) {
		if mac != theMAC {
			l.t.Errorf("%s is at %x", address, mac)
		}
		out = append(out, address)
	})
	return out
}

// saysOf is what a neighbour says of an address of his.
func saysOf(address netip.Addr) []byte {
	link := packet.Ethernet{Source: packet.MAC(theMAC), Destination: packet.Broadcast}
	if address.Is4() {
		return packet.Build(link, packet.ARP{Operation: packet.ARPReply, SenderMAC: packet.MAC(theMAC), Sender: address, Target: left})
	}
	return packet.Build(link, packet.IPv6{Source: address, Destination: address, HopLimit: hops}, packet.ICMPv6{},
		packet.NeighbourAdvertisement{Target: address, TargetMAC: packet.MAC(theMAC)})
}

// TestOthersOnTheLinkWakeNobody: of all ARP and all neighbour advertisements those come to who is asked, and no other.
func TestOthersOnTheLinkWakeNobody(t *testing.T) {
	for family, c := range map[string]struct{ about, others []netip.Addr }{
		"ipv4": {addrsOf("192.0.2.254", "192.0.2.253", "192.0.2.100"), addrsOf("192.0.2.1", "192.0.2.252", "193.0.2.254", "0.0.0.0")},
		"ipv6": {addrsOf("fe80::77", "fe80::78", "2001:db8::51"), addrsOf("fe80::79", "2001:db8::52", "2001:db8:0:1::51", "2002:db8::51", "2001:db8::1:0:51")},
	} {
		t.Run(family, func(t *testing.T) {
			l := newLink(t)
			for n := 1; n <= len(c.about); n++ { // more and more are asked
				if err := l.hear(c.about[:n], family == "ipv4"); err != nil {
					t.Fatal(err)
				}
				for _, other := range slices.Concat(c.others, c.about[n:]) {
					if l.brings(saysOf(other)); l.wakes() {
						t.Fatalf("what %s says comes, with %s asked", other, c.about[:n])
					}
				}
				for _, each := range c.about[:n] {
					l.brings(saysOf(each))
				}
				if got := l.hears(); !slices.Equal(got, c.about[:n]) {
					t.Errorf("heard of %s, asked about %s", got, c.about[:n])
				}
			}
			l.brings(packet.Build(packet.Ethernet{Source: packet.MAC(theMAC), Destination: packet.Broadcast}, packet.Payload("short")))
			l.brings(packet.Build(packet.Ethernet{Source: packet.MAC(theMAC)}, packet.IPv6{Source: c.about[0], Destination: c.about[0], Next: 17}, packet.Payload(make([]byte, 64))))
			if family == "ipv6" {
				l.brings(packet.Build(packet.Ethernet{Source: packet.MAC(theMAC)}, packet.IPv6{Source: c.others[0], Destination: c.about[0], HopLimit: hops},
					packet.ICMPv6{}, packet.NeighbourSolicitation{Target: c.about[0], SourceMAC: packet.MAC(theMAC)}))
			}
			if l.wakes() {
				t.Error("what is no answer comes")
			}
		})
	}
}

func addrsOf(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// TestWhoIsAskedChanges: with what is wanted, and with what the director is.
func TestWhoIsAskedChanges(t *testing.T) {
	l := newLink(t)
	another := netip.MustParseAddr("192.0.2.253")
	r := &router{conn: &conn{own: left}, asker: l.asker, want: Want{VRRPWant: model.VRRPWant{VirtualRouter: of(100, witnessed)}}}
	r.machine = newMachine(r.want.VirtualRouter, left)
	vip := r.machine.asked()
	for _, c := range []struct {
		state   model.VRRPState
		witness netip.Addr
		want    []netip.Addr
	}{
		{model.VRRPBackup, gateway, []netip.Addr{gateway, vip}},
		{model.VRRPMaster, gateway, []netip.Addr{gateway}},
		{model.VRRPMaster, another, []netip.Addr{another}},
		{model.VRRPBackup, another, []netip.Addr{another, vip}},
	} {
		r.machine.seen.State, r.want.Witness = c.state, []netip.Addr{c.witness}
		_ = r.ask() // the questions are no datagrams of this socket
		for _, each := range []netip.Addr{gateway, another, vip} {
			l.brings(saysOf(each))
		}
		if got := l.hears(); !slices.Equal(got, c.want) {
			t.Errorf("a %s with the witness %s hears of %s", c.state, c.witness, got)
		}
	}
}

// TestAdvertsWaitForNoAnswers: of a flood of what is no answer so much is read at once, and no more.
func TestAdvertsWaitForNoAnswers(t *testing.T) {
	l := newLink(t)
	if err := unix.SetsockoptInt(l.end, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20); err != nil {
		t.Fatal(err)
	}
	for range mostAtOnce + 1 {
		l.brings([]byte("no answer"))
	}
	r := &router{asker: l.asker}
	if r.listen(time.Now()); !l.wakes() {
		t.Error("all is read at once")
	}
	if r.listen(time.Now()); l.wakes() {
		t.Error("there is more")
	}
}
