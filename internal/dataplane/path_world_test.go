// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// The director of the packet table has two links: clients are behind the router on "front",
// servers on "back", some of both on the other one. A third link is there and is not weir's.
const (
	front   = 11
	back    = 12
	foreign = 13
	linkMTU = 1500
)

var (
	frontMAC   = model.MAC{2, 0, 0, 0, 1, front}
	backMAC    = model.MAC{2, 0, 0, 0, 1, back}
	gatewayMAC = model.MAC{2, 0, 0, 0, 2, 1}
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
}

// family is an IP version; 0: that of the client.
type family int

var methods = []method{
	{"dr", model.DR, dr, 10, 0},
	{"tun4", model.TUN, tun, 20, 4},
	{"tun6", model.TUN, tun, 21, 6},
	{"nat", model.NAT, natIn, 30, 0},
}

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

func webPort(p model.Protocol) uint16 {
	if p == model.UDP {
		return 53
	}
	return 80
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
	oddNAT      // one server
	oddNATTwin  // the same server
	oddNATOther // the same server, and another one
	oddNATAny   // a server without port
	oddWRR
	oddMixed // each method
)

// Hosts of VIPs with a service for any port; the second has one for port 80 too.
const (
	anyHost   = 98
	exactHost = 97
)

// world is what the director is told to hold.
func world() model.DataplaneWant {
	want := model.DataplaneWant{Revision: 1, Interfaces: []model.InterfaceWant{
		{Name: "front", Index: front, MAC: frontMAC, MTU: linkMTU},
		{Name: "back", Index: back, MAC: backMAC, MTU: linkMTU},
	}}
	for _, f := range []family{4, 6} {
		for _, p := range []model.Protocol{model.TCP, model.UDP} {
			for _, m := range methods {
				want.Services = append(want.Services, plainService(f, p, m))
			}
			want.Services = append(want.Services, anyPortServices(f, p)...)
		}
		want.Services = append(want.Services, oddServices(f)...)
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
	return service(f, m.host, webPort(p), p,
		toServer(outer, 1, port, m.forwarding),
		toServer(outer, 2, port, m.forwarding),
		oneArmed(toServer(outer, 3, port, m.forwarding)))
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
	backup := odd(oddBackup, toServer(f, 60, oddBackup, model.DR))
	backup.Serving = false
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
		odd(oddNarrowDR, with(toServer(f, 68, 1, model.DR), func(w *model.ServerWant) { w.MTU = 100 })),
		odd(oddNarrowTUN, with(toServer(f, 69, 1, model.TUN), func(w *model.ServerWant) { w.MTU = 100 })),
		odd(oddNAT, toServer(f, 70, 8080, model.NAT)),
		odd(oddNATTwin, toServer(f, 70, 8080, model.NAT)),
		odd(oddNATOther, toServer(f, 71, 8080, model.NAT), toServer(f, 70, 8080, model.NAT)),
		odd(oddNATAny, toServer(f, 72, model.AnyPort, model.NAT)),
		weighted,
		odd(oddMixed, toServer(f, 73, oddMixed, model.NAT), toServer(f, 74, oddMixed, model.TUN), toServer(f, 75, oddMixed, model.DR)),
	}
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

// ask is a packet of the client; flags are TCP's.
func (c talk) ask(flags packet.TCPFlags) packet.Layers {
	link := packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}
	return packet.Layers{link, ipHeader(c.client, c.service), c.transport(c.client, c.service, flags)}
}

// answer is a packet of a server, as it arrives on a link of the director.
func (c talk) answer(server netip.AddrPort, flags packet.TCPFlags) packet.Layers {
	link := packet.Ethernet{Source: macOf(1), Destination: backMAC}
	return packet.Layers{link, ipHeader(server, c.client), c.transport(server, c.client, flags), packet.Payload("answer")}
}

func ipHeader(from, to netip.AddrPort) packet.Layer {
	if from.Addr().Is4() {
		return packet.IPv4{Source: from.Addr(), Destination: to.Addr(), TTL: 64, ID: 0x1234}
	}
	return packet.IPv6{Source: from.Addr(), Destination: to.Addr(), HopLimit: 64, FlowLabel: 0x12345}
}

func (c talk) transport(from, to netip.AddrPort, flags packet.TCPFlags) packet.Layer {
	if c.protocol == model.UDP {
		return packet.UDP{Source: from.Port(), Destination: to.Port()}
	}
	return packet.TCP{Source: from.Port(), Destination: to.Port(), Flags: flags, Seq: 1000, Window: 512}
}
