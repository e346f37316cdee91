// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 51.
const (
	sumEntries = "entries" // connections that a packet with a wrong checksum began
	sumsMended = "mended"  // packets that came with a wrong checksum and left with a right one
	filled     = "filled"  // datagrams that came without a checksum and left with one
)

// wrongChecksums: of IPv4 headers and SYNs before there is a connection, of everything within one.
func wrongChecksums() faults.Fault {
	return faults.Fault{
		Number: 51,
		Parts:  []faults.Part{none(sumEntries, "connections"), none(sumsMended, "packets"), none(filled, "packets")},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			times := size.Of(120, 2000)
			random := rand.New(rand.NewPCG(51, 0))
			return inTrial(t, func(tr *trial) map[string]float64 {
				return map[string]float64{
					sumEntries: tr.wrongOpenings(random, times), sumsMended: tr.mendings(random, times), filled: tr.fillings(times),
				}
			})
		},
	}
}

// wrong writes another checksum where the right one is.
func wrong(random *rand.Rand, right uint16) uint16 {
	for {
		// 0 would be filled in by Build, and 0xffff may mean the same as 0.
		if sum := uint16(1 + random.IntN(0xfffe)); sum != right {
			return sum
		}
	}
}

// wrongHeader is wrong in the IPv4 header, wrongSegment in the one of the transport protocol.
func wrongHeader(random *rand.Rand, layers packet.Layers) packet.Layers {
	built := must(packet.Parse(packet.Build(layers...)))
	ip, _ := packet.Find[packet.IPv4](built)
	return with(layers, func(h *packet.IPv4) { h.Checksum = wrong(random, ip.Checksum) })
}

func wrongSegment(random *rand.Rand, layers packet.Layers) packet.Layers {
	built := must(packet.Parse(packet.Build(layers...)))
	tcp, _ := packet.Find[packet.TCP](built)
	udp, _ := packet.Find[packet.UDP](built)
	layers = with(layers, func(h *packet.TCP) { h.Checksum = wrong(random, tcp.Checksum) })
	layers = with(layers, func(h *packet.UDP) { h.Checksum = wrong(random, udp.Checksum) })
	return with(layers, func(h *packet.SCTP) { h.Checksum = random.Uint32() })
}

// wrongOpenings counts connections that begin though they must not.
func (tr *trial) wrongOpenings(random *rand.Rand, times int) float64 {
	before := tr.entries()
	for i := range times {
		f, m := family(4+i%2*2), methods[i/6%len(methods)]
		tr.ask(wrongSegment(random, tr.talk(f, m.host, 80, model.TCP).open()))
		p := protocols[i/2%3]
		tr.ask(wrongHeader(random, tr.talk(4, m.host, webPort(p), p).open()))
	}
	return changedEntries(before, tr.entries())
}

// mendings counts packets of connections that a server would take for right ones.
func (tr *trial) mendings(random *rand.Rand, times int) float64 {
	n, sent := 0, 0
	for i := range times {
		f, m, p := family(4+i%2*2), methods[i/6%len(methods)], protocols[i/2%3]
		c, _ := tr.established(f, m, p)
		frames := []packet.Layers{wrongSegment(random, c.more()), wrongError(f, c)}
		if f == 4 {
			frames = append(frames, wrongHeader(random, c.more()))
		}
		for _, layers := range frames {
			frame := packet.Build(layers...)
			out := tr.send(front, frame)
			if out == nil {
				continue
			}
			if sent++; !slices.Equal(wrongSums(networkOf(frame)), wrongSums(networkOf(out))) {
				n++
				tr.t.Logf("%s became %s", text(frame), text(out))
			}
		}
	}
	if sent < times {
		tr.t.Errorf("%d of %d packets were sent on: the rest says nothing", sent, times)
	}
	return float64(n)
}

func wrongError(f family, c talk) packet.Layers {
	failure := unreachable(router(f), c.service.Addr(), packetOf(c.turned()))
	failure = with(failure, func(i *packet.ICMP) { i.Checksum = 0xbad })
	return with(failure, func(i *packet.ICMPv6) { i.Checksum = 0xbad })
}

// fillings counts datagrams to which NAT gave a checksum that the client had not computed.
func (tr *trial) fillings(times int) float64 {
	n := 0
	for i := range times {
		f, ways := family(4+i%2*2), byForwarding(model.NAT)
		c, _ := tr.established(f, ways[i/2%len(ways)], model.UDP)
		out := tr.ask(with(c.more(), func(u *packet.UDP) { u.NoChecksum = true }))
		if out == nil {
			tr.t.Fatalf("ipv%d: a datagram without checksum is not sent on", f)
		}
		if udp, _ := packet.Find[packet.UDP](must(packet.Parse(out))); udp.Checksum != 0 {
			n++
		}
	}
	return float64(n)
}
