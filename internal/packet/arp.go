// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Operations of ARP.
const (
	ARPRequest uint16 = 1
	ARPReply   uint16 = 2
)

const (
	arpLength = 28
	// Ethernet (1), IPv4, addresses of 6 and 4 bytes: the only kind of ARP that there is here.
	arpKind = 0x0001_0800_06_04
)

// ARP is a packet of the address resolution protocol for IPv4 over Ethernet (RFC 826).
type ARP struct {
	Operation uint16
	SenderMAC MAC
	Sender    netip.Addr
	TargetMAC MAC
	Target    netip.Addr
}

// GratuitousARP returns two frames that tell every host on the link that ip is at mac now: an
// announcement (a request, RFC 5227 section 3) and a reply (RFC 5944 section 4.6), because some
// hosts believe the one and some the other. ip is IPv4.
func GratuitousARP(mac [6]byte, ip netip.Addr) (request, reply []byte) {
	link := Ethernet{Destination: Broadcast, Source: mac}
	request = Build(link, ARP{Operation: ARPRequest, SenderMAC: mac, Sender: ip, Target: ip})
	reply = Build(link, ARP{Operation: ARPReply, SenderMAC: mac, Sender: ip, TargetMAC: mac, Target: ip})
	return request, reply
}

func (a ARP) header(place) []byte {
	b := binary.BigEndian.AppendUint64(nil, arpKind<<16|uint64(a.Operation))
	b = appendAddr4(append(b, a.SenderMAC[:]...), a.Sender)
	return appendAddr4(append(b, a.TargetMAC[:]...), a.Target)
}

func (a ARP) String() string {
	switch a.Operation {
	case ARPRequest:
		return fmt.Sprintf("arp who-has %s tell %s (%s)", a.Target, a.Sender, macString(a.SenderMAC))
	case ARPReply:
		return fmt.Sprintf("arp %s is-at %s", a.Sender, macString(a.SenderMAC))
	}
	return fmt.Sprintf("arp operation %d", a.Operation)
}

func parseARP(b []byte) (part, error) {
	if len(b) < arpLength {
		return part{}, short("arp", len(b), arpLength)
	}
	kind := binary.BigEndian.Uint64(b)
	if kind>>16 != arpKind {
		return part{}, fmt.Errorf("arp: neither Ethernet nor IPv4: %#012x", kind>>16)
	}
	a := ARP{
		Operation: uint16(kind),
		SenderMAC: MAC(b[8:14]),
		Sender:    netip.AddrFrom4([4]byte(b[14:18])),
		TargetMAC: MAC(b[18:24]),
		Target:    netip.AddrFrom4([4]byte(b[24:28])),
	}
	return part{a, arpLength, arpLength, nil}, nil
}
