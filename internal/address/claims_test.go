// SPDX-License-Identifier: Apache-2.0

package address

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

var (
	ownMAC, strangeMAC = model.MAC{2, 0, 0, 0, 0, 1}, model.MAC{2, 0, 0, 0, 0, 9}
	claimedAddress     = netip.MustParseAddr("192.0.2.10")
	claimedHolding     = holding{2, claimedAddress}
)

// newFollowing holds one address on eth0.
func newFollowing() *book {
	b := newBook()
	b.follow([]model.Link{{Name: "eth0", Index: 2, MAC: ownMAC}, {Name: "lo", Index: 1, Loopback: true}},
		[]model.VIP{{Address: claimedAddress, Interface: "eth0"}, {Address: netip.MustParseAddr("192.0.2.11"), Interface: "lo"}})
	return b
}

// TestWhoInsistsIsToldOf, and nobody else: an old master may still be letting go, and this host hears itself.
func TestWhoInsistsIsToldOf(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newFollowing()
	for _, c := range []claim{
		{claimedHolding, ownMAC},
		{holding{3, claimedAddress}, strangeMAC},
		{holding{1, netip.MustParseAddr("192.0.2.11")}, strangeMAC},
		{holding{2, netip.MustParseAddr("192.0.2.12")}, strangeMAC},
	} {
		if b.hear(c, now) || len(b.heard) > 0 {
			t.Errorf("%v was noted: it is nobody else's claim to what is held", c)
		}
	}
	if b.hear(claim{claimedHolding, strangeMAC}, now) || len(b.heard) != 1 {
		t.Errorf("a first claim: heard is %v", b.heard)
	}
	if b.hear(claim{claimedHolding, strangeMAC}, now.Add(insists/2)) || len(b.told()) > 0 {
		t.Errorf("a claim again at once: told is %v", b.told())
	}
	if !b.hear(claim{claimedHolding, strangeMAC}, now.Add(insists)) || b.told()[claimedAddress] != (model.Claim{Interface: "eth0", MAC: strangeMAC}) {
		t.Errorf("it is insisted on, and told is %v", b.told())
	}
	if b.hear(claim{claimedHolding, strangeMAC}, now.Add(2*insists)) {
		t.Error("nothing has changed, and is told again")
	}
}

// TestTwoClaimantsAreToldOf, who speak by turns: the one with the lowest MAC, and the other one when that has gone.
func TestTwoClaimantsAreToldOf(t *testing.T) {
	low, high := model.MAC{2, 0, 0, 0, 0, 8}, strangeMAC
	now := time.Unix(1000, 0)
	b := newFollowing()
	for range 4 {
		b.hear(claim{claimedHolding, high}, now)
		b.hear(claim{claimedHolding, low}, now.Add(time.Millisecond))
		now = now.Add(askAgain)
	}
	if is := b.told()[claimedAddress].MAC; is != low {
		t.Errorf("two claim it, and told is %x", is)
	}
	if asked := b.doubtful(now); !slices.Equal(asked, []holding{claimedHolding}) {
		t.Errorf("asked is for %v: once is enough for both", asked)
	}
	for range 9 {
		b.hear(claim{claimedHolding, high}, now)
		now = now.Add(askAgain)
	}
	if !b.forget(now) || b.told()[claimedAddress].MAC != high {
		t.Errorf("one has gone, and told is %v", b.told())
	}
}

// TestClaimantsAreBounded: who makes up a MAC for each frame fills no memory.
func TestClaimantsAreBounded(t *testing.T) {
	b := newFollowing()
	for n := range byte(100) {
		b.hear(claim{claimedHolding, model.MAC{6, 0, 0, 0, 0, n}}, time.Unix(1000, 0))
	}
	if n := len(b.heard[claimedHolding]); n != claimantsMost {
		t.Errorf("%d are remembered", n)
	}
}

// TestAVirtualMACIsNobodyElses, also before its device is there.
func TestAVirtualMACIsNobodyElses(t *testing.T) {
	b := newBook()
	virtual := model.MAC{0, 0, 0x5e, 0, 1, 51}
	b.follow([]model.Link{{Name: "eth0", Index: 2, MAC: ownMAC}}, []model.VIP{{Address: claimedAddress, Interface: "eth0", MAC: virtual}})
	if b.hear(claim{claimedHolding, virtual}, time.Unix(1000, 0)); len(b.heard) > 0 {
		t.Error("its own announcements are taken for somebody else's")
	}
	if b.hear(claim{claimedHolding, strangeMAC}, time.Unix(1000, 0)); len(b.heard) != 1 {
		t.Error("somebody else is not heard")
	}
}

func TestClaimsEnd(t *testing.T) {
	now := time.Unix(1000, 0)
	insistent := func() *book {
		b := newFollowing()
		b.hear(claim{claimedHolding, strangeMAC}, now)
		b.hear(claim{claimedHolding, strangeMAC}, now.Add(insists))
		return b
	}
	b := insistent()
	if b.forget(now.Add(insists+claimEnds)) || !b.forget(now.Add(insists+claimEnds+1)) || len(b.told()) > 0 {
		t.Errorf("nobody answers any more, and told is %v", b.told())
	}
	b = insistent()
	if !b.follow([]model.Link{{Name: "eth0", Index: 2, MAC: ownMAC}}, nil) || len(b.told()) > 0 {
		t.Errorf("the address is not held any more, and told is %v", b.told())
	}
	b = insistent()
	if b.hear(claim{claimedHolding, model.MAC{2, 0, 0, 0, 0, 8}}, now.Add(time.Second)) || b.told()[claimedAddress].MAC != strangeMAC {
		t.Errorf("somebody else claims it for the first time, too, and told is %v", b.told())
	}
}

// manyVIPs are held on eth0.
func manyVIPs(n int) (vips []model.VIP) {
	a := netip.MustParseAddr("198.18.0.0")
	for range n {
		vips, a = append(vips, model.VIP{Address: a, Interface: "eth0"}), a.Next()
	}
	return vips
}

// TestEveryAddressIsAskedFor, however many there are; and so are all that somebody else claims.
func TestEveryAddressIsAskedFor(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	vips := manyVIPs(150)
	b.follow([]model.Link{{Name: "eth0", Index: 2, MAC: ownMAC}}, vips)
	for _, vip := range vips {
		b.hear(claim{holding{2, vip.Address}, strangeMAC}, now)
	}
	for what, turn := range map[string]func() []holding{"all": b.turn, "claimed": func() []holding { return b.doubtful(now) }} {
		asked := map[holding]bool{}
		for range 3 {
			turn := turn()
			if len(turn) > askMost {
				t.Errorf("%s: a turn of %d", what, len(turn))
			}
			for _, h := range turn {
				asked[h] = true
			}
		}
		if len(asked) != len(vips) {
			t.Errorf("%s: %d of %d were asked for in three turns", what, len(asked), len(vips))
		}
	}
}

// TestClaimsEndLaterWhereManyAreAskedFor: nobody has let seven questions go by who was asked twice.
func TestClaimsEndLaterWhereManyAreAskedFor(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBook()
	vips := manyVIPs(2 * askMost)
	b.follow([]model.Link{{Name: "eth0", Index: 2, MAC: ownMAC}}, vips)
	for _, at := range []time.Time{now, now.Add(insists)} {
		for _, vip := range vips {
			b.hear(claim{holding{2, vip.Address}, strangeMAC}, at)
		}
	}
	if b.forget(now.Add(insists+2*claimEnds)) || !b.forget(now.Add(insists+2*claimEnds+1)) {
		t.Errorf("%d are left", len(b.heard))
	}
}

// TestDoubtsAreAskedForSoon, for as long as somebody insists, and for a second else; then he is remembered for a while.
func TestDoubtsAreAskedForSoon(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newFollowing()
	b.hear(claim{claimedHolding, strangeMAC}, now)
	if len(b.doubtful(now)) != 1 || len(b.doubtful(now.Add(claimDoubted))) != 0 {
		t.Error("one who was heard once is asked for a second")
	}
	if b.forget(now.Add(claimForgotten)); len(b.heard) != 1 {
		t.Error("he is forgotten too soon")
	}
	b.hear(claim{claimedHolding, strangeMAC}, now.Add(claimForgotten))
	if len(b.doubtful(now.Add(2*claimForgotten))) != 1 {
		t.Error("he insists, and is not asked for")
	}
	b = newFollowing()
	b.hear(claim{claimedHolding, strangeMAC}, now)
	if b.forget(now.Add(claimForgotten+1)) || len(b.heard) != 0 {
		t.Error("he was told of, or is remembered for ever")
	}
}
