// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// The rows of the state tables for virtual routers of other kinds than machine_test.go has: of version 2 (RFC 3768
// section 6.4), of IPv6, and of which a host has the addresses for its own (priority 255).

// version2 is one of version 2, which says so every two seconds.
func version2(r *model.VirtualRouter) { r.Version, r.Advertise = model.VRRP2, 2*time.Second }

// said2 is an advert of somebody in version 2.
func said2(priority uint8) advert {
	a := of4(model.VRRP2, 0)
	a.priority, a.interval = priority, 2*time.Second
	return a
}

// master2 is one of version 2 that has become it, at 6.609 s.
func master2(t *testing.T) *tale {
	b := begun(t, of(100, version2)).pass(7 * time.Second)
	b.reads("0s backup: it has just begun", "6.609s sends 100", "6.609s master: no advert of anybody for 6.609s")
	return b.forgets()
}

// Three intervals, and a skew of a second's part: 6.609 s of 2 s and priority 100.
func TestBackupOfVersion2(t *testing.T) {
	b := begun(t, of(100, version2))
	for range 5 {
		b.pass(6*time.Second).hears(right, said2(200))
	}
	b.forgets().pass(7*time.Second).reads("36.609s sends 100", "36.609s master: no advert of 192.0.2.2 for 6.609s")

	b = begun(t, of(100, version2)).pass(6*time.Second).hears(right, said2(100)) // as high is high enough
	b.forgets().pass(6 * time.Second).reads()

	b = begun(t, of(100, version2)).hears(right, said2(200)).pass(time.Second).hears(right, said2(0)) // Skew_Time
	b.forgets().pass(time.Second).reads("1.609s sends 100", "1.609s master: 192.0.2.2 has stepped down")

	b = begun(t, of(100, version2))
	for range 4 { // what is lower changes no timer
		b.hears(right, said2(50)).pass(2 * time.Second)
	}
	b.reads("0s backup: it has just begun", "0s backup: it has just begun", "6.609s sends 100", "6.609s master: its priority 100 is above 50 of 192.0.2.2")

	b = begun(t, of(100, version2, func(r *model.VirtualRouter) { r.Preempt = false }))
	for range 10 {
		b.hears(right, said2(50)).pass(2 * time.Second)
	}
	b.forgets().pass(5*time.Second).reads("24.609s sends 100", "24.609s master: no advert of 192.0.2.2 for 6.609s")

	b = begun(t, of(100, version2)).hears(right, said2(200)).forgets()
	b.do(b.release(b.now, "weir stops"))
	b.pass(time.Minute).reads("0s init: weir stops")
}

func TestMasterOfVersion2(t *testing.T) {
	master2(t).pass(4*time.Second).reads("8.609s sends 100", "10.609s sends 100")
	master2(t).hears(right, said2(0)).pass(2*time.Second).reads("7s sends 100", "9s sends 100")

	b := master2(t).hears(right, said2(101)).pass(7 * time.Second)
	b.reads("7s backup: a master of priority 101 (192.0.2.2) advertises", "13.609s sends 100", "13.609s master: no advert of 192.0.2.2 for 6.609s")

	master2(t).hears(right, said2(100)).reads("7s backup: a master of the same priority 100 and a greater address (192.0.2.2) advertises")
	master2(t).hears(netip.MustParseAddr("192.0.2.0"), said2(100)).pass(2*time.Second).reads("7s sends 100", "7s announces", "9s sends 100")

	// The RFC has it discarded; others that hear both learn sooner who stays, as in version 3.
	master2(t).hears(right, said2(50)).pass(2*time.Second).reads("7s sends 100", "7s announces", "9s sends 100")

	b = master2(t)
	b.do(b.release(b.now, "weir stops"))
	b.pass(100*time.Millisecond).letsGo().pass(time.Minute).reads("7s init: weir stops", "7.1s sends 0")
}

// Section 7.1: an interval that is not this one's is no advert, of whatever priority, in each state.
func TestAnotherIntervalIsNothingInVersion2(t *testing.T) {
	const told = "192.0.2.2 advertises id 51 every 1s, here it is every 2s"
	for name, b := range map[string]*tale{"backup": begun(t, of(100, version2)).forgets(), "master": master2(t)} {
		for _, priority := range []uint8{0, 50, 200, 255} {
			a, due := said2(priority), b.due
			a.interval = time.Second
			if why := b.hearsOf(right, a); why != ReasonInterval || b.seen.State.String() != name || !b.due.Equal(due) || b.seen.Conflict != told {
				t.Errorf("%s, priority %d: %s, %+v", name, priority, why, b.seen)
			}
		}
	}
}

func TestOwnerOfVersion2(t *testing.T) {
	own := of(255, version2)
	b := begun(t, own).pass(time.Second)
	for _, priority := range []uint8{0, 100, 255} {
		if why := b.hearsOf(right, said2(priority)); why != ReasonOwner || b.seen.State != model.VRRPMaster {
			t.Errorf("priority %d: %s, it is %s", priority, why, b.seen.State)
		}
	}
	b = begun(t, own).pass(3 * time.Second)
	b.do(b.release(b.now, "weir stops"))
	b.letsGo().reads("0s sends 255", "0s master: the addresses are this host's own", "2s sends 255", "3s init: weir stops", "3s sends 0")
}

// two6 is one of two addresses of IPv6: that of the link first (RFC 9568 section 5.2.9).
func two6(r *model.VirtualRouter) {
	r.Addresses = []netip.Prefix{netip.PrefixFrom(vip6, 64), netip.MustParsePrefix("2001:db8::100/64")}
}

// said6 is an advert of somebody over IPv6.
func said6(priority uint8, change ...func(*advert)) advert {
	a := advert{version: model.VRRP3, id: 51, priority: priority, interval: time.Second, addresses: []netip.Addr{vip6, netip.MustParseAddr("2001:db8::100")}}
	for _, c := range change {
		c(&a)
	}
	return a
}

// master6 is one of IPv6 that has become it, at 3.609 s.
func master6(t *testing.T, own netip.Addr) *tale {
	return begunAt(t, of(100, two6), own).pass(3700 * time.Millisecond).forgets()
}

func TestBackupOfIPv6(t *testing.T) {
	b := begunAt(t, of(100, two6), left6)
	for range 5 {
		b.pass(3*time.Second).hears(right6, said6(200))
	}
	b.forgets().pass(4*time.Second).reads("18.609s sends 100", "18.609s master: no advert of fe80::10 for 3.609s")

	b = begunAt(t, of(100, two6), left6).hears(right6, said6(200)).pass(time.Second).hears(right6, said6(0))
	b.forgets().pass(time.Second).reads("1.609s sends 100", "1.609s master: fe80::10 has stepped down")

	b = begunAt(t, of(100, two6), left6)
	for range 4 {
		b.hears(right6, said6(50)).pass(time.Second)
	}
	b.reads("0s backup: it has just begun", "0s backup: it has just begun", "3.609s sends 100", "3.609s master: its priority 100 is above 50 of fe80::10")
}

// Section 6.4.3: of equal priorities the greater address wins, as numbers of 128 bits: fe80::10 is above fe80::9.
func TestMasterOfIPv6(t *testing.T) {
	master6(t, left6).hears(right6, said6(100)).reads("3.7s backup: a master of the same priority 100 and a greater address (fe80::10) advertises")
	master6(t, right6).hears(left6, said6(100)).reads("3.7s sends 100", "3.7s announces")
	master6(t, right6).hears(left6, said6(101)).reads("3.7s backup: a master of priority 101 (fe80::9) advertises")
	master6(t, left6).hears(right6, said6(99)).reads("3.7s sends 100", "3.7s announces")
	master6(t, left6).hears(right6, said6(0)).reads("3.7s sends 100")
	b := master6(t, left6)
	b.do(b.release(b.now, "weir stops"))
	b.letsGo().reads("3.7s init: weir stops", "3.7s sends 0")
}

// Both of one priority, and each has heard the other one: one of them stays, and it is the same one for both.
func TestOfTwoMastersOfIPv6OneStays(t *testing.T) {
	less, greater := master6(t, left6), master6(t, right6)
	less.hears(right6, said6(100))
	greater.hears(left6, said6(100))
	if less.seen.State != model.VRRPBackup || less.seen.Master != right6 || greater.seen.State != model.VRRPMaster {
		t.Errorf("%+v, %+v", less.seen, greater.seen)
	}
}

// Section 6.4.1 and 6.4.3: an owner is master at once, also while another one is, and hears nobody.
func TestOwnerHearsNobody(t *testing.T) {
	for _, from := range []netip.Addr{right, netip.MustParseAddr("192.0.2.0")} {
		for _, priority := range []uint8{0, 1, 254, 255} {
			b := begun(t, of(255)).pass(1500 * time.Millisecond)
			due := b.due
			if why := b.hearsOf(from, said(priority)); why != ReasonOwner || b.seen.State != model.VRRPMaster || !b.due.Equal(due) || b.seen.Master.IsValid() {
				t.Errorf("priority %d of %s: %s, %+v", priority, from, why, b.seen)
			}
		}
	}
}

func TestOwnerSaysGoodbye(t *testing.T) {
	b := begun(t, of(255)).pass(500 * time.Millisecond)
	b.do(b.release(b.now, "weir stops"))
	b.pass(700 * time.Millisecond).letsGo().pass(time.Minute)
	b.reads("0s sends 255", "0s master: the addresses are this host's own", "500ms init: weir stops", "1s sends 255", "1.2s sends 0")

	b = begun(t, of(255)).pass(500 * time.Millisecond).forgets() // nobody says that the addresses are gone
	b.do(b.release(b.now, "weir stops"))
	b.pass(time.Minute).reads("500ms init: weir stops", "1s sends 255", "1.5s sends 0")
}

// An owner's adverts come from the virtual address itself, which is its primary one. They count, whatever one's own
// priority and preemption.
func TestOwnerIsFollowedAtItsVirtualAddress(t *testing.T) {
	b := begun(t, of(254)).pass(3100*time.Millisecond).forgets().hears(vip, said(255))
	b.pass(3*time.Second).hears(vip, said(0)).pass(time.Second)
	b.reads("3.1s backup: a master of priority 255 (192.0.2.100) advertises",
		"6.108s sends 254", "6.108s master: 192.0.2.100 has stepped down")

	b = begunAt(t, of(100, two6), left6).forgets()
	for range 5 {
		b.hears(vip6, said6(255)).pass(time.Second)
	}
	b.pass(2600 * time.Millisecond).reads("0s backup: it has just begun")
	b.forgets().pass(10*time.Millisecond).reads("7.609s sends 100", "7.609s master: no advert of fe80::100 for 3.609s")
}
