// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"encoding/binary"
	"net/netip"

	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// advert is one of VRRP over IPv4 (RFC 9568 section 5.2), made here without weir's own code: that one may be wrong.
type advert struct {
	from, to  netip.Addr
	ttl       uint8
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
	group    = netip.MustParseAddr("224.0.0.18")
	groupMAC = packet.MAC{0x01, 0x00, 0x5e, 0, 0, 18}
)

// master is what one with these addresses says to all.
func master(from netip.Addr, priority uint8, addresses ...netip.Addr) advert {
	return advert{from: from, to: group, ttl: 255, version: 3, kind: 1, id: lab.RouterID, priority: priority, interval: 10,
		count: uint8(len(addresses)), addresses: addresses}
}

// text is the advert itself.
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
	return packet.Build(packet.Ethernet{Source: from, Destination: to},
		packet.IPv4{Source: a.from, Destination: a.to, TTL: a.ttl, Protocol: protocolVRRP}, packet.Payload(a.text()))
}

// shout says it to the whole link.
func (e *ear) shout(a advert) error { return e.say(a.frame(e.mac, groupMAC)) }
