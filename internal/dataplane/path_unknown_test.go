// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// strange is how a packet of no connection ends that would end as method, if it had one.
func strange(method verdict) verdict {
	if method == natIn {
		return unknownConnection
	}
	return hashedUnknown
}

// unknown packets belong to no connection, and begin none.
func (tb *table) unknown(f family, p model.Protocol, m method) {
	if p == model.UDP {
		return // each of its packets may begin one
	}
	name := fmt.Sprintf("unknown to %s ipv%d %s", m.name, f, p)
	v := strange(m.verdict)
	sent := func(as verdict) verdict { // as: when it is sent on
		if v == hashedUnknown {
			return as
		}
		return v
	}
	more := func() packet.Layers { return tb.talk(f, m.host, webPort(p), p).more() }
	for range 3 {
		tb.add(name, in(more(), v))
	}
	c := tb.talk(f, m.host, webPort(p), p)
	tb.add(name+", again and again", in(c.more(), v), in(c.ask(packet.FIN|packet.ACK), v), in(c.ask(packet.RST), v), in(c.more(), v))
	tb.add(name+", then it begins", in(c.open(), m.verdict), in(c.more(), m.verdict))
	tb.add(name+", padding", in(append(more(), packet.Trailer("padding")), v))
	tb.add(name+", tagged", in(tagged(more()), v), in(taggedAs(more(), 0), v))
	tb.add(name+", last hop", in(ttl(more(), 2), v), in(ttl(more(), 1), sent(ttlTold)))
	tb.add(name+", larger than the link", in(append(more(), large), sent(tooBigFor(f))), in(uncut(append(more(), large)), sent(tooBigTold)))
	tb.add(name+", wrong checksum", in(wrongTransport(more()), v))
	parts := cut(append(more(), hundred), tb.newID(), 32, 64)
	tb.add(name+", in pieces", in(parts[0], unknownConnection), in(parts[1], noService), in(parts[2], noService))
}

// unknownOdd packets are for services with which something is the matter.
func (tb *table) unknownOdd(f family) {
	more := func(port uint16) packet.Layers { return tb.talk(f, oddHost, port, model.TCP).more() }
	for _, row := range []struct {
		name    string
		port    uint16
		verdict verdict
	}{
		{"weight 0", oddWeightless, unknownConnection},
		{"no server", oddEmpty, unknownConnection},
		{"unresolved neighbour", oddUnresolved, noNeighbour},
		{"no route, by NAT", oddUnroutable, unknownConnection},
		{"local server", oddLocal, local},
		{"local server by NAT", oddLocalNAT, local},
		{"not serving", oddBackup, notServing},
		{"pass", oddPass, unknownConnection},
	} {
		tb.add(fmt.Sprintf("ipv%d unknown, %s", f, row.name), in(more(row.port), row.verdict))
	}
	tb.bounded(f, oddBounded, dr, hashedHalfOpen)
	tb.bounded(f, oddBoundedNAT, natIn, halfOpen)
}

// bounded: of a service two connections may be half open.
func (tb *table) bounded(f family, port uint16, method, excess verdict) {
	a, b, c := tb.talk(f, oddHost, port, model.TCP), tb.talk(f, oddHost, port, model.TCP), tb.talk(f, oddHost, port, model.TCP)
	tb.add(fmt.Sprintf("ipv%d half open, %s", f, method), in(a.open(), method), in(b.open(), method), in(c.open(), excess),
		in(a.open(), method), in(c.open(), excess), in(c.more(), strange(method)), in(a.more(), method), in(c.open(), method),
		in(c.more(), method), in(b.ask(packet.RST), method))
}

// TestUnknownPacketsFollowOneHash: all packets of a flow go to one server, flows are spread by weight, and
// nothing is remembered of them.
func TestUnknownPacketsFollowOneHash(t *testing.T) {
	t.Parallel()
	const flows = 6000
	b := newTestbed(t, 64)
	b.apply(t, shared(model.WRR, 1, 2, 3))
	got := map[byte]int{}
	for i := range uint16(flows) {
		c := talkTo(4, 10, 80, model.TCP, 10000+i)
		server := b.hashedTo(t, c)
		got[server]++
		if again := b.hashedTo(t, c); again != server {
			t.Fatalf("%s goes to server %d, and then to %d", c.client, server, again)
		}
	}
	for i := range byte(3) {
		if want := flows / 6 * int(i+1); got[i+1] < want*9/10 || got[i+1] > want*11/10 {
			t.Errorf("server %d of weight %d has %d flows of %d, want %d", i+1, i+1, got[i+1], flows, want)
		}
	}
	b.compareCounters(t)
	b.compareConnections(t)
	b.wantNoTraces(t)
}

// shared is one DR service of servers with these weights.
func shared(s model.Scheduler, weights ...uint16) model.DataplaneWant {
	want := small(model.DR)
	want.Services = want.Services[:1]
	want.Services[0].Scheduler, want.Services[0].Servers = s, nil
	for i, weight := range weights {
		server := toServer(4, byte(i+1), 80, model.DR)
		server.Weight = weight
		want.Services[0].Servers = append(want.Services[0].Servers, server)
	}
	return want
}

// hashedTo is the server that a packet of no connection goes to.
func (b *testbed) hashedTo(t *testing.T, c talk) byte {
	t.Helper()
	got := b.frame(t, front, packet.Build(c.more()...))
	if got.verdict != hashedUnknown {
		t.Fatalf("%s, want %s: %s", got.verdict, hashedUnknown, c.more())
	}
	return got.out[5]
}

func (b *testbed) wantNoTraces(t *testing.T) {
	t.Helper()
	if traces, err := b.path.Traces(); err != nil || traces != 0 {
		t.Errorf("%d bits say that somebody is in the table, %v", traces, err)
	}
}

// TestUnknownPacketsOfTwoDirectorsAgree, though their tables of connections have seeds of their own, and
// their configs name the servers in another order.
func TestUnknownPacketsOfTwoDirectorsAgree(t *testing.T) {
	t.Parallel()
	one, other := newTestbed(t, 64), newTestbed(t, 1024)
	want := shared(model.RR, 1, 2, 3, 1)
	one.apply(t, want)
	want = shared(model.RR, 1, 2, 3, 1)
	slices.Reverse(want.Services[0].Servers)
	other.apply(t, want)
	if _, a := one.path.Hash(); a == seedOf(other) {
		t.Fatal("both have the same seed")
	}
	for i := range uint16(500) {
		c := talkTo(4, 10, 80, model.TCP, 10000+i)
		if a, b := one.hashedTo(t, c), other.hashedTo(t, c); a != b {
			t.Errorf("%s: one sends it to server %d, the other one to %d", c.client, a, b)
		}
	}
}

func seedOf(b *testbed) [10]uint32 {
	_, seed := b.path.Hash()
	return seed
}

// TestUnknownPacketsStayWhenAServerLeaves: nearly all that did not go to it.
func TestUnknownPacketsStayWhenAServerLeaves(t *testing.T) {
	t.Parallel()
	const flows = 1000
	b := newTestbed(t, 64)
	b.apply(t, shared(model.RR, 1, 1, 1, 1))
	before := make([]byte, flows)
	for i := range before {
		before[i] = b.hashedTo(t, talkTo(4, 10, 80, model.TCP, 10000+uint16(i)))
	}
	b.apply(t, shared(model.RR, 1, 0, 1, 1))
	moved := 0
	for i, was := range before {
		is := b.hashedTo(t, talkTo(4, 10, 80, model.TCP, 10000+uint16(i)))
		if is == 2 {
			t.Errorf("flow %d goes to a server of weight 0", i)
		}
		if was != 2 && is != was {
			moved++
		}
	}
	if moved > flows/10 {
		t.Errorf("%d of %d flows went elsewhere", moved, flows)
	}
}

// TestUnknownIsSwitched by the next Apply, with no other table.
func TestUnknownIsSwitched(t *testing.T) {
	t.Parallel()
	eachMethod(t, func(t *testing.T, l life) {
		c := talkTo(4, 10, 80, model.TCP, 21000)
		expect(t, l.testbed, front, c.more(), strange(l.method))
		version := l.slotsVersion(t)
		l.apply(t, changed(l.want, func(s *model.ServiceWant) { s.Unknown = model.PassUnknown }))
		expect(t, l.testbed, front, c.more(), unknownConnection)
		l.apply(t, l.want)
		expect(t, l.testbed, front, c.more(), strange(l.method))
		if l.slotsVersion(t) != version {
			t.Error("the table of servers was made anew")
		}
	})
}

func (l life) slotsVersion(t *testing.T) uint32 {
	t.Helper()
	version, err := l.path.SlotsVersion(l.want.Services[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	return version
}
