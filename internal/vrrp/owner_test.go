// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// owned are virtual routers of addresses that one host has for its own. Those of ofLeft are its primary ones, from which
// its adverts come; keepalived takes those that it is told to have away before it begins, and needs others to do so.
var (
	ofLeft = shared{
		{Name: "left4", ID: 57, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("192.0.2.1/24")},
		{Name: "left6", ID: 58, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("fe80::1/64")},
	}
	ofRight = shared{
		{Name: "right4", ID: 59, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("192.0.2.59/24")},
		{Name: "right6", ID: 60, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("fe80::60/64")},
	}
)

func (d *director) isOwnerOf(s shared) {
	d.t.Helper()
	d.becomes(model.VRRPMaster, s.names()...)
	for _, name := range s.names() {
		if why := d.seen(name).Why; why != "the addresses are this host's own" {
			d.t.Errorf("%s: %q", name, why)
		}
	}
}

func TestWeirIsOwnerBesideKeepalived(t *testing.T) {
	t.Parallel()
	netlab.NeedKeepalived(t)
	left, right := newLAN(t)
	peer := right.keepalived(ofLeft, 254)
	peer.becomes("MASTER")
	right.hearsOwn()
	weir := left.direct(left.ours(ofLeft, 255)...)
	weir.isOwnerOf(ofLeft)
	peer.becomes("BACKUP")
	weir.kill()
	peer.becomes("MASTER")
	again := left.direct(left.ours(ofLeft, 255)...)
	again.isOwnerOf(ofLeft)
	peer.becomes("BACKUP")
	again.saysGoodbyeTo(peer)
}

func TestKeepalivedIsOwnerBesideWeir(t *testing.T) {
	t.Parallel()
	netlab.NeedKeepalived(t)
	left, right := newLAN(t)
	weir := left.direct(left.ours(ofRight, 254)...)
	weir.becomes(model.VRRPMaster, ofRight.names()...)
	peer := right.keepalived(ofRight, 255)
	peer.becomes("MASTER")
	weir.becomes(model.VRRPBackup, ofRight.names()...)
	for _, name := range ofRight.names() {
		if seen := weir.seen(name); seen.Priority != 255 {
			t.Errorf("%s: %+v", name, seen)
		}
	}
	weir.hearsGoodbyeOf(peer)
	weir.isUnderstood()
}

// TestOwnerIsHeardThoughItsAddressIsHere: who has taken over from it has the address from which it says that it is back.
func TestOwnerIsHeardThoughItsAddressIsHere(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	owner, backup := left.direct(left.ours(ofLeft, 255)...), right.direct(right.oursFrom(ofLeft, 254, "fe80::2")...)
	owner.isOwnerOf(ofLeft)
	backup.becomes(model.VRRPBackup, ofLeft.names()...)
	within(t, "the backup knows the owner", func() bool {
		return backup.seen("left4").Master == left.Own && backup.seen("left6").Master == netip.MustParseAddr("fe80::1")
	})
	owner.kill()
	backup.becomes(model.VRRPMaster, ofLeft.names()...)
	right.Run("ip addr add 192.0.2.1/24 dev eth0")
	right.Run("ip addr add fe80::1/64 dev eth0")
	right.hearsOwn()
	left.direct(left.ours(ofLeft, 255)...).isOwnerOf(ofLeft)
	backup.becomes(model.VRRPBackup, ofLeft.names()...)
	for _, name := range ofLeft.names() {
		if seen := backup.seen(name); seen.Priority != 255 {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}
