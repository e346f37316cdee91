// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 50.
const (
	strayErrors  = "stray"   // errors that were sent on, and are about nothing, or not to be believed
	errorEntries = "entries" // connections that an error made, changed or ended
)

// icmpErrors: errors about packets of servers, and of clients that NAT has translated.
func icmpErrors() faults.Fault {
	return faults.Fault{
		Number: 50,
		Parts: []faults.Part{
			all("nat"), all("tun"), all("dr"), all("to_client"),
			none(strayErrors, "errors"), none(errorEntries, "connections"),
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			each := size.Of(120, 1000)
			return inTrial(t, func(tr *trial) map[string]float64 {
				return map[string]float64{
					"nat": tr.errorsArrive(model.NAT, each), "tun": tr.errorsArrive(model.TUN, each),
					"dr": tr.errorsArrive(model.DR, each), "to_client": tr.errorsReturn(each),
					strayErrors: tr.strays(each), errorEntries: tr.errorsLeaveNothing(each),
				}
			})
		},
	}
}

// eachTalk begins connections through all ways of a method, in both families and all protocols.
func (tr *trial) eachTalk(forwarding model.Forwarding, times int, visit func(i int, f family, m method, c talk, first []byte)) {
	ways := byForwarding(forwarding)
	for i := range times {
		f, m, p := family(4+i%2*2), ways[i/6%len(ways)], protocols[i/2%3]
		c, first := tr.established(f, m, p)
		visit(i, f, m, c, first)
	}
}

// errorsArrive counts errors about connections that reached their server, whole and translated.
func (tr *trial) errorsArrive(forwarding model.Forwarding, times int) float64 {
	right := 0
	tr.eachTalk(forwarding, times, func(i int, f family, m method, c talk, first []byte) {
		errors := goodErrors(f, c)
		out := tr.ask(errors[i/6%len(errors)])
		if out != nil && packet.MAC(out) == packet.MAC(first) && len(wrongSums(networkOf(out))) == 0 &&
			(forwarding != model.NAT || bytes.Equal(quotedEnd(networkOf(out)), serverEnd(networkOf(first)))) {
			right++
			return
		}
		tr.t.Logf("error %d about %s ipv%d %s: %x", i/6%len(errors), m.name, f, c.protocol, out)
	})
	return tr.percent(right, times)
}

// goodErrors are those that a router may send about what a server sends to its client.
func goodErrors(f family, c talk) []packet.Layers {
	vip, quoted := c.service.Addr(), packetOf(c.turned())
	out := []packet.Layers{
		narrow(router(f), vip, 1280, quoted), narrow(router(f), vip, 65535, quoted),
		unreachable(router(f), vip, quoted), unreachable(router(f), vip, quoted[:leastQuote(f)]),
		unreachable(c.client.Addr(), vip, quoted), tagged(unreachable(router(f), vip, quoted)),
		append(unreachable(router(f), vip, quoted), packet.Trailer("padding")),
	}
	if f == 6 {
		first := packetOf(behind(c.turned(), packet.Fragment{ID: 9, Flags: packet.MoreFragments}))
		return append(out, unreachable(router(f), vip, first), about(router(f), vip, 3, 0, 0, quoted))
	}
	options := packetOf(with(c.turned(), func(ip *packet.IPv4) { ip.Options = slices.Repeat([]byte{1}, 40) })) // IHL 15
	first := packetOf(with(c.turned(), func(ip *packet.IPv4) { ip.Flags = packet.MoreFragments }))
	return append(out, unreachable(router(f), vip, options), unreachable(router(f), vip, first),
		narrow(router(f), vip, 576, quoted), about(router(f), vip, 11, 0, 0, quoted))
}

// leastQuote is the IP header and the eight bytes behind it that every router must quote.
func leastQuote(f family) int { return map[family]int{4: 28, 6: 48}[f] }

// quotedEnd is address and port of who sent what an error quotes.
func quotedEnd(ip []byte) []byte {
	p := readIP(ip)
	return endOf(p.bytes[p.header+8:], 12, 8)
}

// serverEnd is address and port to which a packet goes.
func serverEnd(ip []byte) []byte { return endOf(ip, 16, 24) }

// endOf reads an address at a place of either header, and the port that belongs to it. What is
// quoted may be cut short behind it.
func endOf(ip []byte, at4, at6 int) []byte {
	if ip[0]>>4 == 4 {
		port := int(ip[0]&0xf)*4 + (at4-12)/2
		return slices.Concat(ip[at4:at4+4], ip[port:port+2])
	}
	port := 40 + (at6-8)/8
	if ip[6] == byte(packet.ProtocolFragment) {
		port += 8
	}
	return slices.Concat(ip[at6:at6+16], ip[port:port+2])
}

// errorsReturn counts errors about what NAT sent to a server that reached the client as the VIP's.
func (tr *trial) errorsReturn(times int) float64 {
	right := 0
	for i := range times {
		f, p := family(4+i%2*2), protocols[i/2%3]
		c := tr.talk(f, anyHost, 4000, p)
		first := tr.ask(c.open())
		if first == nil {
			tr.t.Fatalf("nat ipv%d %s: the connection does not begin", f, p)
		}
		sent := c
		sent.service = netip.AddrPortFrom(serverAddr(f, 50), 4000)
		failure := toMAC(unreachable(router(f), c.client.Addr(), packetOf(sent.more())), backMAC)
		out := tr.send(back, packet.Build(failure...))
		if out != nil && packet.MAC(out) == gatewayMAC && len(wrongSums(networkOf(out))) == 0 && quotesService(networkOf(out), c) {
			right++
			continue
		}
		tr.t.Logf("error to the client, ipv%d %s: %x", f, p, out)
	}
	return tr.percent(right, times)
}

// quotesService: the error is about what the client sent, and goes to it.
func quotesService(ip []byte, c talk) bool {
	p := readIP(ip)
	to := append(c.service.Addr().AsSlice(), byte(c.service.Port()>>8), byte(c.service.Port()))
	return bytes.Equal(endOf(p.bytes[p.header+8:], 16, 24), to)
}

// strays counts errors that are sent on though they are about no connection, or lie.
func (tr *trial) strays(times int) float64 {
	before, sent := tr.entries(), 0
	for i := range times {
		f, p, m := family(4+i%2*2), protocols[i/2%3], methods[i/6%len(methods)]
		nobody := tr.talk(f, m.host, webPort(p), p)
		c, _ := tr.established(f, m, p)
		for _, stray := range slices.Concat(goodErrors(f, nobody), badErrors(f, c)) {
			if tr.ask(stray) != nil {
				sent++
				tr.t.Logf("sent on: %s", stray)
			}
		}
	}
	if made := len(tr.entries()) - len(before); made != times {
		tr.t.Errorf("%d connections were begun, there are %d more", times, made)
	}
	return float64(sent)
}

// badErrors are about a connection, but nobody may believe them.
func badErrors(f family, c talk) []packet.Layers {
	vip, quoted := c.service.Addr(), packetOf(c.turned())
	var out []packet.Layers
	for _, mtu := range map[family][]uint32{4: {0, 68, 575}, 6: {0, 68, 576, 1279}}[f] {
		out = append(out, narrow(router(f), vip, mtu, quoted))
	}
	for n := range leastQuote(f) {
		out = append(out, unreachable(router(f), vip, quoted[:n]))
	}
	if f == 6 {
		later := packetOf(behind(c.turned(), packet.Fragment{ID: 9, Offset: 1}))
		return append(out, unreachable(router(f), vip, later))
	}
	later := packetOf(with(c.turned(), func(ip *packet.IPv4) { ip.Offset = 1 }))
	beyond := slices.Clone(quoted[:leastQuote(f)])
	beyond[0] = 0x4f // IHL 15, and not all there
	return append(out, unreachable(router(f), vip, later), unreachable(router(f), vip, beyond))
}

// errorsLeaveNothing counts connections that are others after errors of every kind.
func (tr *trial) errorsLeaveNothing(times int) float64 {
	var frames []packet.Layers
	for i := range times {
		f, p, m := family(4+i%2*2), protocols[i/2%3], methods[i/6%len(methods)]
		c, _ := tr.established(f, m, p)
		frames = slices.Concat(frames, goodErrors(f, c), badErrors(f, c), goodErrors(f, tr.talk(f, m.host, webPort(p), p)))
	}
	before := tr.entries()
	for _, frame := range frames {
		tr.ask(frame)
	}
	return changedEntries(before, tr.entries())
}
