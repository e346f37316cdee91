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

func tagged(layers packet.Layers) packet.Layers { return insert(layers, 1, packet.VLAN{ID: 42}) }

func providerTagged(layers packet.Layers) packet.Layers {
	return with(tagged(layers), func(e *packet.Ethernet) { e.Type = packet.EtherTypeQinQ })
}

// lengthen makes the IP header speak of n bytes more than there are.
func lengthen(layers packet.Layers, n int) packet.Layers {
	body := len(packet.Build(layers[2:]...))
	layers = with(layers, func(ip *packet.IPv4) { ip.Length = uint16(20 + body + n) })
	return with(layers, func(ip *packet.IPv6) { ip.Length = uint16(body + n) })
}

func transportLength(p model.Protocol) int {
	if p == model.UDP {
		return 8
	}
	return 20
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

// withoutSums makes Build compute every checksum again.
func withoutSums(layers packet.Layers) packet.Layers {
	layers = slices.Clone(layers)
	for i, layer := range layers {
		switch l := layer.(type) {
		case packet.IPv4:
			l.Checksum = 0
			layers[i] = l
		case packet.TCP:
			l.Checksum = 0
			layers[i] = l
		case packet.UDP:
			l.Checksum = 0
			layers[i] = l
		}
	}
	return layers
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
