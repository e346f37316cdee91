// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 55.
const (
	martiansSent = "martians"  // packets from where no client can be that were sent on, land and VIP to VIP among them
	lastHopSent  = "last_hop"  // packets with a TTL of 0 or 1 that were sent on
	crossings    = "crossings" // how often a packet crosses the director which its server sends back
)

// martiansAndLoops: sources that cannot be, packets at their last hop, and servers that do not hold the
// address of the service and send the packet back.
func martiansAndLoops() faults.Fault {
	return faults.Fault{
		Number: 55,
		Parts:  []faults.Part{none(martiansSent, "packets"), none(lastHopSent, "packets"), {Name: crossings, Unit: "crossings", Bar: 1}},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			few := size.Of(4, 1)
			return inTrial(t, func(tr *trial) map[string]float64 {
				return map[string]float64{martiansSent: tr.martiansOn(few), lastHopSent: tr.lastHops(), crossings: tr.mostCrossings()}
			})
		},
	}
}

// sentOn says whether a frame was sent on, and not answered. What comes out comes with it.
func (tr *trial) sentOn(ifindex int, layers packet.Layers) ([]byte, bool) {
	tr.t.Helper()
	tr.counted(tr.t)
	out := tr.send(ifindex, packet.Build(layers...))
	got := verdict(tr.counted(tr.t))
	return out, slices.Contains(sends, got) && got != ttlTold && got != tooBigTold
}

// martianSources are where no client is. A server is one at times, and its address is no martian.
func martianSources(f family) []string {
	if f == 4 {
		return []string{
			"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
			vip(4, oddHost).String(), vip(4, 20).String(), // of other services
		}
	}
	return []string{"::", "::1", "ff02::1", "ff0e::1", vip(6, oddHost).String(), vip(6, 20).String()}
}

// martiansOn takes one of few ways.
func (tr *trial) martiansOn(few int) float64 {
	n, tried := 0, 0
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for i, m := range methods {
				if i%few != 0 {
					continue
				}
				for _, source := range append(martianSources(f), vip(f, m.host).String()) {
					c := tr.talk(f, m.host, webPort(p), p)
					c.client = netip.AddrPortFrom(netip.MustParseAddr(source), c.client.Port())
					land := c
					land.client = netip.AddrPortFrom(c.client.Addr(), webPort(p))
					for _, layers := range []packet.Layers{c.open(), c.more(), land.open(), tagged(c.open())} {
						if tried++; tr.isSentOn(layers) {
							n++
						}
					}
				}
			}
		}
	}
	if tried == 0 {
		tr.t.Fatal("nothing was tried")
	}
	return float64(n)
}

func (tr *trial) isSentOn(layers packet.Layers) bool {
	_, sent := tr.sentOn(front, layers)
	if sent {
		tr.t.Logf("sent on: %s", layers)
	}
	return sent
}

// lastHops are packets that begin a connection, that belong to one, and answers by NAT.
func (tr *trial) lastHops() float64 {
	n := 0
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				known, _ := tr.established(f, m, p)
				for left := range uint8(2) {
					for _, layers := range []packet.Layers{tr.talk(f, m.host, webPort(p), p).open(), known.more()} {
						if tr.isSentOn(ttl(layers, left)) {
							n++
						}
					}
				}
			}
		}
	}
	return float64(n)
}

// mostCrossings follows packets to servers that send them back as they came, but for the tunnel.
func (tr *trial) mostCrossings() float64 {
	most := 0
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				c := tr.talk(f, m.host, webPort(p), p)
				for _, layers := range []packet.Layers{c.open(), c.more()} {
					most = max(most, tr.crosses(m, layers))
				}
			}
		}
	}
	return float64(most)
}

// crosses sends a packet until it does not come back.
func (tr *trial) crosses(m method, layers packet.Layers) int {
	times, link := 0, front
	for hops := uint8(64); hops > 0; hops-- {
		out, sent := tr.sentOn(link, ttl(layers, hops))
		if !sent {
			break
		}
		times++
		if m.forwarding == model.NAT {
			layers = must(packet.Parse(out)) // it is for the server now
		}
		layers, link = returnedBy(packet.MAC(out), layers)
	}
	return times
}

// returnedBy is the packet as the server with a MAC routes it, on the link where that is.
func returnedBy(server packet.MAC, layers packet.Layers) (packet.Layers, int) {
	link, director := back, packet.MAC(backMAC)
	if server == packet.MAC(macOf(3)) { // the one on the clients' link
		link, director = front, packet.MAC(frontMAC)
	}
	return fromMAC(toMAC(layers, director), server), link
}
