// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 47.
const (
	lostOnes   = "lost"        // connections that did not go on to their server after a flood of one datagram a source
	lostTwos   = "lost_twos"   // the same, after one of two datagrams a source
	oneWayLife = "one_way_age" // at which the last entry of the floods was gone
	served     = "served"      // new connections that began and were answered meanwhile
	growth     = "growth"      // of the memory that the maps take
)

// udpFlood: datagrams of ten times as many sources as the table has room for, while others are silent.
func udpFlood() faults.Fault {
	return faults.Fault{
		Number: 47,
		Long:   true,
		Parts: []faults.Part{
			none(lostOnes, "connections"), none(lostTwos, "connections"),
			{Name: oneWayLife, Unit: "seconds", Bar: 30}, // of a clock that the test moves
			{Name: served, Unit: "%", Bar: 99, AtLeast: true}, none(growth, "KiB"),
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			stay, sources := size.Of(300, 10_000), size.Of(50_000, 10*trialRoom)
			return inTrial(t, func(tr *trial) map[string]float64 {
				all, honest := tr.settled(stay), &newcomers{trial: tr}
				before := tr.memory()
				figures := map[string]float64{}
				tr.datagrams(0, sources, 1, honest)
				figures[lostOnes] = tr.lostOf(all)
				tr.datagrams(uint32(sources), sources/2, 2, honest)
				figures[lostTwos] = tr.lostOf(all)
				figures[served] = honest.served()
				figures[growth] = float64(tr.memory()-before) / 1024
				figures[oneWayLife] = tr.oneWayAge(all)
				return figures
			})
		},
	}
}

// settledTalk is a conversation that has proved itself, and the MAC of its server.
type settledTalk struct {
	talk
	server packet.MAC
}

// settled begins so many conversations of TCP and UDP, by each method and in both families.
func (tr *trial) settled(n int) []settledTalk {
	var all []settledTalk
	for i := range n {
		f, m, p := kindOf(i)
		c, first := tr.established(f, m, p)
		for range twinSettles {
			tr.ask(c.more())
		}
		all = append(all, settledTalk{c, packet.MAC(first)})
	}
	return all
}

// kindOf takes turns at families, protocols, and the methods dr, tun4, tun6 and nat.
func kindOf(i int) (family, method, model.Protocol) {
	return family(4 + i%2*2), methods[i/4%4], []model.Protocol{model.TCP, model.UDP}[i/2%2]
}

// A newcomer comes with each so many sources of a flood, and waits for each answer while trip others come: a round trip
// of 640 µs, if a million sources send in a second.
const (
	apart = 160
	trip  = 4
)

// datagrams sends some from each source, half of them to a service by DR, half by NAT.
func (tr *trial) datagrams(first uint32, sources, each int, honest *newcomers) {
	tr.t.Helper()
	var stamps []stamp
	for _, host := range []byte{10, 30} {
		stamps = append(stamps, stampOf(stampSource, talkTo(4, host, 53, model.UDP, 20000).open()))
	}
	var err error
	for from := uint32(0); from < uint32(sources); from += apart {
		tr.do(func() {
			for i := from; i < min(from+apart, uint32(sources)); i++ {
				frame := stamps[i%2].of(first + i)
				for range each {
					if _, _, e := tr.path.Send(frame, front); e != nil {
						err = e
					}
				}
			}
		})
		honest.step()
	}
	if err != nil {
		tr.t.Fatal(err)
	}
}

// newcomers are clients who come while a flood goes on.
type newcomers struct {
	*trial
	all  []*newcomer
	good int // of them have gone on after their answer
}

// newcomer is a conversation whose server got its first packet as first; nil: none did, or its answer went astray.
type newcomer struct {
	talk
	method
	first []byte
}

// step lets one begin, one be answered, and one go on.
func (n *newcomers) step() {
	if i := len(n.all) - 2*trip; i >= 0 && n.goesOn(n.all[i]) {
		n.good++
	}
	if i := len(n.all) - trip; i >= 0 && !n.isAnswered(n.all[i]) {
		n.all[i].first = nil
	}
	f, m, p := kindOf(len(n.all))
	c := newcomer{talk: n.talk(f, m.host, webPort(p), p), method: m}
	c.first = n.ask(c.open())
	n.all = append(n.all, &c)
}

func (n *newcomers) goesOn(c *newcomer) bool {
	if c.first == nil {
		return false
	}
	out := n.ask(c.more())
	return out != nil && bytes.Equal(out[:6], c.first[:6])
}

// isAnswered: only by NAT answers come through the director, which makes them the service's.
func (n *newcomers) isAnswered(c *newcomer) bool {
	if c.first == nil || c.forwarding != model.NAT {
		return c.first != nil
	}
	_, server := endsOf(n.t, c.first)
	link, answer := back, c.answer(server, packet.SYN|packet.ACK)
	if packet.MAC(c.first[6:]) == packet.MAC(frontMAC) {
		link, answer = front, toMAC(answer, packet.MAC(frontMAC))
	}
	out := n.send(link, packet.Build(answer...))
	if out == nil {
		return false
	}
	from, to := endsOf(n.t, out)
	return from == c.service && to == c.client
}

// endsOf are the addresses and ports of a frame without a tunnel.
func endsOf(t *testing.T, frame []byte) (from, to netip.AddrPort) {
	t.Helper()
	layers, err := packet.Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		switch l := l.(type) {
		case packet.IPv4:
			from, to = netip.AddrPortFrom(l.Source, 0), netip.AddrPortFrom(l.Destination, 0)
		case packet.IPv6:
			from, to = netip.AddrPortFrom(l.Source, 0), netip.AddrPortFrom(l.Destination, 0)
		case packet.TCP:
			from, to = netip.AddrPortFrom(from.Addr(), l.Source), netip.AddrPortFrom(to.Addr(), l.Destination)
		case packet.UDP:
			from, to = netip.AddrPortFrom(from.Addr(), l.Source), netip.AddrPortFrom(to.Addr(), l.Destination)
		}
	}
	return from, to
}

// served is how many of a hundred got all the way; those who came last are still under way.
func (n *newcomers) served() float64 { return n.percent(n.good, max(0, len(n.all)-2*trip)) }

// memory is what the maps take of the kernel's.
func (tr *trial) memory() int {
	tr.t.Helper()
	bytes, err := lab.MapMemory(filepath.Join(tr.lent.dir, "maps"))
	if err != nil {
		tr.t.Fatal(err)
	}
	return bytes
}

// lostOf counts those whose next packet does not go to the server that the first one went to.
func (tr *trial) lostOf(all []settledTalk) float64 {
	n := 0
	for _, c := range all {
		out := tr.ask(c.more())
		if out == nil || !bytes.Equal(out[:6], c.server[:]) {
			n++
		}
	}
	return float64(n)
}

// oneWayAge moves the clock by a round of the sweep and sweeps, until none of the flood's is left, and all of those that
// stay are. A round is as long as the daemon takes for it.
func (tr *trial) oneWayAge(stay []settledTalk) float64 {
	const round = 2 * time.Second
	age := time.Duration(0)
	for ; tr.connections(isStamped) > 0 && age < time.Minute; age += round {
		if err := tr.path.Age(round); err != nil {
			tr.t.Fatal(err)
		}
		if _, err := tr.path.Sweep(); err != nil {
			tr.t.Fatal(err)
		}
	}
	talks := map[talk]bool{}
	for _, c := range stay {
		talks[c.talk] = true
	}
	left := tr.connections(func(c dataplane.Connection) bool { return talks[talk{c.Client, c.Virtual, c.Protocol}] })
	if floods := tr.connections(isStamped); floods > 0 || left != len(stay) {
		tr.t.Errorf("%d connections of the flood are left; of %d that were to stay, %d are", floods, len(stay), left)
	}
	return (age + round).Seconds() // it may have begun just after the sweep was there
}

// isStamped: its client is of a stamp.
func isStamped(c dataplane.Connection) bool {
	a := c.Client.Addr()
	return a.Is4() && a.As4()[0] == 10
}

// connections counts those of a kind.
func (tr *trial) connections(kind func(dataplane.Connection) bool) (n int) {
	tr.t.Helper()
	err := tr.path.Connections(func(c dataplane.Connection) bool {
		if kind(c) {
			n++
		}
		return true
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return n
}
