// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/packet"
)

// whoHas asks a LAN for the MAC of an address.
func whoHas(address netip.Addr) packet.Layers {
	asker := packet.MAC(macOf(9))
	if address.Is4() {
		return packet.Layers{
			packet.Ethernet{Source: asker, Destination: packet.Broadcast},
			packet.ARP{Operation: packet.ARPRequest, SenderMAC: asker, Sender: router(4), Target: address},
		}
	}
	group := solicited(address)
	return packet.Layers{
		packet.Ethernet{Source: asker, Destination: packet.MulticastMAC(group)},
		packet.IPv6{Source: router(6), Destination: group, HopLimit: 255}, packet.ICMPv6{},
		packet.NeighbourSolicitation{Target: address, SourceMAC: asker},
	}
}

// solicited is the group that an address is asked for in (RFC 4291 section 2.7.1).
func solicited(address netip.Addr) netip.Addr {
	a := address.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
}

// leasedRows are what somebody may ask, and what becomes of it while the lease of vip(f, 10) holds, or not.
func leasedRows(f family, holds bool) []step {
	asked := leaseOver
	passed := map[family]verdict{4: notIP, 6: otherHost}[f]
	if holds {
		asked = passed
	}
	out := []step{
		in(whoHas(vip(f, 10)), asked), fromBack(whoHas(vip(f, 10)), asked), in(tagged(whoHas(vip(f, 10))), asked),
		in(whoHas(vip(f, 20)), passed), in(whoHas(directorAddr(f)), passed),
		in(talkTo(f, 10, 80, protocols[0], 4711).open(), dr),
	}
	if f == 4 {
		claim := with(whoHas(vip(4, 10)), func(a *packet.ARP) { a.Sender = vip(4, 10) })
		frame := packet.Build(claim...)
		cut := packet.Layers{packet.Ethernet{Type: packet.EtherTypeARP}, packet.Payload(frame[14:41])}
		still := toMAC(whoHas(vip(4, 10)), packet.MAC(frontMAC)) // who knows the MAC asks whether it holds
		return append(out, in(claim, notIP), in(cut, notIP), in(still, asked), in(tagged(still), asked),
			in(with(whoHas(vip(4, 10)), func(a *packet.ARP) { a.Operation = packet.ARPReply }), asked))
	}
	unicast := toMAC(whoHas(vip(6, 10)), packet.MAC(frontMAC))
	near := with(unicast, func(ip *packet.IPv6) { ip.Destination = vip(6, 10) })
	told := icmp
	if !holds {
		told = leaseOver
	}
	advert := append(whoHas(vip(6, 10))[:3:3], packet.NeighbourAdvertisement{Target: vip(6, 10)})
	return append(out, in(near, told), in(advert, otherHost), in(whoHas(vip(6, 10))[:2], otherHost))
}

// TestLeases: nobody is told where an address of a virtual router is unless this director is its master and its
// daemon has said so of late; what is forwarded is forwarded.
func TestLeases(t *testing.T) {
	b := newTestbed(t, 256)
	want := world()
	leased := map[netip.Addr]string{vip(4, 10): "front", vip(6, 10): "front"}
	want.Leased = leased
	b.apply(t, want)
	b.leased(t, false)
	b.renew(t, "front", time.Hour)
	b.leased(t, true)
	b.restart(t, 256)
	if held, err := b.path.Leased(vip(6, 10)); !held || err != nil {
		t.Errorf("the lease that an earlier daemon had renewed holds: %v, %v", held, err)
	}
	if err := b.path.Recall(leased); err != nil {
		t.Fatal(err)
	}
	b.release(t, "front") // before the first Apply
	b.expect(t, []step{in(whoHas(vip(4, 10)), leaseOver), in(whoHas(vip(6, 10)), leaseOver)})
	b.renew(t, "front", time.Hour)
	b.expect(t, []step{in(whoHas(vip(4, 10)), notIP), in(whoHas(vip(6, 10)), otherHost)})
	b.apply(t, want)
	b.leased(t, true)
	b.release(t, "front")
	b.leased(t, false)
	b.renew(t, "front", time.Hour)
	want.Leased = nil
	b.apply(t, want)
	b.leased(t, true)
	want.Leased = leased
	b.apply(t, want)
	delete(b.twin.holds, "front")
	b.leased(t, false) // what it was once is forgotten
}

// TestLeaseOutlivesARepair: what is read again after a map could not be written is where addresses are, not who is master.
func TestLeaseOutlivesARepair(t *testing.T) {
	b := newTestbed(t, 64)
	want := world()
	want.Leased = map[netip.Addr]string{vip(4, 10): "front"}
	empty, err := b.path.FillLeased()
	if err != nil {
		t.Fatal(err)
	}
	b.renew(t, "front", time.Hour)
	if err := b.path.Apply(t.Context(), want); err == nil {
		t.Error("there is room in a map that is full")
	}
	if err := empty(); err != nil {
		t.Fatal(err)
	}
	b.apply(t, want)
	b.expect(t, []step{in(whoHas(vip(4, 10)), notIP)})
}

// TestLeasesOfSeveral virtual routers, which come, go, and are silent.
func TestLeasesOfSeveral(t *testing.T) {
	b := newTestbed(t, 64)
	t.Run("who becomes master at once is faster than the maps", b.leaseBeforeItsRouter)
	t.Run("a daemon that is dead need do nothing", b.leaseEndsByItself)
	t.Run("a router keeps its number, and does not inherit a lease", b.routersKeepTheirNumbers)
}

func (b *testbed) leaseBeforeItsRouter(t *testing.T) {
	b.renew(t, "early", time.Hour)
	want := world()
	b.apply(t, want) // one that was under way, and knows nothing of it yet
	want.Leased = map[netip.Addr]string{vip(4, 10): "early"}
	b.apply(t, want)
	b.expect(t, []step{in(whoHas(vip(4, 10)), notIP)})
	if held, err := b.path.Leased(vip(4, 20)); held || err != nil {
		t.Errorf("an address of no router has a lease: %v, %v", held, err)
	}
}

func (b *testbed) leaseEndsByItself(t *testing.T) {
	want := world()
	want.Leased = map[netip.Addr]string{vip(4, 10): "front", vip(4, 20): "front", vip(6, 10): "other"}
	b.apply(t, want)
	b.renew(t, "front", 10*time.Millisecond)
	b.renew(t, "other", time.Hour)
	deadline := time.Now().Add(10 * time.Second)
	delete(b.twin.holds, "front")
	for b.exitOf(t, whoHas(vip(4, 20))) != leaseOver {
		if time.Now().After(deadline) {
			t.Fatal("the lease of 10 ms holds after 10 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.expect(t, []step{in(whoHas(vip(4, 10)), leaseOver), in(whoHas(vip(6, 10)), otherHost)})
}

func (b *testbed) routersKeepTheirNumbers(t *testing.T) {
	want := world()
	want.Leased = map[netip.Addr]string{vip(4, 10): "b", vip(4, 20): "c"}
	b.apply(t, want)
	b.renew(t, "b", time.Hour)
	b.renew(t, "c", time.Hour)
	want.Leased = map[netip.Addr]string{vip(4, 20): "c", vip(4, 10): "a", vip(6, 10): "d"}
	b.apply(t, want)
	delete(b.twin.holds, "b")
	b.expect(t, []step{in(whoHas(vip(4, 10)), leaseOver), in(whoHas(vip(4, 20)), notIP), in(whoHas(vip(6, 10)), leaseOver)})
}

func (b *testbed) leased(t *testing.T, holds bool) {
	t.Helper()
	for _, f := range []family{4, 6} {
		b.expect(t, leasedRows(f, holds))
	}
}

// expect sends frames, and wants of each what stands with it.
func (b *testbed) expect(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		if o := b.frame(t, s.ifindex, packet.Build(s.layers...)); o.verdict != s.verdict {
			t.Errorf("%v is %s, not %s", s.layers, o.verdict, s.verdict)
		}
	}
}

// exitOf asks the path alone: the twin has no clock.
func (b *testbed) exitOf(t *testing.T, layers packet.Layers) verdict {
	t.Helper()
	var err error
	b.do(func() { _, _, err = b.path.Send(packet.Build(layers...), front) })
	if err != nil {
		t.Fatal(err)
	}
	return verdict(b.counted(t))
}

func (b *testbed) renew(t *testing.T, router string, holds time.Duration) {
	t.Helper()
	if err := b.path.Renew(router, holds); err != nil {
		t.Fatal(err)
	}
	b.twin.holds = maps.Clone(b.twin.holds)
	if b.twin.holds == nil {
		b.twin.holds = map[string]bool{}
	}
	b.twin.holds[router] = true
}

func (b *testbed) release(t *testing.T, router string) {
	t.Helper()
	if err := b.path.Release(router); err != nil {
		t.Fatal(err)
	}
	delete(b.twin.holds, router)
}
