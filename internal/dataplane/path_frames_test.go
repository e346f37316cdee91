// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Changes of layers, for rows of the packet table that read like sentences.

// with returns layers in which the first one of type T is changed.
func with[T packet.Layer](layers packet.Layers, change func(*T)) packet.Layers {
	layers = slices.Clone(layers)
	for i, layer := range layers {
		if l, ok := layer.(T); ok {
			change(&l)
			layers[i] = l
			break
		}
	}
	return layers
}

// insert returns layers with others before the one at index at.
func insert(layers packet.Layers, at int, more ...packet.Layer) packet.Layers {
	return slices.Insert(slices.Clone(layers), at, more...)
}

func ttl(layers packet.Layers, n uint8) packet.Layers {
	layers = with(layers, func(ip *packet.IPv4) { ip.TTL = n })
	return with(layers, func(ip *packet.IPv6) { ip.HopLimit = n })
}

func toMAC(layers packet.Layers, mac packet.MAC) packet.Layers {
	return with(layers, func(e *packet.Ethernet) { e.Destination = mac })
}

func fromMAC(layers packet.Layers, mac packet.MAC) packet.Layers {
	return with(layers, func(e *packet.Ethernet) { e.Source = mac })
}

// uncut forbids routers to cut the packet into fragments. In IPv6 they never may.
func uncut(layers packet.Layers) packet.Layers {
	return with(layers, func(ip *packet.IPv4) { ip.Flags |= packet.DontFragment })
}

// tagged is a frame of the clients' VLAN, with a priority.
func tagged(layers packet.Layers) packet.Layers {
	return insert(layers, 1, packet.VLAN{ID: frontVLAN, Priority: 5, DropEligible: true})
}

// taggedAs is a frame of any VLAN.
func taggedAs(layers packet.Layers, id uint16) packet.Layers {
	return insert(layers, 1, packet.VLAN{ID: id, Priority: 3})
}

// onBackVLAN is a frame of the servers' VLAN.
func onBackVLAN(layers packet.Layers) packet.Layers {
	return toMAC(taggedAs(layers, backVLAN), backVLANMAC)
}

func providerTagged(layers packet.Layers) packet.Layers {
	return with(tagged(layers), func(e *packet.Ethernet) { e.Type = packet.EtherTypeQinQ })
}

// lengthen makes the IP header speak of n bytes more than there are.
func lengthen(layers packet.Layers, n int) packet.Layers {
	body := len(packet.Build(layers[2:]...))
	layers = with(layers, func(ip *packet.IPv4) { ip.Length = uint16(20 + body + n) })
	return with(layers, func(ip *packet.IPv6) { ip.Length = uint16(body + n) })
}

// transportLength is the least length of a transport header; SCTP's first chunk begins in it.
func transportLength(p model.Protocol) int {
	return map[model.Protocol]int{model.TCP: 20, model.UDP: 8, model.SCTP: 16}[p]
}

func longTransport(layers packet.Layers) packet.Layers {
	layers = with(layers, func(t *packet.TCP) { t.DataOffset = 6 })
	return with(layers, func(u *packet.UDP) { u.Length = 9 })
}

func shortTransport(layers packet.Layers) packet.Layers {
	layers = with(layers, func(t *packet.TCP) { t.DataOffset = 4 })
	return with(layers, func(u *packet.UDP) { u.Length = 7 })
}

// version writes another IP version into the header.
func version(layers packet.Layers, v byte) packet.Layers {
	frame := packet.Build(layers...)
	frame[14] = v<<4 | frame[14]&0xf
	return raw(frame)
}

// raw is a frame whose bytes stay as they are.
func raw(frame []byte) packet.Layers { return packet.Layers{packet.Payload(frame)} }

// cut makes fragments of a packet without extension headers: one more than there are places to cut,
// which are offsets behind the IP header.
func cut(layers packet.Layers, id uint32, at ...int) []packet.Layers {
	frame := packet.Build(layers...)
	parsed, _ := packet.Parse(frame)
	headers := throughIP(parsed)
	body := frame[len(packet.Build(headers...)):]
	var out []packet.Layers
	begin := 0
	for _, end := range append(at, len(body)) {
		out = append(out, fragmentOf(headers, body[begin:end], id, begin, end < len(body)))
		begin = end
	}
	return out
}

// throughIP are the layers down to the IP header, of which Build fills in lengths, types and checksums.
func throughIP(layers packet.Layers) packet.Layers {
	at := slices.IndexFunc(layers, func(l packet.Layer) bool {
		_, four := l.(packet.IPv4)
		_, six := l.(packet.IPv6)
		return four || six
	})
	headers := with(layers[:at+1], func(e *packet.Ethernet) { e.Type = 0 })
	headers = with(headers, func(v *packet.VLAN) { v.Type = 0 })
	headers = with(headers, func(ip *packet.IPv4) { ip.Length, ip.Checksum = 0, 0 })
	return with(headers, func(ip *packet.IPv6) { ip.Length = 0 })
}

// fragmentOf is one fragment; the last of the headers is the packet's IP header.
func fragmentOf(headers packet.Layers, body []byte, id uint32, offset int, more bool) packet.Layers {
	var flags uint8
	if more {
		flags = packet.MoreFragments
	}
	ip, isIPv6 := packet.Find[packet.IPv6](headers)
	headers = with(headers, func(ip *packet.IPv4) { ip.ID, ip.Offset, ip.Flags = uint16(id), uint16(offset/8), flags })
	if isIPv6 {
		headers = with(headers, func(ip *packet.IPv6) { ip.Next = packet.ProtocolFragment })
		headers = append(headers, packet.Fragment{Next: ip.Next, ID: id, Offset: uint16(offset / 8), Flags: flags})
	}
	return append(headers, packet.Payload(body))
}

// about is an error of ICMP from an address, on the clients' link. Word is what follows the checksum:
// the MTU, where there is one.
func about(from, to netip.Addr, kind, code uint8, word uint32, quoted []byte) packet.Layers {
	link := packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}
	body := packet.Payload(append(binary.BigEndian.AppendUint32(nil, word), quoted...))
	ip := ipHeader(netip.AddrPortFrom(from, 0), netip.AddrPortFrom(to, 0))
	if from.Is4() {
		return packet.Layers{link, ip, packet.ICMP{Type: kind, Code: code}, body}
	}
	return packet.Layers{link, ip, packet.ICMPv6{Type: kind, Code: code}, body}
}

// unreachable is an error about a packet.
func unreachable(from, to netip.Addr, quoted []byte) packet.Layers {
	if from.Is4() {
		return about(from, to, 3, 1, 0, quoted)
	}
	return about(from, to, 1, 3, 0, quoted)
}

// narrow says that a packet was too large for a link.
func narrow(from, to netip.Addr, mtu uint32, quoted []byte) packet.Layers {
	if from.Is4() {
		return about(from, to, 3, 4, mtu, quoted)
	}
	return about(from, to, 2, 0, mtu, quoted)
}

// packetOf is a frame without its Ethernet header.
func packetOf(layers packet.Layers) []byte { return packet.Build(layers...)[14:] }

// turned is a packet that a server sends to the client in answer, as the client sees it.
func (c talk) turned() packet.Layers {
	link := packet.Ethernet{Source: macOf(1), Destination: gatewayMAC}
	layers := append(packet.Layers{link, ipHeader(c.service, c.client)}, c.transport(c.service, c.client, packet.ACK)...)
	return append(layers, packet.Payload("answer"))
}

// sumTo is a payload by which the datagram to server gets checksum 0 (sent as 0xffff), or one of
// those below it.
func sumTo(c talk, server netip.Addr, below uint16) []byte {
	probe := c
	probe.service = netip.AddrPortFrom(server, c.service.Port())
	frame := packet.Build(append(probe.open(), packet.Payload{0, 0})...)
	layers, _ := packet.Parse(frame)
	udp, _ := packet.Find[packet.UDP](layers)
	return binary.BigEndian.AppendUint16(nil, udp.Checksum-min(below, udp.Checksum))
}
