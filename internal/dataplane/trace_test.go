// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// eyes are a trace that goes on beside the frames of a test.
type eyes struct {
	packets chan model.Traced
	known   map[*twinConn]bool // connections of the twin that have begun
	last    model.Traced       // that was told
	end     func() error
}

// trace begins one; from now on frames go through the traced path.
func (b *testbed) trace(t testing.TB, wanted model.TraceFilter) *eyes {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &eyes{packets: make(chan model.Traced, 1024), known: map[*twinConn]bool{}}
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- b.path.Trace(ctx, wanted, func() { close(begun) }, func(p model.Traced) error {
			e.packets <- p
			return nil
		})
	}()
	select {
	case <-begun:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	e.end = func() error { cancel(); return <-done }
	return e
}

// see is the next packet that was told.
func (e *eyes) see(t testing.TB) model.Traced {
	t.Helper()
	select {
	case e.last = <-e.packets:
		return e.last
	case <-time.After(time.Minute):
		t.Fatal("no packet was told")
	}
	return model.Traced{}
}

// compare wants that just this frame was told, with what the twin says of it.
func (e *eyes) compare(t testing.TB, ifindex int, frame []byte, o outcome, w *twin) {
	t.Helper()
	if slices.Contains([]verdict{notIP, otherHost, otherVLAN, noService, icmp}, o.verdict) {
		return // for no service
	}
	p := e.see(t)
	if p.Verdict != string(o.verdict) || p.Link != ifindex || p.Missed != 0 {
		t.Errorf("told was %s on link %d, %d missed; want %s on %d: %s", p.Verdict, p.Link, p.Missed, o.verdict, ifindex, text(frame))
	}
	if !bytes.Equal(p.In.Bytes, frame) || p.In.Length != len(frame) {
		t.Errorf("it came as %x, want %x", p.In.Bytes, frame)
	}
	sent := slices.Contains(sends, o.verdict)
	if sent != (p.Sent != nil) {
		t.Fatalf("%s: sent on is %v", o.verdict, p.Sent)
	}
	if sent && (!bytes.Equal(p.Sent.Bytes, o.out) || p.Egress != o.egress) {
		t.Errorf("it was sent by %d as\n%s, want by %d\n%s", p.Egress, text(p.Sent.Bytes), o.egress, text(o.out))
	}
	e.compareFound(t, w, p)
}

// compareFound wants what the stages found to be what the twin has: connection, server, service.
func (e *eyes) compareFound(t testing.TB, w *twin, p model.Traced) {
	t.Helper()
	key := flow{p.Flow.Client, p.Flow.Virtual, p.Flow.Protocol}
	if c := w.connTold(key, p.Back); p.Connection != "" {
		if c == nil || c.toService != key {
			t.Fatalf("%s: it has a connection %v, which the twin does not know", p.Verdict, key)
		}
		begun := e.known[c] || c.forth == nil // as what was asked without a connection
		if p.Connection != c.state.name || p.Fresh == begun || p.Server != nil && *p.Server != c.server.want.Key {
			t.Errorf("%s: it is %s (begun: %v) with %v, want %s with %v", p.Verdict, p.Connection, p.Fresh, p.Server, c.state.name, c.server.want.Key)
		}
		e.known[c] = true
	}
	if p.Service != nil {
		if s := w.service(key); s == nil || s.want.Key != *p.Service || s.want.Scheduler != p.Scheduler {
			t.Errorf("%s: %v is a flow of %v, %v; the twin has another one", p.Verdict, key, *p.Service, p.Scheduler)
		}
	}
	told := []string{string(serverReset), string(ttlTold), string(tooBigTold)}
	if p.Told != slices.Contains(told, p.Verdict) || strings.HasPrefix(p.Verdict, "hashed_") && !p.Hashed || p.Hashed && p.Connection != "" {
		t.Errorf("%s: told %v, hashed %v", p.Verdict, p.Told, p.Hashed)
	}
	if s := w.service(key); p.Template != model.NoTemplate && (s == nil || s.want.Persistence.Timeout == 0) {
		t.Errorf("%s: template %s, of a service that has none", p.Verdict, p.Template)
	}
	unscheduled := []verdict{notServing, badChecksum, unknownConnection, halfOpen, noServer}
	if s := w.service(key); !p.Hashed && (s == nil || !s.want.OnePacket) { // or its server has sent it back
		unscheduled = append(unscheduled, martian)
	}
	if p.Server != nil && p.Connection == "" && slices.Contains(unscheduled, verdict(p.Verdict)) {
		t.Errorf("%s: it has the server %v, though nobody was asked for one", p.Verdict, p.Server)
	}
}

// connTold is the connection of a flow to a service or, of an answer, what was asked by a datagram without one.
func (t *twin) connTold(key flow, back bool) *twinConn {
	if c := t.conns[key]; c != nil || !back {
		return c
	}
	for _, q := range t.questions {
		if q.toService == key {
			return q
		}
	}
	return nil
}

// TestTracedPathIsThePath: the path with eyes agrees with the twin in everything, as the other one does, and tells
// of each packet for a service what became of it.
func TestTracedPathIsThePath(t *testing.T) {
	t.Parallel()
	w := newWalk(t, 1, walkFrames/2)
	w.random = rand.New(rand.NewPCG(1001, 0))
	w.eyes = w.trace(t, model.TraceFilter{})
	w.run(t)
	w.frame(t, front, packet.Build(talkTo(4, 10, 80, model.TCP, 45000).open()...)) // behind it there is nothing
	if err := w.eyes.end(); err != nil {
		t.Error(err)
	}
	if left := len(w.eyes.packets); left > 0 {
		t.Errorf("%d packets were told that did not come", left)
	}
}

// TestTraceSaysWhatWasFound: what the stages found of a packet.
func TestTraceSaysWhatWasFound(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, smallTable)
	b.apply(t, persistent(world(), model.Persistence{Timeout: persists}))
	e := b.trace(t, model.TraceFilter{})
	defer e.end()
	c := talkTo(4, 30, 80, model.TCP, 41000) // by NAT
	key := model.ServiceKey{Address: c.service.Addr(), Port: 80, Protocol: model.TCP}
	flow := model.Flow{Protocol: model.TCP, Client: c.client, Virtual: c.service}
	found := func(layers packet.Layers, ifindex int) model.Traced {
		b.frame(t, ifindex, packet.Build(layers...))
		p := e.see(t)
		p.At, p.In, p.Sent, p.Means, p.Egress, p.Link = time.Time{}, model.Frame{}, nil, "", 0, 0
		return p
	}
	first := found(c.open(), front)
	server := first.Server
	if server == nil {
		t.Fatal("no server was told")
	}
	want := model.Traced{
		Part: model.TracedWhole, Flow: flow, Verdict: "nat_in", Connection: "SYN_RECV", Fresh: true,
		Service: &key, Scheduler: first.Scheduler, Template: model.TemplateBegun, Server: server, Forwarding: model.NAT,
	}
	compareTraced(t, "SYN", want, first)
	known := model.Traced{
		Part: model.TracedWhole, Flow: flow, Verdict: "nat_in", Connection: "ESTABLISHED", Server: server, Forwarding: model.NAT,
	}
	compareTraced(t, "ACK", known, found(c.ask(packet.ACK), front))
	answer := known
	answer.Verdict, answer.Back = "nat_out", true
	got := found(c.answer(netip.AddrPortFrom(server.Address, server.Port), packet.ACK), back)
	got.Forwarding, answer.Forwarding, got.Server, answer.Server = 0, 0, nil, nil // who it is from is in its headers
	compareTraced(t, "answer", answer, got)
	c.client = netip.AddrPortFrom(c.client.Addr(), 41001)
	want.Flow.Client, want.Template = c.client, model.TemplateFollowed
	compareTraced(t, "SYN of the same client", want, found(c.open(), front))
	quote := found(unreachable(router(4), c.service.Addr(), packetOf(c.turned())), front)
	if quote.Part != model.TracedQuote || quote.Flow.Client != c.client || quote.Connection == "" {
		t.Errorf("an ICMP error was told as %+v", quote)
	}
	stray := talkTo(4, 10, 80, model.TCP, 41002)
	unknown := talkTo(4, 30, 80, model.TCP, 41003)
	if p := found(unknown.more(), front); p.Verdict != "unknown_connection" || p.Server != nil || p.Template != model.NoTemplate || p.Service == nil {
		t.Errorf("what belongs to no connection by NAT was told as %+v", p)
	}
	if p := found(ttl(talkTo(4, 30, 80, model.TCP, 41004).open(), 1), front); !p.Told || p.Connection != "" || p.Template != model.TemplateFollowed {
		t.Errorf("what is told of its TTL was told as %+v", p)
	}
	other := talkTo(4, oddHost, oddWeightless, model.TCP, 41005)
	if p := found(other.open(), front); p.Verdict != "no_server" || p.Template != model.NoTemplate || p.Server != nil {
		t.Errorf("what has no server was told as %+v", p)
	}
	if p := found(stray.more(), front); !p.Hashed || p.Connection != "" || p.Server == nil || p.Verdict != "hashed_unknown" {
		t.Errorf("what follows the hash was told as %+v", p)
	}
}

// TestTraceOfWhatBeginsNoConnection: datagrams that are scheduled one by one, their answers, and what goes by the hash
// of its flow; each too when the server that it would go to has sent it back.
func TestTraceOfWhatBeginsNoConnection(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, smallTable)
	nat, dsr := service(4, 10, 53, model.UDP, toServer(4, 1, 5353, model.NAT)), service(4, 11, 53, model.UDP, toServer(4, 2, 53, model.DR))
	nat.OnePacket, dsr.OnePacket = true, true
	web := service(4, 12, 80, model.TCP, toServer(4, 3, 80, model.DR))
	b.apply(t, model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{nat, dsr, web}})
	b.eyes = b.trace(t, model.TraceFilter{})
	defer b.eyes.end()
	asks, asksDSR, stray := talkTo(4, 10, 53, model.UDP, 47000), talkTo(4, 11, 53, model.UDP, 47000), talkTo(4, 12, 80, model.TCP, 47000)
	to := func(s model.ServiceWant, v verdict) model.Traced {
		w := s.Servers[0]
		return model.Traced{Verdict: string(v), Service: &s.Key, Scheduler: s.Scheduler, Server: &w.Key, Forwarding: w.Forwarding}
	}
	byHash := func(v verdict) model.Traced {
		traced := to(web, v)
		traced.Hashed = true
		return traced
	}
	answer := asks.answer(netip.AddrPortFrom(nat.Servers[0].Key.Address, 5353), 0)
	for _, row := range []struct {
		name    string
		talk    talk
		ifindex int
		layers  packet.Layers
		want    model.Traced
	}{
		{"question by NAT", asks, front, asks.more(), to(nat, natIn)},
		{"its answer", asks, back, answer, model.Traced{Verdict: string(natOut), Connection: "UDP", Back: true}},
		{"question by DR", asksDSR, front, asksDSR.more(), to(dsr, dr)},
		{"question that came back", asksDSR, back, returned(asksDSR.more(), 2), to(dsr, martian)},
		{"by hash", stray, front, stray.more(), byHash(hashedUnknown)},
		{"by hash, and it came back", stray, back, returned(stray.more(), 3), byHash(martian)},
	} {
		b.frame(t, row.ifindex, packet.Build(row.layers...))
		got := b.eyes.last
		if got.Back { // whose it is is in its headers
			got.Server, got.Forwarding = nil, 0
		}
		got.At, got.In, got.Sent, got.Means, got.Egress, got.Link = time.Time{}, model.Frame{}, nil, "", 0, 0
		row.want.Part, row.want.Flow = model.TracedWhole, model.Flow{Protocol: row.talk.protocol, Client: row.talk.client, Virtual: row.talk.service}
		compareTraced(t, row.name, row.want, got)
	}
	b.compareConnections(t) // there are none
}

// returned is a packet as a server behind the director routes it.
func returned(layers packet.Layers, host byte) packet.Layers {
	return fromMAC(toMAC(layers, backMAC), macOf(host))
}

func compareTraced(t *testing.T, what string, want, got model.Traced) {
	t.Helper()
	if diff := cmp.Diff(want, got, compareAddr, compareAddrPort); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestTraceIsOfWhoIsWanted: packets of the client, and those for it, and no others.
func TestTraceIsOfWhoIsWanted(t *testing.T) {
	t.Parallel()
	for _, f := range []family{4, 6} {
		b := newTestbed(t, smallTable)
		b.apply(t, world())
		mine, his := talkTo(f, 30, 80, model.TCP, 42000), talkTo(f, 30, 80, model.TCP, 42001)
		his.client = netip.AddrPortFrom(his.client.Addr().Next(), 42001)
		elsewhere := talkTo(f, 10, 80, model.TCP, 42000)
		udp := talkTo(f, 30, 53, model.UDP, 42000)
		portless := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }
		rows := []struct {
			name   string
			wanted model.TraceFilter
			told   []string
		}{
			{"all", model.TraceFilter{}, []string{"mine", "answer", "error", "his", "his answer", "elsewhere", "udp"}},
			{"client", model.TraceFilter{Client: portless(mine.client)}, []string{"mine", "answer", "error", "elsewhere", "udp", "nobody's", "stray answer"}},
			{"client and VIP", model.TraceFilter{Client: portless(mine.client), Virtual: portless(mine.service)}, []string{"mine", "answer", "error", "udp"}},
			{"flow", model.TraceFilter{Client: mine.client, Virtual: mine.service, Protocol: model.TCP}, []string{"mine", "answer", "error"}},
			{"port", model.TraceFilter{Client: his.client, Virtual: mine.service}, []string{"his", "his answer"}},
			{"VIP", model.TraceFilter{Virtual: elsewhere.service}, []string{"elsewhere"}},
			{"protocol", model.TraceFilter{Protocol: model.UDP}, []string{"udp"}},
		}
		if f == 6 {
			rows = rows[1:4] // each loads the path, which takes its time
		}
		for _, row := range rows {
			e := b.trace(t, row.wanted)
			var told []string
			last := map[string]packet.Layers{"mine": mine.more(), "his": his.more(), "elsewhere": elsewhere.more(), "udp": udp.more()}
			send := func(name string, ifindex int, layers packet.Layers) {
				b.frame(t, ifindex, packet.Build(layers...))
				if slices.Contains(row.told, name) {
					e.see(t)
					told = append(told, name)
				}
			}
			nobodys := mine
			nobodys.service = netip.AddrPortFrom(vip(f, 200), 80)
			send("mine", front, mine.open())
			mineAt, _ := b.server(mine)
			send("answer", back, mine.answer(mineAt, packet.ACK))
			send("error", front, unreachable(router(f), mine.service.Addr(), packetOf(mine.turned())))
			send("his", front, his.open())
			hisAt, _ := b.server(his)
			send("his answer", back, his.answer(hisAt, packet.ACK))
			send("elsewhere", front, elsewhere.open())
			send("udp", front, udp.open())
			send("nobody's", front, nobodys.open())
			send("stray answer", back, udp.answer(netip.AddrPortFrom(serverAddr(f, 31), 9), packet.ACK))
			b.frame(t, front, packet.Build(last[row.told[0]]...))
			e.see(t) // and so was all that came before
			if err := e.end(); err != nil || len(e.packets) != 0 || !slices.Equal(told, row.told) {
				t.Errorf("ipv%d %s: told were %q, want %q, and %d that are not wanted: %v", f, row.name, told, row.told, len(e.packets), err)
			}
		}
	}
}

// TestTraceSaysWhatItMissed: while nobody reads, the ring is full at some time; told and missed are all that came.
func TestTraceSaysWhatItMissed(t *testing.T) {
	t.Parallel()
	const sent, read = 6000, 2000 // of some 1,900 in the ring, and 1,024 on the way from there
	b := newTestbed(t, smallTable)
	b.apply(t, world())
	e := b.trace(t, model.TraceFilter{})
	defer e.end()
	c := talkTo(4, 10, 80, model.TCP, 46000)
	for range sent {
		b.sent(t, packet.Build(c.open()...))
	}
	told, missed := uint64(0), uint64(0)
	for see := func() { p := e.see(t); told++; missed += p.Missed }; told+missed < sent+1; see() {
		if told == read { // now there is room, and the next one can say it
			b.sent(t, packet.Build(c.open()...))
		}
	}
	if missed == 0 || told <= read {
		t.Errorf("of %d packets %d were told and %d missed", sent+1, told, missed)
	}
}

// TestThereIsOneTrace at a time, and the path is on the interfaces again when it ends, however that is.
func TestThereIsOneTrace(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, smallTable)
	want := world()
	b.apply(t, want)
	before := b.programIDs(t)
	e := b.trace(t, model.TraceFilter{})
	if slices.Equal(before, b.programIDs(t)) {
		t.Error("the traced path is not on the interfaces")
	}
	err := b.path.Trace(t.Context(), model.TraceFilter{}, func() { t.Error("two began") }, nil)
	if !errors.Is(err, dataplane.ErrTracing) {
		t.Errorf("a second trace: %v", err)
	}
	if err := e.end(); err != nil {
		t.Error(err)
	}
	if now := b.programIDs(t); !slices.Equal(before, now) {
		t.Errorf("programs are %v, want %v as before", now, before)
	}
	refusal := errors.New("enough")
	err = b.path.Trace(t.Context(), model.TraceFilter{}, func() {
		b.frame(t, front, packet.Build(talkTo(4, 10, 80, model.TCP, 43000).open()...))
	}, func(model.Traced) error { return refusal })
	if !errors.Is(err, refusal) || !slices.Equal(before, b.programIDs(t)) {
		t.Errorf("a trace that was refused a packet ended with %v", err)
	}
}

// TestDaemonThatEndsTakesItsTraceAlong; one that is killed leaves it to the next.
func TestDaemonThatEndsTakesItsTraceAlong(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, smallTable)
	b.apply(t, world())
	before := b.programIDs(t)
	e := b.trace(t, model.TraceFilter{})
	if err := b.path.Close(); err != nil {
		t.Error(err)
	}
	if now := b.programIDs(t); !slices.Equal(before, now) {
		t.Errorf("programs are %v, want %v as before", now, before)
	}
	_ = e.end() // nothing is there that it could swap
	b.open(t, smallTable)
	b.apply(t, world())
	c := talkTo(4, 10, 80, model.TCP, 44000)
	b.frame(t, front, packet.Build(c.open()...))
}

// programIDs are those on the links.
func (b *testbed) programIDs(t testing.TB) (out []string) {
	t.Helper()
	var err error
	b.do(func() {
		for _, link := range []int{front, back} {
			id, e := dataplane.ProgramOn(link)
			out, err = append(out, fmt.Sprint(id)), errors.Join(err, e)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
