// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// advert is one of VRRP (RFC 9568 section 5.2), made here without weir's own code: that one may be wrong.
type advert struct {
	from, to  netip.Addr
	ttl       uint8 // or hop limit
	version   uint8
	kind      uint8
	id        uint8
	priority  uint8
	interval  uint16 // hundredths of a second
	count     uint8  // of addresses, as it says
	addresses []netip.Addr
	wrong     uint16 // what is added to the checksum
	cut       int    // bytes that are missing at its end
}

const protocolVRRP = 112

var (
	group     = netip.MustParseAddr("224.0.0.18")
	group6    = netip.MustParseAddr("ff02::12")
	groupMAC  = packet.MAC{0x01, 0x00, 0x5e, 0, 0, 18}
	groupMAC6 = packet.MAC{0x33, 0x33, 0, 0, 0, 0x12}
)

// groupOf is whom adverts of a family go to, if there are no peers.
func groupOf(f lab.Family) (netip.Addr, packet.MAC) {
	if f == lab.IPv6 {
		return group6, groupMAC6
	}
	return group, groupMAC
}

// master is what one with these addresses says to all.
func master(from netip.Addr, priority uint8, addresses ...netip.Addr) advert {
	to, _ := groupOf(familyOf(from))
	return advert{from: from, to: to, ttl: 255, version: 3, kind: 1, id: lab.RouterID, priority: priority, interval: 10,
		count: uint8(len(addresses)), addresses: addresses}
}

// ours are the addresses of the virtual router of a family.
func (p *pair) ours(f lab.Family) []netip.Addr {
	if f == lab.IPv6 {
		return []netip.Addr{lab.LinkLocal, p.lab.VIP.IPv6}
	}
	return []netip.Addr{p.lab.VIP.IPv4}
}

// speaker is the address from which a host's adverts to all come: in IPv6 the link-local one of its interface, which is
// not that of a virtual router.
func speaker(host *lab.Node, f lab.Family) (from netip.Addr, err error) {
	if f == lab.IPv4 {
		return host.Address.IPv4, nil
	}
	addresses, err := host.Addresses()
	for _, a := range addresses {
		if a.Is6() && a.IsLinkLocalUnicast() && a != lab.LinkLocal {
			from = a
		}
	}
	if err == nil && !from.IsValid() {
		err = fmt.Errorf("%s has no link-local address", host.Name)
	}
	return from, err
}

func familyOf(a netip.Addr) lab.Family {
	if a.Is4() {
		return lab.IPv4
	}
	return lab.IPv6
}

// text is the advert itself. Its checksum is over a pseudo header of what the addresses' family has: in another order,
// which changes no sum (RFC 8200 section 8.1).
func (a advert) text() []byte {
	b := []byte{a.version<<4 | a.kind, a.id, a.priority, a.count}
	b = append(binary.BigEndian.AppendUint16(b, a.interval), 0, 0)
	for _, address := range a.addresses {
		b = append(b, address.AsSlice()...)
	}
	pseudo := append(append(a.from.AsSlice(), a.to.AsSlice()...), 0, protocolVRRP)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], packet.Checksum(append(pseudo, b...))+a.wrong)
	return b[:len(b)-a.cut]
}

// frame is the advert on its way to a MAC.
func (a advert) frame(from, to packet.MAC) []byte {
	if a.from.Is6() {
		return packet.Build(packet.Ethernet{Source: from, Destination: to},
			packet.IPv6{Source: a.from, Destination: a.to, HopLimit: a.ttl, Next: protocolVRRP}, packet.Payload(a.text()))
	}
	return packet.Build(packet.Ethernet{Source: from, Destination: to},
		packet.IPv4{Source: a.from, Destination: a.to, TTL: a.ttl, Protocol: protocolVRRP}, packet.Payload(a.text()))
}

// shout says it to the whole link.
func (e *ear) shout(a advert) error {
	_, mac := groupOf(familyOf(a.from))
	return e.say(a.frame(e.mac, mac))
}
