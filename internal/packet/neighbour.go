// SPDX-License-Identifier: Apache-2.0

package packet

import "net/netip"

// WhoHas asks every host on the link who has an address, by ARP or by neighbour discovery. It comes from an address of
// the same family. Who asks as 0.0.0.0 is answered nevertheless, and nobody learns anything of him (RFC 5227 section
// 2.1.1); an answer to :: goes to everybody (RFC 4861 section 7.2.4).
func WhoHas(mac MAC, from, address netip.Addr) []byte {
	if address.Is4() {
		return Build(Ethernet{Source: mac, Destination: Broadcast},
			ARP{Operation: ARPRequest, SenderMAC: mac, Sender: from, Target: address})
	}
	group := SolicitedNode(address)
	return Build(Ethernet{Source: mac, Destination: MulticastMAC(group)},
		IPv6{Source: from, Destination: group, HopLimit: ndpHopLimit}, ICMPv6{},
		NeighbourSolicitation{Target: address, SourceMAC: mac})
}

// Claim is who says in a frame that he has an address, if it says so. ARP of any kind says it of its sender, as a
// question without one does not (RFC 5227 sections 2.1.1 and 2.4).
func Claim(frame []byte) (address netip.Addr, mac MAC, ok bool) {
	layers, err := Parse(frame)
	if err != nil {
		return address, mac, false
	}
	if arp, found := Find[ARP](layers); found {
		return arp.Sender, arp.SenderMAC, arp.Sender.IsValid() && !arp.Sender.IsUnspecified()
	}
	na, found := Find[NeighbourAdvertisement](layers)
	ip, _ := Find[IPv6](layers)
	link, _ := Find[Ethernet](layers)
	if !found || ip.HopLimit != ndpHopLimit { // it came through a router (RFC 4861 section 7.1.2)
		return address, mac, false
	}
	if mac = na.TargetMAC; mac == (MAC{}) {
		mac = link.Source
	}
	return na.Target, mac, true
}
