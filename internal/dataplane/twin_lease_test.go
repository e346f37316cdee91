// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"

	"github.com/weir-lb/weir/internal/packet"
)

// leaseOver says whether nobody is told where an address is.
func (t *twin) leaseOver(address netip.Addr) bool {
	router, ok := t.leased[address]
	return ok && !t.holds[router]
}

// asksARP decides about a frame of ARP, p.ip being where that begins.
func (t *twin) asksARP(p parsed) verdict {
	b := p.frame[p.ip:]
	if len(b) < 28 || b[2] != 8 || b[3] != 0 || b[4] != 6 || b[5] != 4 {
		return notIP
	}
	announced := [4]byte(b[14:18]) == [4]byte(b[24:28])
	if !announced && t.leaseOver(netip.AddrFrom4([4]byte(b[24:28]))) {
		return leaseOver
	}
	return notIP
}

// asksMulticast decides about an IPv6 frame that is for no MAC of ours.
func (t *twin) asksMulticast(p parsed) verdict {
	b := p.frame[p.ip:]
	if p.frame[0] != 0x33 || p.frame[1] != 0x33 || len(b) < 40 || b[6] != byte(packet.ProtocolICMPv6) {
		return otherHost
	}
	return t.solicits(b[40:], otherHost)
}

// solicits decides about ICMPv6.
func (t *twin) solicits(b []byte, v verdict) verdict {
	if len(b) < 24 || b[0] != packet.ICMPv6NeighbourSolicit || !t.leaseOver(netip.AddrFrom16([16]byte(b[8:24]))) {
		return v
	}
	return leaseOver
}
