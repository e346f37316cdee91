// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"errors"

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

// TestWhatIsExplainedHappens: any services and servers, any connections that come, go on and end, while
// servers change. Each packet ends as was explained before it, at the server that was named.
func TestWhatIsExplainedHappens(t *testing.T) {
	t.Parallel()
	for _, s := range foreseeable() {
		t.Run(s.String(), func(t *testing.T) {
			explainAtRandom(t, newTestbed(t, 2048), s, rand.New(rand.NewPCG(uint64(s), 1)))
		})
	}
}

func explainAtRandom(t *testing.T, b *testbed, s model.Scheduler, random *rand.Rand) {
	t.Helper()
	var want model.DataplaneWant
	var talks []talk
	for turn := range uint16(300) {
		if turn%50 == 0 {
			want = farms(s, want, random)
			b.applyHere(t, want)
		}
		c, flags := anyPacket(want, talks, turn, random)
		talks = append(talks, c)
		b.explained(t, c, flags, turn%100 == 60)
		if t.Failed() {
			t.FailNow() // what follows follows from it
		}
	}
}

// applyHere leaves the twin out: it does not know of schedulers that are changed.
func (b *testbed) applyHere(t *testing.T, want model.DataplaneWant) {
	t.Helper()
	var err error
	b.do(func() { err = b.path.Apply(t.Context(), want) })
	if err != nil {
		t.Fatal(err)
	}
}

// farms are services with the scheduler, of both families and each protocol, one for all ports. Those that
// were there before have other servers, weights and ways; some were removed.
func farms(s model.Scheduler, before model.DataplaneWant, random *rand.Rand) (want model.DataplaneWant) {
	want.Interfaces = world().Interfaces
	if before.Services == nil {
		for _, f := range []family{4, 6} {
			for _, p := range protocols {
				for _, port := range []uint16{80, model.AnyPort} {
					before.Services = append(before.Services, service(f, 10, port, p))
				}
			}
		}
	}
	for _, service := range before.Services {
		service.Scheduler = s
		if random.IntN(8) == 0 {
			service.Scheduler = foreseeable()[random.IntN(len(foreseeable()))]
		}
		service.Flags = model.SchedulerFlags{Port: random.IntN(2) == 0, Fallback: random.IntN(2) == 0}
		service.Unknown = model.Unknowns()[random.IntN(2)]
		service.Persistence = model.Persistence{}
		if random.IntN(3) == 0 { // clients are of some networks
			service.Persistence = model.Persistence{Timeout: time.Hour, Mask: 20, Quiescent: model.Quiescents()[random.IntN(2)]}
			if service.Key.Address.Is6() {
				service.Persistence.Mask = 36
			}
		}
		service.HalfOpen = 0
		if random.IntN(3) == 0 && service.Key.Protocol != model.UDP {
			service.HalfOpen = 1 + random.IntN(12)
		}
		service.Servers = staff(service, random)
		want.Services = append(want.Services, service)
	}
	return want
}

// staff is some of the servers that a service may have. One that it had and has no more leaves.
func staff(service model.ServiceWant, random *rand.Rand) (out []model.ServerWant) {
	f := family(6)
	if service.Key.Address.Is4() {
		f = 4
	}
	had := map[model.ServerKey]bool{}
	for _, w := range service.Servers {
		had[w.Key] = true
	}
	for host := range byte(1 + random.IntN(8)) {
		w := toServer(f, 1+host, service.Key.Port, everyForwarding[random.IntN(len(everyForwarding))])
		switch chance := random.IntN(12); {
		case chance == 0:
			w.MAC = model.MAC{}
		case chance == 1:
			w.Link = 0
		case chance == 2:
			w.Local = true
		case chance < 5 && had[w.Key]:
			w.Leaving = model.Leavings()[random.IntN(3)]
		case chance == 5:
			continue
		}
		out = append(out, w)
	}
	weigh(out, random)
	limit(out, random)
	for i := range out {
		if out[i].Leaving != 0 {
			out[i].Weight = 0
		}
	}
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// anyPacket is of a new connection, or of one that was there, or of none.
func anyPacket(want model.DataplaneWant, talks []talk, turn uint16, random *rand.Rand) (talk, packet.TCPFlags) {
	flags := []packet.TCPFlags{packet.SYN, packet.ACK, packet.ACK, packet.FIN | packet.ACK, packet.RST}[random.IntN(5)]
	if len(talks) > 0 && random.IntN(2) == 0 {
		return talks[random.IntN(len(talks))], flags
	}
	service := want.Services[random.IntN(len(want.Services))]
	f := family(6)
	if service.Key.Address.Is4() {
		f = 4
	}
	c := talkTo(f, 10, 80+uint16(random.IntN(2)), service.Key.Protocol, 20000+turn)
	switch random.IntN(20) {
	case 0: // no service
		c.service = netip.AddrPortFrom(vip(f, 11), 80)
	case 1: // no client
		c.client = netip.AddrPortFrom(vip(f, 10), c.client.Port())
	default:
		c.client = netip.AddrPortFrom(somebody(f, random), c.client.Port())
	}
	if random.IntN(4) > 0 {
		flags = packet.SYN
	}
	return c, flags
}

func flowOf(c talk) model.Flow {
	return model.Flow{Protocol: c.protocol, Client: c.client, Virtual: c.service}
}

func (b *testbed) explain(t testing.TB, c talk) model.Explanation {
	t.Helper()
	e, err := b.path.Explain(flowOf(c))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// explained asks what becomes of a packet, and sees to it.
func (b *testbed) explained(t *testing.T, c talk, flags packet.TCPFlags, untouched bool) {
	t.Helper()
	var before map[string]string
	if untouched {
		before = b.digests(t)
	}
	e := b.explain(t, c)
	if again := b.explain(t, c); !cmp.Equal(e, again, compareAddr, compareAddrPort, ignoreExpires) {
		t.Errorf("asked twice: %+v and %+v", e, again)
	}
	if untouched {
		if diff := cmp.Diff(before, b.digests(t)); diff != "" {
			t.Errorf("explaining has changed something: %s", diff)
		}
	}
	want := wayOf(e, c, flags)
	if want == nil {
		t.Fatalf("%v: nothing is said of flags %v: %+v", c, flags, e)
	}
	end, out := b.pass(t, packet.Build(c.ask(flags)...))
	if string(end) != want.Verdict {
		t.Errorf("%v flags %v: %s, but explained was %s: %s", c, flags, end, want.Verdict, want.Reason)
	}
	if slices.Contains(sends, end) && end != serverReset && want.Server != nil {
		if host := want.Server.Address.AsSlice(); packet.MAC(out) != macOf(host[len(host)-1]) {
			t.Errorf("%v flags %v: it went to %x, but explained was %s: %s", c, flags, out[:6], want.Server, want.Reason)
		}
	}
	b.remembered(t, c, want, e)
	if untouched {
		b.known(t)
	}
}

var ignoreExpires = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Expires" }, cmp.Ignore())

// wayOf is what is explained of this packet.
func wayOf(e model.Explanation, c talk, flags packet.TCPFlags) *model.Way {
	const all = packet.SYN | packet.ACK | packet.RST | packet.FIN
	opens := c.protocol == model.UDP || flags&all == packet.SYN
	if e.Connection != nil && c.protocol != model.UDP && flags&packet.RST != 0 && e.Connection.Packet.Verdict == string(serverReset) {
		way := e.Connection.Packet // who says so himself is not told
		way.Verdict = string(serverLeft)
		return &way
	}
	switch {
	case e.Connection == nil && !opens && e.Stray != nil:
		return e.Stray
	case e.Connection == nil:
		return e.New // or there is no service, which is the same to all
	case opens && e.New != nil:
		return e.New
	}
	return &e.Connection.Packet
}

// remembered: where the packet began a connection, that is the server's which was named; and what is
// explained then is this connection.
func (b *testbed) remembered(t *testing.T, c talk, want *model.Way, e model.Explanation) {
	t.Helper()
	if want != e.New || want.Server == nil || want.Hashed {
		return
	}
	known := b.explain(t, c).Connection
	if known == nil {
		t.Fatalf("%v: %s was to have it, but nobody knows of it: %s", c, want.Server, want.Verdict)
	}
	if known.Server.Addr() != want.Server.Address || known.Packet.Verdict != want.Verdict {
		t.Errorf("%v: %s has it (%s), but explained was %s (%s): %s",
			c, known.Server, known.Packet.Verdict, want.Server, want.Verdict, want.Reason)
	}
}

// known: each connection that is listed is the one that is explained.
func (b *testbed) known(t *testing.T) {
	t.Helper()
	for _, listed := range b.listed(t) {
		if listed.State == model.Template {
			continue
		}
		got := b.explain(t, talk{listed.Client, listed.Virtual, listed.Protocol}).Connection
		if got == nil || got.Server != listed.Server || got.State != listed.State {
			t.Errorf("explained is %+v of %+v", got, listed)
		}
	}
}

// pass sends a frame through the path, and says how it ended.
func (b *testbed) pass(t *testing.T, frame []byte) (end verdict, out []byte) {
	t.Helper()
	var err error
	b.do(func() { _, out, err = b.path.Send(bytes.Clone(frame), front) })
	if err != nil {
		t.Fatal(err)
	}
	return verdict(b.counted(t)), out
}

func (b *testbed) digests(t *testing.T) map[string]string {
	t.Helper()
	out, err := b.path.Contents()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestExplainedIsTheServerWithoutTheConnectionThatEnds: a SYN in TIME_WAIT ends one connection and begins
// another, which the scheduler sees in this order.
func TestExplainedIsTheServerWithoutTheConnectionThatEnds(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{
		service(4, 10, 80, model.TCP, toServer(4, 1, 80, model.NAT), toServer(4, 2, 80, model.NAT)),
	}}
	want.Services[0].Scheduler = model.LC
	b.apply(t, want)
	other, c := talkTo(4, 10, 80, model.TCP, 20000), talkTo(4, 10, 80, model.TCP, 20001)
	for _, one := range []talk{other, c} {
		expect(t, b, front, one.open(), natIn)
	}
	first := netip.AddrPortFrom(serverAddr(4, 1), 80) // it has the second connection
	expect(t, b, front, c.ask(packet.FIN|packet.ACK), natIn)
	expect(t, b, back, c.answer(first, packet.FIN|packet.ACK), natOut)
	e := b.explain(t, c)
	if e.Connection.State != "TIME_WAIT" || e.New == nil || e.New.Server.Address != first.Addr() {
		t.Fatalf("explained is %+v, %+v", e.Connection, e.New)
	}
	b.explained(t, c, packet.SYN, true)
}

// TestExplainedIsTheSameServerUnlessItIsQuiesced: where one side has closed, a SYN may begin a connection
// elsewhere only if its server takes no new ones.
func TestExplainedIsTheSameServerUnlessItIsQuiesced(t *testing.T) {
	t.Parallel()
	for _, flags := range []packet.TCPFlags{packet.FIN | packet.ACK, packet.RST} {
		l := newLife(t, model.DR)
		expect(t, l.testbed, front, l.tcp.ask(flags), dr)
		if e := l.explain(t, l.tcp); e.New != nil || e.Connection.Packet.Server.Address != serverAddr(4, 2) {
			t.Errorf("%s: %+v", e.Connection.State, e)
		}
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Weight = 0 })))
		if e := l.explain(t, l.tcp); e.New == nil || e.New.Server.Address != serverAddr(4, 1) {
			t.Errorf("%s, quiesced: %+v", e.Connection.State, e)
		}
		l.explained(t, l.tcp, packet.SYN, true)
	}
}

// TestExplainedIsTheServerWhoseWayBackIsFree: where NAT could not tell the answers of two connections apart,
// another server has the second one, or none.
func TestExplainedIsTheServerWhoseWayBackIsFree(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{
		service(4, 10, 80, model.TCP, toServer(4, 1, 8080, model.NAT)),
		service(4, 10, 81, model.TCP, toServer(4, 1, 8080, model.NAT)),
		service(4, 10, 82, model.TCP, toServer(4, 2, 8080, model.NAT), toServer(4, 1, 8080, model.NAT)),
	}}
	b.apply(t, want)
	expect(t, b, front, talkTo(4, 10, 80, model.TCP, 20000).open(), natIn)
	for port, verdict := range map[uint16]verdict{81: natClash, 82: natIn} {
		c := talkTo(4, 10, port, model.TCP, 20000)
		got := b.explain(t, c).New
		if got.Verdict != string(verdict) || !strings.Contains(got.Reason, "the way back from 198.51.100.1:8080 is another connection's") {
			t.Errorf("port %d: %+v", port, got)
		}
		b.explained(t, c, packet.SYN, true)
	}
}

// TestTemplateIsExplained, and why it is not followed.
func TestTemplateIsExplained(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := small(model.DR)
	for i := range want.Services {
		want.Services[i].Persistence.Timeout = time.Hour
	}
	b.apply(t, want)
	next := talkTo(4, 10, 80, model.TCP, 20001)
	if e := b.explain(t, next); e.Template != nil || e.New.Reason != "rr: it is next in turn of 2 servers" {
		t.Errorf("%+v", e.New)
	}
	expect(t, b, front, talkTo(4, 10, 80, model.TCP, 20000).open(), dr)
	for _, row := range []struct {
		change func(*model.ServiceWant)
		server byte
		reason string
	}{
		{func(*model.ServiceWant) {}, 2, "persistence: the client's template leads there"},
		{func(s *model.ServiceWant) { s.Servers[1].Weight = 0 }, 2, "persistence: the client's template leads there"},
		{func(s *model.ServiceWant) {
			s.Servers[1].Weight, s.Persistence.Quiescent = 0, model.ExpireQuiescent
		}, 1, "its template leads to 198.51.100.2:80, which has weight 0 (quiescent: expire); so rr: it is next in turn of 1 server; 198.51.100.2:80 has weight 0"},
		{func(s *model.ServiceWant) {
			s.Servers[1].Weight, s.Servers[1].Leaving = 0, model.Drain
		}, 1, "its template leads to 198.51.100.2:80, which is leaving; so rr: it is next in turn of 1 server; 198.51.100.2:80 is leaving"},
		{withoutSecond, 1, "its template leads to a server that is gone; so rr: it is next in turn of 1 server"},
	} {
		b.apply(t, changed(want, row.change))
		e := b.explain(t, next)
		isKept := e.Template.Server != nil && e.Template.Expires > 59*time.Minute || strings.Contains(row.reason, "gone")
		if e.New.Server.Address != serverAddr(4, row.server) || e.New.Reason != row.reason || !isKept {
			t.Errorf("%s: %s, %+v", e.New.Server, e.New.Reason, e.Template)
		}
	}
	b.explained(t, next, packet.SYN, true)
}

// TestTemplateOfAllPortsIsNoWayToAPortOfAnotherService, by NAT; else it is.
func TestTemplateOfAllPortsIsNoWayToAPortOfAnotherService(t *testing.T) {
	t.Parallel()
	for _, forwarding := range everyForwarding {
		b := newTestbed(t, 64)
		want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{
			service(4, 10, model.FTP, model.TCP, toServer(4, 1, model.FTP, forwarding)),
			service(4, 10, model.AnyPort, model.TCP, toServer(4, 2, model.AnyPort, forwarding)),
		}}
		for i := range want.Services {
			want.Services[i].Persistence.Timeout = time.Hour
		}
		b.apply(t, want)
		expect(t, b, front, talkTo(4, 10, model.FTP, model.TCP, 20000).open(), methodOf(forwarding))
		c := talkTo(4, 10, 1024, model.TCP, 20001)
		e, other := b.explain(t, c), "198.51.100.1:21, which is another service's, by NAT to a port of its own"
		if got := strings.Contains(e.New.Reason, other); got != (forwarding == model.NAT) {
			t.Errorf("%s: %s", forwarding, e.New.Reason)
		}
		b.explained(t, c, packet.SYN, true)
	}
}

// unknownTestbed has a service with one server, of whose connections so many may wait for their client's second packet.
func unknownTestbed(t *testing.T, forwarding model.Forwarding, unknown model.Unknown, halfOpen int) (*testbed, model.DataplaneWant) {
	t.Helper()
	b := newTestbed(t, 64)
	web := service(4, 10, 80, model.TCP, toServer(4, 1, 80, forwarding))
	web.Unknown, web.HalfOpen = unknown, halfOpen
	want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{web}}
	b.apply(t, want)
	return b, want
}

// TestHalfOpenIsExplained: what comes when too many wait goes by hash, or nowhere.
func TestHalfOpenIsExplained(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		forwarding model.Forwarding
		unknown    model.Unknown
		verdict    verdict
		reason     string
	}{
		{model.DR, model.ForwardUnknown, hashedHalfOpen, "the hash of the flow names it"},
		{model.DR, model.PassUnknown, halfOpen, "unknown: pass"},
		{model.NAT, model.ForwardUnknown, halfOpen, "the hash of the flow names 198.51.100.1:80, which needs a connection, as NAT does"},
	} {
		b, _ := unknownTestbed(t, row.forwarding, row.unknown, 1)
		first, c := talkTo(4, 10, 80, model.TCP, 20000), talkTo(4, 10, 80, model.TCP, 20001)
		expect(t, b, front, first.open(), methodOf(row.forwarding))
		want := "half_open: 1 is reached, 1 wait for their client's second packet; " + row.reason
		if got := b.explain(t, c).New; got.Verdict != string(row.verdict) || got.Reason != want {
			t.Errorf("%s: %s", got.Verdict, got.Reason)
		}
		b.explained(t, c, packet.SYN, true)
		expect(t, b, front, first.more(), methodOf(row.forwarding))
		if got := b.explain(t, c).New; got.Verdict != string(methodOf(row.forwarding)) {
			t.Errorf("%s: %s", got.Verdict, got.Reason)
		}
	}
}

// TestLingeringIsExplained: who was master a moment ago goes on with what it knows, and with what the hash leads.
func TestLingeringIsExplained(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		forwarding model.Forwarding
		unknown    model.Unknown
		verdict    verdict
		reason     string
	}{
		{model.DR, model.ForwardUnknown, hashedUnknown, "the hash of the flow names it"},
		{model.TUN, model.ForwardUnknown, hashedUnknown, "the hash of the flow names it"},
		{model.DR, model.PassUnknown, notServing, "here only known connections go on"},
		{model.NAT, model.ForwardUnknown, notServing, "the hash of the flow names 198.51.100.1:80, which needs a connection, as NAT does"},
	} {
		b, want := unknownTestbed(t, row.forwarding, row.unknown, 0)
		known, c := talkTo(4, 10, 80, model.TCP, 20000), talkTo(4, 10, 80, model.TCP, 20001)
		expect(t, b, front, known.open(), methodOf(row.forwarding))
		b.apply(t, changed(want, func(s *model.ServiceWant) { s.Serving, s.Lingers = false, true }))
		expect(t, b, front, known.more(), methodOf(row.forwarding))
		got := b.explain(t, c).New
		if reason := "another director has the service since a moment ago; " + row.reason; got.Verdict != string(row.verdict) || got.Reason != reason {
			t.Errorf("%s: %s", got.Verdict, got.Reason)
		}
		b.explained(t, c, packet.SYN, true)
		b.apply(t, changed(want, func(s *model.ServiceWant) { s.Serving = false }))
		expect(t, b, front, known.more(), notServing)
	}
}

// TestExplainedIsAnotherConnectionOnceBothSidesHaveClosed, whatever came then; and the way back of one that
// is over may be another one's.
func TestExplainedIsAnotherConnectionOnceBothSidesHaveClosed(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	web, twin := service(4, 10, 80, model.TCP, toServer(4, 1, 8080, model.NAT)), service(4, 10, 81, model.TCP, toServer(4, 1, 8080, model.NAT))
	b.apply(t, model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{web, twin}})
	c, other, server := talkTo(4, 10, 80, model.TCP, 20000), talkTo(4, 10, 81, model.TCP, 20000), netip.AddrPortFrom(serverAddr(4, 1), 8080)
	expect(t, b, front, c.open(), natIn)
	expect(t, b, front, c.ask(packet.FIN|packet.ACK), natIn)
	if got := b.explain(t, other).New; got.Verdict != string(natClash) {
		t.Errorf("%s: %s", got.Verdict, got.Reason)
	}
	expect(t, b, back, c.answer(server, packet.FIN|packet.ACK), natOut)
	expect(t, b, front, c.ask(packet.RST), natIn)
	if e := b.explain(t, c); e.Connection.State != "CLOSE" || e.New == nil {
		t.Errorf("%+v", e.Connection)
	}
	b.explained(t, other, packet.SYN, true)
	if e := b.explain(t, c); e.Connection != nil {
		t.Errorf("%+v has lost its way back", e.Connection)
	}
}

// TestAnswersAreExplained: what a NAT server sends to a client belongs to the client's connection.
func TestAnswersAreExplained(t *testing.T) {
	t.Parallel()
	l := newLife(t, model.NAT)
	answer := talk{netip.AddrPortFrom(serverAddr(4, 2), 80), l.tcp.client, model.TCP}
	known := l.explain(t, answer)
	if c := known.Connection; c == nil || c.Packet.Verdict != string(natOut) || c.Packet.Reason != "it is the answer of a server to 203.0.113.7:20000, who asked 192.0.2.10:80" || known.New != nil {
		t.Errorf("%+v", known)
	}
	expect(t, l.testbed, back, l.tcp.answer(answer.client, packet.ACK), natOut)
	if err := l.path.ForgetForward(); err != nil {
		t.Fatal(err)
	}
	if e := l.explain(t, answer); e.Connection != nil || e.New.Verdict != string(noService) {
		t.Errorf("of an orphan: %+v", e)
	}
}

// TestExplainNamesServicesThatAreNear: of the same address, but of another port or protocol.
func TestExplainNamesServicesThatAreNear(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{
		service(4, 10, 53, model.UDP), service(4, 10, 80, model.TCP), service(4, 11, 81, model.TCP), service(6, 10, 81, model.TCP),
	}})
	for host, want := range map[byte][]string{10: {"tcp 192.0.2.10:80", "udp 192.0.2.10:53"}, 12: nil} {
		var got []string
		e := b.explain(t, talkTo(4, host, 81, model.TCP, 20000))
		for _, key := range e.Others {
			got = append(got, key.String())
		}
		if e.Service != nil || e.New.Verdict != string(noService) || e.Stray != nil || !slices.Equal(got, want) {
			t.Errorf("host %d: %+v, near are %v", host, e, got)
		}
	}
}

// TestDrawsAreExplainedByShares: nobody is named, but how likely each is, and what is the same for all.
func TestDrawsAreExplainedByShares(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := farm(4, model.TWOS, 3)
	want.Services[0].Servers[2].Weight = 0
	b.apply(t, want)
	e := b.explain(t, talkTo(4, 10, 80, model.TCP, 20000))
	if e.New.Server != nil || e.New.Verdict != string(dr) || *e.Servers[2].Share != 0 {
		t.Errorf("%+v %+v", e.New, e.Servers)
	}
	if sum := *e.Servers[0].Share + *e.Servers[1].Share; sum < 0.999 || sum > 1.001 {
		t.Errorf("the shares are %v together", sum)
	}
	want.Services[0].Servers[0].MAC = model.MAC{}
	b.apply(t, want)
	if e := b.explain(t, talkTo(4, 10, 80, model.TCP, 20000)); e.New.Verdict != "" {
		t.Errorf("%+v", e.New)
	}
}

// TestExplainFindsTheTablesAfterARestart: another daemon has not made them.
func TestExplainFindsTheTablesAfterARestart(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := farm(4, model.RR, 3)
	b.apply(t, want)
	c := talkTo(4, 10, 80, model.TCP, 20000)
	before := b.explain(t, c)
	b.restart(t, 64)
	if _, err := b.path.Explain(flowOf(c)); !errors.Is(err, dataplane.ErrChanging) {
		t.Errorf("before the first Apply: %v", err)
	}
	b.apply(t, want)
	if diff := cmp.Diff(before, b.explain(t, c), compareAddr, compareAddrPort); diff != "" {
		t.Error(diff)
	}
}

// TestReasonNamesThosePassedOver, but no endless list of them.
func TestReasonNamesThosePassedOver(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := farm(4, model.WLC, 8)
	servers := want.Services[0].Servers
	for i := range servers[1:] {
		servers[1+i].Weight = 0
	}
	servers[2].MAC = model.MAC{}
	servers[3].Thresholds.Upper, servers[3].Weight = 1, 9
	b.apply(t, want)
	expect(t, b, front, talkTo(4, 10, 80, model.TCP, 20000).open(), dr)
	servers[4].Leaving = model.Drain
	b.apply(t, want)
	const reason = "wlc: (active 0 x 256 + inactive 0) / weight 1 = 0 is the least of 1 server; " +
		"198.51.100.2:80 has weight 0, 198.51.100.3:80 is unreachable, 198.51.100.4:80 is full, and 4 more are passed over"
	e := b.explain(t, talkTo(4, 10, 80, model.TCP, 20001))
	if e.New.Reason != reason || e.Servers[4].Passed != model.PassedLeaving {
		t.Errorf("%s\n%+v", e.New.Reason, e.Servers)
	}
}
