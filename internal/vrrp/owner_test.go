// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// ofRight are virtual routers of addresses that one host has for its own. keepalived takes those that it is told to have
// away before it begins, and needs others to do so.
var ofRight = shared{
	{Name: "right4", ID: 59, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("192.0.2.59/24")},
	{Name: "right6", ID: 60, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("fe80::60/64")},
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
