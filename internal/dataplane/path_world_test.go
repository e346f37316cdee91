// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// The director of the packet table has two links: clients are behind the router on "front",
// servers on "back", some of both on the other one. A third link is there and is not weir's. On each
// of the two is a VLAN device; that of the clients has the MAC of its parent, as Linux makes them.
const (
	front     = 11
	back      = 12
	foreign   = 13
	linkMTU   = 1500
	frontVLAN = 42
	backVLAN  = 7
	vlanMTU   = 1400
)

var (
	frontMAC    = model.MAC{2, 0, 0, 0, 1, front}
	backMAC     = model.MAC{2, 0, 0, 0, 1, back}
	backVLANMAC = model.MAC{2, 0, 0, 0, 1, backVLAN}
	gatewayMAC  = model.MAC{2, 0, 0, 0, 2, 1}
)

// Addresses of the director, by which tunnels begin.
var (
	director4 = netip.MustParseAddr("198.51.100.1")
	director6 = netip.MustParseAddr("2001:db8:b::1")
)

// method is a way to a server: with TUN, the family of the outer header counts too.
type method struct {
	name       string
	forwarding model.Forwarding
	verdict    verdict
	host       byte // last byte of the VIPs whose servers it reaches
	outer      family
	tunnel     model.Tunnel
	onVLAN     bool // the servers are on VLANs
}

// family is an IP version; 0: that of the client.
type family int

// oddGUE is a port of which only the server knows.
const oddGUE = 5555

var methods = []method{
	{name: "dr", forwarding: model.DR, verdict: dr, host: 10},
	{name: "tun4", forwarding: model.TUN, verdict: tun, host: 20, outer: 4},
	{name: "tun6", forwarding: model.TUN, verdict: tun, host: 21, outer: 6},
	{name: "nat", forwarding: model.NAT, verdict: natIn, host: 30},
	through("gre4", 22, 4, model.Tunnel{Type: model.GRE}),
	through("gre4 with checksum", 23, 4, model.Tunnel{Type: model.GRE, Checksum: true}),
	through("gre6", 24, 6, model.Tunnel{Type: model.GRE}),
	through("gre6 with checksum", 25, 6, model.Tunnel{Type: model.GRE, Checksum: true}),
	through("gue4", 26, 4, model.Tunnel{Type: model.GUE, Port: packet.PortGUE}),
	through("gue4 with checksum", 27, 4, model.Tunnel{Type: model.GUE, Port: packet.PortGUE, Checksum: true}),
	through("gue6", 28, 6, model.Tunnel{Type: model.GUE, Port: oddGUE}),
	through("gue6 with checksum", 29, 6, model.Tunnel{Type: model.GUE, Port: packet.PortGUE, Checksum: true}),
	through("tun4 from a prefix", 40, 4, model.Tunnel{Source: netip.MustParsePrefix("198.51.100.128/25")}),
	through("tun6 from a prefix", 41, 6, model.Tunnel{Source: netip.MustParsePrefix("2001:db8:b:1::/64")}),
	through("gre4 from a prefix", 42, 4, model.Tunnel{Type: model.GRE, Source: netip.MustParsePrefix("198.51.0.0/16")}),
	through("gue6 with checksum from a prefix", 43, 6, model.Tunnel{
		Type: model.GUE, Port: packet.PortGUE, Checksum: true, Source: netip.MustParsePrefix("2001:db8:b:2::/112"),
	}),
	through("gue4 with checksum from one address", 44, 4, model.Tunnel{
		Type: model.GUE, Port: packet.PortGUE, Checksum: true, Source: netip.MustParsePrefix("198.51.100.129/32"),
	}),
	{name: "dr on a VLAN", forwarding: model.DR, verdict: dr, host: 50, onVLAN: true},
	{name: "tun6 on a VLAN", forwarding: model.TUN, verdict: tun, host: 51, outer: 6, onVLAN: true},
	{name: "nat on a VLAN", forwarding: model.NAT, verdict: natIn, host: 52, onVLAN: true},
}

func through(name string, host byte, outer family, t model.Tunnel) method {
	return method{name: name, forwarding: model.TUN, verdict: tun, host: host, outer: outer, tunnel: t}
}

var protocols = []model.Protocol{model.TCP, model.UDP, model.SCTP}

func vip(f family, host byte) netip.Addr {
	if f == 4 {
		return netip.AddrFrom4([4]byte{192, 0, 2, host})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:a::%d", host))
}

func serverAddr(f family, host byte) netip.Addr {
	if f == 4 {
		return netip.AddrFrom4([4]byte{198, 51, 100, host})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:b::%d", host))
}

func clientAddr(f family) netip.Addr {
	if f == 4 {
		return netip.MustParseAddr("203.0.113.7")
	}
	return netip.MustParseAddr("2001:db8:c::7")
}

func macOf(host byte) model.MAC { return model.MAC{2, 0, 0, 0, 3, host} }

// toServer is a server of weight 1 that is reached over the back link.
func toServer(f family, host byte, port uint16, forwarding model.Forwarding) model.ServerWant {
	source := director4
	if f == 6 {
		source = director6
	}
	a := serverAddr(f, host)
	return model.ServerWant{
		Key: model.ServerKey{Address: a, Port: port}, Forwarding: forwarding, Weight: 1,
		Link: back, Next: a, MAC: macOf(host), SourceMAC: backMAC, Source: source, MTU: linkMTU,
	}
}

// oneArmed moves a server to the link that clients come from.
func oneArmed(w model.ServerWant) model.ServerWant {
	w.Link, w.SourceMAC = front, frontMAC
	return w
}

// onVLAN moves a server to the VLAN of its link.
func onVLAN(w model.ServerWant) model.ServerWant {
	w.MTU = vlanMTU
	if w.VLAN = frontVLAN; w.Link == back {
		w.VLAN, w.SourceMAC = backVLAN, backVLANMAC
	}
	return w
}

func webPort(p model.Protocol) uint16 {
	return map[model.Protocol]uint16{model.TCP: 80, model.UDP: 53, model.SCTP: 3868}[p]
}

// Ports of the odd VIP: each has a service at which something is the matter.
const (
	oddHost = 99

	oddWeightless = 1 + iota
	oddEmpty
	oddUnresolved
	oddUnroutable
	oddLocal
	oddBackup
	oddNarrowDR
	oddNarrowTUN
	oddNarrowGUE
	oddNAT      // one server
	oddNATTwin  // the same server
	oddNATOther // the same server, and another one
	oddNATAny   // a server without port
	oddWRR
	oddMixed // each method
	oddPass  // what belongs to no connection is not forwarded
	oddLocalNAT
	oddBounded // two connections may be half open
	oddBoundedNAT
	oddTwoBoxes  // this host, of weight 0, and a server that is a director, too
	oddLingering // the same, served a moment ago
	oddBeside    // the same, served by the other director
)

// directorHost is a server that balances, too.
const directorHost = 85

// Hosts of VIPs with a service for any port; the second has one for port 80 too.
const (
	anyHost   = 98
	exactHost = 97
)

// The VIP whose services limit the MSS, and a port for each method.
const (
	mssHost  = 96
	mssLimit = 1400

	mssDR  = 1
	mssTUN = 2
	mssNAT = 3
	mssOdd = 4 // the limit is odd
)

// frontVirtual are the MACs of virtual routers: ids at the edges of bytes, and the two families.
var frontVirtual = []model.MAC{virtualMAC(1, 51), virtualMAC(1, 1), virtualMAC(1, 255), virtualMAC(2, 52), virtualMAC(2, 8)}

func virtualMAC(family, id byte) model.MAC { return model.MAC{0, 0, 0x5e, 0, family, id} }

// world is what the director is told to hold.
func world() model.DataplaneWant {
	want := model.DataplaneWant{Revision: 1, Interfaces: []model.InterfaceWant{
		{Name: "front", Index: front, MAC: frontMAC, MTU: linkMTU, VirtualMACs: frontVirtual},
		{Name: "back", Index: back, MAC: backMAC, MTU: linkMTU},
		{Name: "front.42", Index: 21, MAC: frontMAC, MTU: vlanMTU, Parent: front, VLAN: frontVLAN, VirtualMACs: frontVirtual[:1]},
		{Name: "back.7", Index: 22, MAC: backVLANMAC, MTU: vlanMTU, Parent: back, VLAN: backVLAN},
	}}
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				want.Services = append(want.Services, plainService(f, p, m))
			}
			want.Services = append(want.Services, anyPortServices(f, p)...)
		}
		want.Services = append(want.Services, oddServices(f)...)
		want.Services = append(want.Services, mssServices(f)...)
	}
	return want
}

// plainService has three servers, the last of them on the clients' link.
func plainService(f family, p model.Protocol, m method) model.ServiceWant {
	outer := f
	if m.outer != 0 {
		outer = m.outer
	}
	port := webPort(p)
	if m.forwarding == model.NAT {
		port += 8000
	}
	servers := []model.ServerWant{
		toServer(outer, 1, port, m.forwarding),
		toServer(outer, 2, port, m.forwarding),
		oneArmed(toServer(outer, 3, port, m.forwarding)),
	}
	for i, w := range servers {
		if w.Tunnel = m.tunnel; m.onVLAN {
			w = onVLAN(w)
		}
		servers[i] = w
	}
	return service(f, m.host, webPort(p), p, servers...)
}

func service(f family, host byte, port uint16, p model.Protocol, servers ...model.ServerWant) model.ServiceWant {
	return model.ServiceWant{
		Key:       model.ServiceKey{Address: vip(f, host), Port: port, Protocol: p},
		Scheduler: model.RR, Serving: true, Servers: servers,
	}
}

func anyPortServices(f family, p model.Protocol) []model.ServiceWant {
	return []model.ServiceWant{
		service(f, anyHost, model.AnyPort, p, toServer(f, 50, model.AnyPort, model.NAT)),
		service(f, exactHost, model.AnyPort, p, toServer(f, 51, model.AnyPort, model.DR)),
		service(f, exactHost, webPort(p), p, toServer(f, 52, webPort(p), model.DR)),
	}
}

func oddServices(f family) []model.ServiceWant {
	odd := func(port uint16, servers ...model.ServerWant) model.ServiceWant {
		return service(f, oddHost, port, model.TCP, servers...)
	}
	with := func(w model.ServerWant, change func(*model.ServerWant)) model.ServerWant {
		change(&w)
		return w
	}
	bounded := func(s model.ServiceWant) model.ServiceWant {
		s.HalfOpen = 2
		return s
	}
	backup := odd(oddBackup, toServer(f, 60, oddBackup, model.DR))
	backup.Serving = false
	twoBoxes := func(port uint16) model.ServiceWant {
		here := with(toServer(f, 84, port, model.DR), func(w *model.ServerWant) { w.Local, w.Weight = true, 0 })
		return odd(port, toServer(f, directorHost, port, model.DR), here)
	}
	lingering := twoBoxes(oddLingering)
	lingering.Serving, lingering.Lingers = false, true
	beside := twoBoxes(oddBeside)
	beside.Serving = false
	pass := odd(oddPass, toServer(f, 76, oddPass, model.DR))
	pass.Unknown = model.PassUnknown
	weighted := odd(oddWRR)
	weighted.Scheduler = model.WRR
	for i := range byte(3) {
		weighted.Servers = append(weighted.Servers,
			with(toServer(f, 61+i, oddWRR, model.DR), func(w *model.ServerWant) { w.Weight = uint16(i) + 1 }))
	}
	return []model.ServiceWant{
		odd(oddWeightless, with(toServer(f, 64, 1, model.DR), func(w *model.ServerWant) { w.Weight = 0 })),
		odd(oddEmpty),
		odd(oddUnresolved, with(toServer(f, 65, 1, model.DR), func(w *model.ServerWant) { w.MAC = model.MAC{} })),
		odd(oddUnroutable, with(toServer(f, 66, 1, model.NAT), func(w *model.ServerWant) { w.Link = 0 })),
		odd(oddLocal, with(toServer(f, 67, 1, model.DR), func(w *model.ServerWant) { w.Local = true })),
		backup,
		odd(oddNarrowDR, with(toServer(f, 68, 1, model.DR), func(w *model.ServerWant) { w.MTU = 200 })),
		odd(oddNarrowTUN, with(toServer(f, 69, 1, model.TUN), func(w *model.ServerWant) { w.MTU = 200 })),
		odd(oddNarrowGUE, with(toServer(f, 69, 1, model.TUN), func(w *model.ServerWant) {
			w.MTU, w.Tunnel = 200, model.Tunnel{Type: model.GUE, Port: packet.PortGUE}
		})),
		service(f, oddHost, oddNAT, model.SCTP, toServer(f, 70, 8080, model.NAT)),
		service(f, oddHost, oddLocal, model.UDP, with(toServer(f, 67, 1, model.DR), func(w *model.ServerWant) { w.Local = true })),
		odd(oddNAT, toServer(f, 70, 8080, model.NAT)),
		odd(oddNATTwin, toServer(f, 70, 8080, model.NAT)),
		service(f, oddHost, oddNAT, model.UDP, toServer(f, 70, 8080, model.NAT)),
		service(f, oddHost, oddNATTwin, model.UDP, toServer(f, 70, 8080, model.NAT)),
		odd(oddNATOther, toServer(f, 71, 8080, model.NAT), toServer(f, 70, 8080, model.NAT)),
		odd(oddNATAny, toServer(f, 72, model.AnyPort, model.NAT)),
		weighted, pass, bounded(odd(oddBounded, toServer(f, 78, oddBounded, model.DR))),
		bounded(odd(oddBoundedNAT, toServer(f, 79, 8080, model.NAT))),
		twoBoxes(oddTwoBoxes), lingering, beside,
		odd(oddLocalNAT, with(toServer(f, 77, 1, model.NAT), func(w *model.ServerWant) { w.Local = true })),
		odd(oddMixed, toServer(f, 73, oddMixed, model.NAT), toServer(f, 74, oddMixed, model.TUN), toServer(f, 75, oddMixed, model.DR)),
	}
}

func mssServices(f family) []model.ServiceWant {
	services := []model.ServiceWant{
		service(f, mssHost, mssDR, model.TCP, toServer(f, 80, mssDR, model.DR)),
		service(f, mssHost, mssTUN, model.TCP, toServer(f, 81, mssTUN, model.TUN)),
		service(f, mssHost, mssNAT, model.TCP, toServer(f, 82, 8080, model.NAT)),
		service(f, mssHost, mssOdd, model.TCP, toServer(f, 83, mssOdd, model.DR)),
	}
	for i := range services {
		services[i].MSS = mssLimit
	}
	services[3].MSS = 999
	return services
}

// talk is a client's conversation with a service.
type talk struct {
	client, service netip.AddrPort
	protocol        model.Protocol
}

// talkTo begins a conversation from a port of its own.
func talkTo(f family, host byte, port uint16, p model.Protocol, clientPort uint16) talk {
	return talk{netip.AddrPortFrom(clientAddr(f), clientPort), netip.AddrPortFrom(vip(f, host), port), p}
}

// open is the client's first packet.
func (c talk) open() packet.Layers { return c.ask(packet.SYN) }

// more is a later packet of the client.
func (c talk) more() packet.Layers {
	return append(c.ask(packet.ACK|packet.PSH), packet.Payload("hello"))
}

// ask is a packet of the client; flags are TCP's, or what SCTP has instead.
func (c talk) ask(flags packet.TCPFlags) packet.Layers {
	link := packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}
	return append(packet.Layers{link, ipHeader(c.client, c.service)}, c.transport(c.client, c.service, flags)...)
}

// answer is a packet of a server, as it arrives on a link of the director.
func (c talk) answer(server netip.AddrPort, flags packet.TCPFlags) packet.Layers {
	link := packet.Ethernet{Source: macOf(1), Destination: backMAC}
	layers := append(packet.Layers{link, ipHeader(server, c.client)}, c.transport(server, c.client, flags)...)
	return append(layers, packet.Payload("answer"))
}

func ipHeader(from, to netip.AddrPort) packet.Layer {
	if from.Addr().Is4() {
		return packet.IPv4{Source: from.Addr(), Destination: to.Addr(), TTL: 64, ID: 0x1234}
	}
	return packet.IPv6{Source: from.Addr(), Destination: to.Addr(), HopLimit: 64, FlowLabel: 0x12345}
}

func (c talk) transport(from, to netip.AddrPort, flags packet.TCPFlags) packet.Layers {
	switch c.protocol {
	case model.UDP:
		return packet.Layers{packet.UDP{Source: from.Port(), Destination: to.Port()}}
	case model.SCTP:
		return packet.Layers{packet.SCTP{Source: from.Port(), Destination: to.Port(), Tag: 7}, packet.Chunk{Type: chunkType(flags)}}
	}
	return packet.Layers{packet.TCP{Source: from.Port(), Destination: to.Port(), Flags: flags, Seq: 1000, Window: 512}}
}

// chunkType is the chunk that says what TCP says by flags.
func chunkType(flags packet.TCPFlags) uint8 {
	switch {
	case flags&packet.RST != 0:
		return packet.ChunkAbort
	case flags&packet.FIN != 0:
		return packet.ChunkShutdown
	case flags == packet.SYN:
		return packet.ChunkInit
	case flags&packet.SYN != 0:
		return packet.ChunkInitAck
	}
	return packet.ChunkData
}
