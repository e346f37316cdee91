// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

const persists = 6 * time.Minute

// persistent makes every service so.
func persistent(want model.DataplaneWant, p model.Persistence) model.DataplaneWant {
	return changed(want, func(s *model.ServiceWant) { s.Persistence = p })
}

// from is the conversation as another client, from another port, has it.
func (c talk) from(client string, port uint16) talk {
	c.client = netip.AddrPortFrom(netip.MustParseAddr(client), port)
	return c
}

// opens begins a connection and says which server has it: the last byte of its MAC; 0: none.
func (b *testbed) opens(t *testing.T, c talk) byte {
	t.Helper()
	o := b.frame(t, front, packet.Build(c.open()...))
	if o.egress == 0 {
		return 0
	}
	return o.out[5]
}

// settles begins a connection that proves itself.
func (b *testbed) settles(t *testing.T, c talk) byte {
	t.Helper()
	server := b.opens(t, c)
	for range twinSettles - 1 {
		b.frame(t, front, packet.Build(c.more()...))
	}
	return server
}

// templates are listed as `weir connections --state TEMPLATE` lists them.
func (b *testbed) templates(t *testing.T) (out []string) {
	t.Helper()
	for _, c := range sorted(b.listed(t)) {
		if c.State == model.Template {
			out = append(out, fmt.Sprintf("%s %s %s %s %s", c.Protocol, c.Client, c.Virtual, c.Server, c.Forwarding))
		}
	}
	return out
}

func (b *testbed) wantTemplates(t *testing.T, want ...string) {
	t.Helper()
	if got := b.templates(t); !slices.Equal(got, want) {
		t.Errorf("templates are\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
	b.compareConnections(t)
	for _, complaint := range b.audit(t) {
		t.Error(complaint)
	}
}

//go:embed testdata/ipvs_persistence.txt
var recorded string

// TestPersistentClientsGoWhereIPVSSentThem: the same clients in the same order get the same servers.
func TestPersistentClientsGoWhereIPVSSentThem(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(recorded) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		t.Run(line, func(t *testing.T) {
			f := strings.Split(strings.TrimSpace(line), " | ")
			clients, ports := strings.Fields(f[4]), strings.Fields(f[5])
			b := newTestbed(t, 1024)
			b.apply(t, recordedService(f, netip.MustParseAddr(clients[0]).Is4()))
			var got []string
			for i := range strings.Fields(f[6]) {
				c := talkTo(4, 10, number(ports[i%len(ports)]), model.TCP, 0)
				if !netip.MustParseAddr(clients[0]).Is4() {
					c = talkTo(6, 10, number(ports[i%len(ports)]), model.TCP, 0)
				}
				got = append(got, strconv.Itoa(int(b.opens(t, c.from(clients[i%len(clients)], 30000+uint16(i))))))
			}
			if picks := strings.Join(got, " "); picks != f[6] {
				t.Errorf("got  %s\nwant %s", picks, f[6])
			}
			b.compareConnections(t)
		})
	}
}

func number(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		panic(err)
	}
	return uint16(n)
}

// recordedService is that of a line of the record.
func recordedService(fields []string, isIPv4 bool) model.DataplaneWant {
	f := family(6)
	if isIPv4 {
		f = 4
	}
	port := number(fields[3])
	var servers []model.ServerWant
	for i, weight := range strings.Fields(fields[1]) {
		server := toServer(f, byte(i+1), port, model.DR)
		server.Weight = number(weight)
		servers = append(servers, server)
	}
	s := service(f, 10, port, model.TCP, servers...)
	s.Scheduler, _ = model.ParseScheduler(fields[0])
	s.Persistence = model.Persistence{Timeout: time.Minute, Mask: uint8(number(fields[2]))}
	return model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{s}}
}

// TestEveryKindOfServiceIsPersistent: in each protocol, by each method, in both families a client's connections
// go to one server, and one template says so, which has no way back.
func TestEveryKindOfServiceIsPersistent(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1<<14)
	b.apply(t, persistent(world(), model.Persistence{Timeout: persists}))
	kinds := 0
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				kinds++
				first := b.settles(t, talkTo(f, m.host, webPort(p), p, 20000))
				for port := range uint16(4) {
					if got := b.opens(t, talkTo(f, m.host, webPort(p), p, 20001+port)); got != first {
						t.Errorf("ipv%d %s %s: connection %d went to server %d, the first one to %d", f, p, m.name, port+2, got, first)
					}
				}
			}
		}
	}
	if got := len(b.templates(t)); got != kinds {
		t.Errorf("%d templates of %d services", got, kinds)
	}
	b.compareConnections(t)
	b.sound(t)
}

// TestNoPacketIsATemplates: one from port 0 begins a connection of its own, or is unknown.
func TestNoPacketIsATemplates(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1024)
	b.apply(t, persistent(small(model.DR), model.Persistence{Timeout: persists, Mask: 24}))
	for _, p := range []model.Protocol{model.TCP, model.UDP} {
		server := b.settles(t, talkTo(4, 10, 80, p, 20000))
		none := talkTo(4, 10, 80, p, 0).from("203.0.113.0", 0)
		if p == model.TCP {
			expect(t, b, front, none.more(), hashedUnknown)
		}
		if got := b.opens(t, none); got != server {
			t.Errorf("%s from port 0 went to server %d, not to %d", p, got, server)
		}
		expect(t, b, front, unreachable(router(4), vip(4, 10), packetOf(none.turned())), icmpIn)
		b.kill(t, func(known dataplane.Connection) bool { return only(none)(known) && known.State != model.Template }, 1)
		b.twin.forget(none)
		expect(t, b, front, unreachable(router(4), vip(4, 10), packetOf(none.turned())), icmpNoConnection)
	}
	b.wantTemplates(t,
		"tcp 203.0.113.0:0 192.0.2.10:80 198.51.100.2:80 dr", "udp 203.0.113.0:0 192.0.2.10:80 198.51.100.2:80 dr")
}

// TestFTPsTemplatesAreForAllPorts of its address, as in IPVS, and shared with the service of any port there. A
// NAT server whose port is FTP's gets no other connections by it.
func TestFTPsTemplatesAreForAllPorts(t *testing.T) {
	t.Parallel()
	for _, method := range []model.Forwarding{model.DR, model.NAT} {
		for _, port := range []uint16{21, 2121} {
			if method == model.DR && port != 21 {
				continue
			}
			t.Run(fmt.Sprintf("%s %d", method, port), func(t *testing.T) {
				b := newTestbed(t, 1024)
				want := model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{
					service(4, 10, 21, model.TCP, toServer(4, 1, port, method), toServer(4, 2, port, method)),
					service(4, 10, model.AnyPort, model.TCP, toServer(4, 3, model.AnyPort, method)),
				}}
				b.apply(t, persistent(want, model.Persistence{Timeout: persists}))
				if got := b.opens(t, talkTo(4, 10, 21, model.TCP, 20000)); got != 2 {
					t.Errorf("the control connection went to %d", got)
				}
				data := byte(2)
				if method == model.NAT {
					data = 3
				}
				for port := range uint16(3) {
					if got := b.opens(t, talkTo(4, 10, 40000+port, model.TCP, 20000)); got != data {
						t.Errorf("a data connection went to %d, want %d", got, data)
					}
				}
				b.wantTemplates(t, fmt.Sprintf("tcp 203.0.113.7:0 192.0.2.10:0 198.51.100.%d:0 %s", data, method))
			})
		}
	}
}

// TestQuiescedServerKeepsItsClients, or not, as the service says. The recorded ip_vs picked the same: 3, 3, 3,
// then with its weight 0 3, 3, 3, and with expire_quiescent_template 2, 2, 2.
func TestQuiescedServerKeepsItsClients(t *testing.T) {
	t.Parallel()
	for quiescent, then := range map[model.Quiescent]byte{0: 3, model.KeepQuiescent: 3, model.ExpireQuiescent: 2} {
		t.Run(quiescent.String(), func(t *testing.T) {
			b := newTestbed(t, 1024)
			want := persistent(farm(4, model.WLC, 3), model.Persistence{Timeout: persists, Quiescent: quiescent})
			b.apply(t, want)
			port := uint16(20000)
			three := func(want byte) {
				t.Helper()
				for range 3 {
					port++
					if got := b.settles(t, talkTo(4, 10, 80, model.TCP, port)); got != want {
						t.Errorf("got server %d, want %d", got, want)
					}
				}
			}
			three(3)
			b.apply(t, changed(want, func(s *model.ServiceWant) { s.Servers[2].Weight = 0 }))
			three(then)
			b.apply(t, want)
			three(then)
			b.wantTemplates(t, fmt.Sprintf("tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.%d:80 dr", then))
		})
	}
}

// TestFullServerKeepsItsClients, as in IPVS; others get another server, or none.
func TestFullServerKeepsItsClients(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1024)
	b.apply(t, persistent(changed(farm(4, model.RR, 1), func(s *model.ServiceWant) {
		s.Servers[0].Thresholds.Upper = 2
	}), model.Persistence{Timeout: persists}))
	c := talkTo(4, 10, 80, model.TCP, 0)
	for port := range uint16(5) {
		if b.opens(t, c.from("203.0.113.7", 20000+port)) != 1 {
			t.Error("a client whose server is full was refused")
		}
	}
	expect(t, b, front, c.from("203.0.113.8", 20000).open(), noServer)
	b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.1:80 dr")
}

// TestLeavingServerLosesItsClients, whatever becomes of their connections; so does one that is gone.
func TestLeavingServerLosesItsClients(t *testing.T) {
	t.Parallel()
	leaves := func(s *model.ServiceWant) { s.Servers[2].Weight, s.Servers[2].Leaving = 0, model.Drain }
	gone := func(s *model.ServiceWant) { s.Servers = s.Servers[:2] }
	for name, change := range map[string]func(*model.ServiceWant){"leaving": leaves, "gone": gone} {
		t.Run(name, func(t *testing.T) {
			b := newTestbed(t, 1024)
			want := persistent(farm(4, model.WLC, 3), model.Persistence{Timeout: persists})
			b.apply(t, want)
			if got := b.settles(t, talkTo(4, 10, 80, model.TCP, 20000)); got != 3 {
				t.Fatalf("server %d", got)
			}
			b.apply(t, changed(want, change))
			for port := range uint16(3) {
				if got := b.opens(t, talkTo(4, 10, 80, model.TCP, 20001+port)); got != 2 {
					t.Errorf("got server %d, want 2", got)
				}
			}
			b.apply(t, want)
			if got := b.opens(t, talkTo(4, 10, 80, model.TCP, 20010)); got != 2 {
				t.Errorf("got server %d, want 2", got)
			}
			b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.2:80 dr")
		})
	}
}

// TestEditedMaskSchedulesAnew: templates of another mask are not found. The old ones are there until they expire.
func TestEditedMaskSchedulesAnew(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1024)
	want := farm(4, model.RR, 3)
	b.apply(t, persistent(want, model.Persistence{Timeout: persists, Mask: 24}))
	c := talkTo(4, 10, 80, model.TCP, 0)
	first, second := b.opens(t, c.from("203.0.113.7", 1)), b.opens(t, c.from("203.0.113.8", 1))
	if first != 3 || second != 3 {
		t.Errorf("clients of a network went to %d and %d", first, second)
	}
	b.apply(t, persistent(want, model.Persistence{Timeout: persists}))
	first, second = b.opens(t, c.from("203.0.113.7", 2)), b.opens(t, c.from("203.0.113.8", 2))
	if first != 2 || second != 1 {
		t.Errorf("clients went to %d and %d", first, second)
	}
	b.wantTemplates(t, "tcp 203.0.113.0:0 192.0.2.10:80 198.51.100.3:80 dr",
		"tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.2:80 dr", "tcp 203.0.113.8:0 192.0.2.10:80 198.51.100.1:80 dr")
}

// TestTemplateGoesWhereNoConnectionBegan: the way back is taken, or the packet dies here.
func TestTemplateGoesWhereNoConnectionBegan(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1024)
	want := model.DataplaneWant{Interfaces: world().Interfaces}
	for _, host := range []byte{10, 20} {
		want.Services = append(want.Services, service(4, host, 80, model.TCP, toServer(4, 1, 80, model.NAT)))
	}
	b.apply(t, persistent(want, model.Persistence{Timeout: persists}))
	expect(t, b, front, talkTo(4, 10, 80, model.TCP, 20000).open(), natIn)
	expect(t, b, front, talkTo(4, 20, 80, model.TCP, 20000).open(), natClash)
	expect(t, b, front, ttl(talkTo(4, 20, 80, model.TCP, 20001).open(), 1), ttlTold)
	b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.1:80 nat")
	expect(t, b, front, talkTo(4, 20, 80, model.TCP, 20002).open(), natIn)
	expect(t, b, front, talkTo(4, 20, 80, model.TCP, 20000).open(), natClash)
	b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.1:80 nat", "tcp 203.0.113.7:0 192.0.2.20:80 198.51.100.1:80 nat")
}

// TestKilledTemplate: its client is scheduled anew. A connection that proves itself brings it back.
func TestKilledTemplate(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 1024)
	b.apply(t, persistent(farm(4, model.RR, 3), model.Persistence{Timeout: persists}))
	c := talkTo(4, 10, 80, model.TCP, 20000)
	kill := func() {
		t.Helper()
		b.kill(t, inState(model.Template), 1)
		b.twin.end(b.twin.conns[b.twin.service(flow{c.client, c.service, c.protocol}).templateOf(flow{c.client, c.service, c.protocol})])
	}
	if got := b.opens(t, c); got != 3 {
		t.Errorf("server %d", got)
	}
	kill()
	b.wantTemplates(t)
	for range 2 {
		b.frame(t, front, packet.Build(c.more()...))
	}
	b.wantTemplates(t)
	b.frame(t, front, packet.Build(c.more()...))
	b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.3:80 dr")
	kill()
	if got := b.opens(t, talkTo(4, 10, 80, model.TCP, 20001)); got != 2 {
		t.Errorf("server %d, want 2", got)
	}
	// The other template is not the first connection's to settle.
	b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.10:80 198.51.100.2:80 dr")
}

// TestPersistentServicesAtRandom: many clients of few networks, servers that are quiesced, full, leave and
// come back, while masks and what quiescing means change.
func TestPersistentServicesAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { persistAtRandom(t, rand.New(rand.NewPCG(seed, 5))) })
	}
}

func persistAtRandom(t *testing.T, random *rand.Rand) {
	t.Helper()
	b := newTestbed(t, 1024)
	var talks []talk
	all := persistentWorld(random)
	for turn := range uint16(900) {
		if turn%100 == 0 {
			b.apply(t, changed(all, func(s *model.ServiceWant) {
				s.Persistence = anyPersistence(random, s.Key.Address)
				weigh(s.Servers, random)
				limit(s.Servers, random)
				leave(s.Servers, random)
			}))
		}
		flags := packet.SYN
		c := someTalk(random, turn)
		if len(talks) > 0 && random.IntN(3) > 0 {
			c = talks[random.IntN(len(talks))]
			flags = []packet.TCPFlags{packet.ACK, packet.ACK, packet.FIN | packet.ACK, packet.SYN}[random.IntN(4)]
		} else {
			talks = append(talks, c)
		}
		b.frame(t, front, packet.Build(c.ask(flags)...))
		if t.Failed() {
			t.Fatalf("turn %d: %s %s", turn, c.client, c.service)
		}
	}
	b.compareConnections(t)
	b.sound(t)
}

// persistentWorld has services of one port, of any, and FTP.
func persistentWorld(random *rand.Rand) model.DataplaneWant {
	want := model.DataplaneWant{Interfaces: world().Interfaces}
	for _, f := range []family{4, 6} {
		for _, p := range []model.Protocol{model.TCP, model.UDP} {
			for i, port := range []uint16{80, 21, model.AnyPort} {
				var servers []model.ServerWant
				for host := range byte(4) {
					servers = append(servers, toServer(f, byte(10*i+1)+host, port, everyForwarding[random.IntN(len(everyForwarding))]))
				}
				want.Services = append(want.Services, service(f, 10, port, p, servers...))
			}
		}
	}
	return changed(want, func(s *model.ServiceWant) {
		s.Scheduler = []model.Scheduler{model.RR, model.WLC, model.SH, model.LC}[random.IntN(4)]
	})
}

// anyPersistence is none in one of four cases.
func anyPersistence(random *rand.Rand, of netip.Addr) model.Persistence {
	if random.IntN(4) == 0 {
		return model.Persistence{}
	}
	p := model.Persistence{Timeout: persists, Quiescent: model.Quiescent(random.IntN(3))}
	if random.IntN(2) == 0 {
		p.Mask = uint8(of.BitLen() - random.IntN(of.BitLen()))
	}
	return p
}

func leave(servers []model.ServerWant, random *rand.Rand) {
	for i := range servers {
		if random.IntN(8) == 0 {
			servers[i].Weight, servers[i].Leaving = 0, model.Leavings()[random.IntN(3)]
		}
	}
}

// someTalk is from a port of its own.
func someTalk(random *rand.Rand, port uint16) talk {
	f := []family{4, 6}[random.IntN(2)]
	c := talkTo(f, 10, []uint16{80, 21, 443, 8080}[random.IntN(4)], []model.Protocol{model.TCP, model.UDP}[random.IntN(2)], 20000+port)
	a := c.client.Addr().AsSlice()
	a[len(a)-1], a[len(a)-2] = byte(random.IntN(6)), byte(random.IntN(3))
	client, _ := netip.AddrFromSlice(a)
	c.client = netip.AddrPortFrom(client, c.client.Port())
	return c
}

// TestTwoCPUsAgreeOnAServer: the first connections of a client come at the same moment.
func TestTwoCPUsAgreeOnAServer(t *testing.T) {
	b := newTestbed(t, 1<<18)
	b.apply(t, persistent(farm(4, model.RR, 3), model.Persistence{Timeout: persists}))
	const turns = 20000
	var together meeting
	b.onTwoCPUs(t, func(cpu int) error {
		defer together.leave(cpu)
		s := stampOf(stampSource, talkTo(4, 10, 80, model.TCP, 20000+uint16(cpu)).open())
		for turn := range turns {
			frame := s.of(uint32(turn))
			together.wait(cpu, turn)
			if _, _, err := b.path.Send(frame, front); err != nil {
				return err
			}
		}
		return nil
	})
	servers := map[netip.Addr]netip.AddrPort{}
	apart := 0
	for _, c := range b.listed(t) {
		if c.State == model.Template {
			continue
		}
		client := c.Client.Addr()
		if before, known := servers[client]; known && before != c.Server {
			apart++
		}
		servers[client] = c.Server
	}
	if len(servers) < turns*999/1000 || apart > 0 { // a bucket may be crowded, by chance
		t.Errorf("of %d clients %d have connections to two servers", len(servers), apart)
	}
	b.sound(t)
}

// TestTemplatesOutliveAFlood of SYNs from ten times as many sources as the table has room for. Those of
// clients that have proved themselves stay, and no more than about half of the table is the flood's.
func TestTemplatesOutliveAFlood(t *testing.T) {
	t.Parallel()
	const room, clients = 4096, 300
	b := newTestbed(t, room)
	b.apply(t, persistent(farm(4, model.RR, 3), model.Persistence{Timeout: persists}))
	c := talkTo(4, 10, 80, model.TCP, 0)
	client := func(i int) talk { return c.from(fmt.Sprintf("203.0.%d.%d", i/200, 1+i%200), 20000) }
	var servers []byte
	for i := range clients {
		servers = append(servers, b.settles(t, client(i)))
	}
	s := stampOf(stampSource, c.from("10.0.0.1", 20000).open())
	for i := range uint32(10 * room) {
		b.send(t, s.of(i))
	}
	buckets, _ := b.path.Hash()
	// Now and then a bucket has more of clients than eight, and less room for the flood.
	if all, most := len(b.listed(t)), int(buckets)*twinUnsettled; all > most+2*clients || all < most*99/100+2*clients {
		t.Errorf("%d entries are in the table, %d of clients, and the flood has room for %d", all, 2*clients, most)
	}
	b.sound(t)
	for i, before := range servers {
		again := c.from(client(i).client.Addr().String(), 30000)
		if got := b.sent(t, packet.Build(again.open()...))[5]; got != before {
			t.Fatalf("client %d went to server %d, and to %d before the flood", i, got, before)
		}
	}
	b.sound(t)
}

// sent is what becomes of a frame that the twin does not see.
func (b *testbed) sent(t *testing.T, frame []byte) (out []byte) {
	t.Helper()
	var err error
	b.do(func() { _, out, err = b.path.Send(frame, front) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTemplateIsFollowedIntoTheOtherTable, behind each step of a move: new connections go where their client's
// template leads, in whichever table it is.
func TestTemplateIsFollowedIntoTheOtherTable(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, middleTable, 1)
	for steps := range dataplane.MoveSteps + 1 {
		if err := c.path.Move(largeTable, steps); err != nil {
			t.Fatal(err)
		}
		for i, k := range slices.Clone(c.talks) {
			if i%7 == steps%7 {
				k.client = netip.AddrPortFrom(k.client.Addr(), uint16(40000+1000*steps+i))
				c.begin(t, k, twinSettles-1)
			}
		}
		c.restart(t, middleTable)
		c.check(t)
		c.tend(t)
	}
}

// TestAnswerToAServerFollowsTheTemplate: an FTP server opens the data connection, as the service, and the client's
// answer is the first that the director sees of it. Of a client that has no template it begins nothing.
func TestAnswerToAServerFollowsTheTemplate(t *testing.T) {
	t.Parallel()
	for _, f := range []model.Forwarding{model.DR, model.TUN} {
		b := newTestbed(t, 64)
		s := service(4, 10, model.AnyPort, model.TCP, toServer(4, 1, model.AnyPort, f), toServer(4, 2, model.AnyPort, f))
		s.Persistence.Timeout = time.Minute
		b.apply(t, model.DataplaneWant{Interfaces: world().Interfaces, Services: []model.ServiceWant{s}})
		data := talkTo(4, 10, 20, model.TCP, 40000)
		got := b.frame(t, front, packet.Build(data.ask(packet.SYN|packet.ACK)...))
		if got.verdict != hashedUnknown {
			t.Errorf("without a template: %s", got.verdict)
		}
		expect(t, b, front, talkTo(4, 10, 21, model.TCP, 20000).open(), methodOf(f))
		expect(t, b, front, data.ask(packet.SYN|packet.ACK), methodOf(f))
		got = b.frame(t, front, packet.Build(data.more()...))
		if got.verdict != methodOf(f) || packet.MAC(got.out) != macOf(2) {
			t.Errorf("%s to %x, want server 2", got.verdict, got.out[:6])
		}
		b.compareCounters(t)
		b.compareConnections(t)
	}
}
