// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
)

// Ethernet types (IEEE 802 numbers).
const (
	EtherTypeIPv4 uint16 = 0x0800
	EtherTypeARP  uint16 = 0x0806
	EtherTypeVLAN uint16 = 0x8100 // 802.1Q
	EtherTypeIPv6 uint16 = 0x86dd
	EtherTypeQinQ uint16 = 0x88a8 // 802.1ad
)

// Broadcast is every host on the link.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

const (
	ethernetLength = 14
	vlanLength     = 4
)

// Ethernet is an Ethernet II header.
type Ethernet struct {
	Destination MAC
	Source      MAC
	Type        uint16 // 0: that of the next layer
}

func (e Ethernet) header(at place) []byte {
	b := append(e.Destination[:], e.Source[:]...)
	return binary.BigEndian.AppendUint16(b, either(e.Type, etherType(at.inner)))
}

func (e Ethernet) String() string {
	return fmt.Sprintf("eth %s > %s", macString(e.Source), macString(e.Destination))
}

func parseEthernet(b []byte) (part, error) {
	if len(b) < ethernetLength {
		return part{}, short("ethernet", len(b), ethernetLength)
	}
	e := Ethernet{Destination: MAC(b[:6]), Source: MAC(b[6:12]), Type: binary.BigEndian.Uint16(b[12:])}
	return part{e, ethernetLength, len(b), etherDecoder(e.Type)}, nil
}

// VLAN is an IEEE 802.1Q tag. For 802.1ad set the type of the header before it to EtherTypeQinQ.
type VLAN struct {
	ID           uint16 // 12 bits
	Priority     uint8  // 3 bits
	DropEligible bool
	Type         uint16 // 0: that of the next layer
}

func (v VLAN) header(at place) []byte {
	tci := uint16(v.Priority)<<13 | v.ID&0xfff
	if v.DropEligible {
		tci |= 1 << 12
	}
	b := binary.BigEndian.AppendUint16(nil, tci)
	return binary.BigEndian.AppendUint16(b, either(v.Type, etherType(at.inner)))
}

func (v VLAN) String() string { return fmt.Sprintf("vlan %d", v.ID) }

func parseVLAN(b []byte) (part, error) {
	if len(b) < vlanLength {
		return part{}, short("vlan", len(b), vlanLength)
	}
	tci := binary.BigEndian.Uint16(b)
	v := VLAN{
		ID:           tci & 0xfff,
		Priority:     uint8(tci >> 13),
		DropEligible: tci&(1<<12) != 0,
		Type:         binary.BigEndian.Uint16(b[2:]),
	}
	return part{v, vlanLength, len(b), etherDecoder(v.Type)}, nil
}

// etherType is what names a layer in the Ethernet header; 0: nothing does.
func etherType(l Layer) uint16 {
	switch l.(type) {
	case IPv4:
		return EtherTypeIPv4
	case IPv6:
		return EtherTypeIPv6
	case ARP:
		return EtherTypeARP
	case VLAN:
		return EtherTypeVLAN
	}
	return 0
}

func etherDecoder(t uint16) decoder {
	switch t {
	case EtherTypeIPv4:
		return parseIPv4
	case EtherTypeIPv6:
		return parseIPv6
	case EtherTypeARP:
		return parseARP
	case EtherTypeVLAN, EtherTypeQinQ:
		return parseVLAN
	}
	return nil
}
