// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

var cableLeft, cableRight = netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")

// cabled has a cable to the other director, who is right on eth0.
func cabled(r *model.VirtualRouter) {
	r.Paths = []model.VRRPPath{{Interface: "eth1", Peer: cableRight, Director: right}}
}

func (b *tale) hearsByCable(from netip.Addr, a advert) Reason {
	deeds, why := b.hearBy(b.now, a, way{from, cableLeft, hops}, via{1, cableLeft})
	b.do(deeds)
	return why
}

func TestMasterIsDeadWhenNoPathBringsAnAdvert(t *testing.T) {
	b := begun(t, of(100, cabled)).hears(right, said(200))
	for range 10 {
		b.pass(time.Second)
		if why := b.hearsByCable(cableRight, said(200)); why != Taken {
			t.Fatal(why)
		}
	}
	if b.seen.State != model.VRRPBackup || b.seen.Master != right || b.seen.Silent != "eth0 brings no advert of 192.0.2.2, who is heard otherwise" {
		t.Errorf("%+v", b.seen)
	}
	b.hears(right, said(200))
	if b.seen.Silent != "" {
		t.Errorf("%+v", b.seen)
	}
	b.pass(4*time.Second).is(model.VRRPMaster, "no advert of 192.0.2.2 for 3.609s")
}

func TestPathThatIsSilentIsTold(t *testing.T) {
	b := begun(t, of(100, cabled))
	for range 5 {
		b.hears(right, said(200)).pass(time.Second)
	}
	if want := "eth1 to 198.51.100.2 brings no advert of 192.0.2.2, who is heard otherwise"; b.seen.Silent != want {
		t.Errorf("%q, want %q", b.seen.Silent, want)
	}
	b.do(b.hinder(b.now, []string{"", "interface eth1 is down"}))
	if want := "the path by eth1 to 198.51.100.2 cannot be used: interface eth1 is down"; b.seen.Silent != want {
		t.Errorf("%q, want %q", b.seen.Silent, want)
	}
	b.pass(10*time.Second).is(model.VRRPMaster, "") // who hears nobody
	if b.seen.Silent == "" {
		t.Error("a path that cannot be used is of a master, too")
	}
}

// Nothing is believed that does not come from whom the config names, by the path that it names.
func TestPathBringsNamedPeersOnly(t *testing.T) {
	b := begun(t, of(100, cabled))
	for _, from := range []netip.Addr{right, gateway, cableLeft} {
		if why := b.hearsByCable(from, said(200)); why == Taken {
			t.Errorf("%s is believed", from)
		}
	}
	if why := b.hearsOf(cableRight, said(200)); why != Taken { // by multicast whoever is on the link is
		t.Error(why)
	}
	deeds, why := b.hearBy(b.now, said(200), way{cableRight, group4, hops}, via{1, cableLeft})
	if why != ReasonDestination || len(deeds) > 0 {
		t.Errorf("to a group: %s", why)
	}
}

// The peer is one, whichever path it comes by: both decide by the same two addresses, and an advert that comes twice is
// one.
func TestPeerIsTheSameByEachPath(t *testing.T) {
	b := master(t, cabled)
	if why := b.hearsByCable(cableRight, said(100)); why != Taken || b.seen.State != model.VRRPBackup || b.seen.Master != right {
		t.Errorf("%s: %+v", why, b.seen)
	}
	b = master(t, cabled)
	b.hears(right, said(50)).hearsByCable(cableRight, said(50))
	if b.seen.Conflict != "" {
		t.Errorf("one advert was under way: %s", b.seen.Conflict)
	}
	b.reads("3.7s sends 100", "3.7s announces")
}

// A director whose own interface is cut off does not take the addresses from who has them, be it the better one.
func TestWhoHearsByACableAloneIsNotTheBetterOne(t *testing.T) {
	b := begun(t, of(200, cabled))
	for range 10 {
		b.pass(time.Second).hearsByCable(cableRight, said(100))
	}
	b.is(model.VRRPBackup, "")
	for range 5 {
		b.hears(right, said(100)).pass(time.Second)
	}
	b.is(model.VRRPMaster, "its priority 200 is above 100 of 192.0.2.2")
}

func TestResignationByOnePathIsEnough(t *testing.T) {
	b := begun(t, of(100, cabled)).hears(right, said(200))
	b.hearsByCable(cableRight, said(0))
	b.pass(time.Second).is(model.VRRPMaster, "192.0.2.2 has stepped down")
}

// What comes by a path is signed from its own address there.
func TestPathsAreSigned(t *testing.T) {
	b := begun(t, of(100, cabled))
	keys := keysOf(t, draftKey)
	b.guard.follow(b.want, keys)
	signed := func(by netip.Addr) Reason {
		w := way{cableRight, cableLeft, hops}
		text := keys[0].secret.sign(said(200), by, sequenceAt(b.now)).bytes(w)
		a, why := parse(text, w)
		if why != Taken {
			t.Fatal(why)
		}
		a.text = text
		deeds, why := b.hearBy(b.now, a, w, via{1, cableLeft})
		b.do(deeds)
		return why
	}
	if why := signed(right); why != ReasonHMAC {
		t.Errorf("signed for another way: %s", why)
	}
	if why := signed(cableRight); why != Taken || b.seen.Master != right {
		t.Errorf("%s: %+v", why, b.seen)
	}
	if why := b.hearsByCable(cableRight, said(200)); why != ReasonUnsigned {
		t.Errorf("not signed: %s", why)
	}
}
