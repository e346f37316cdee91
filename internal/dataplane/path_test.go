// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// step is one frame of a row, and the exit that it must take.
type step struct {
	ifindex int
	layers  packet.Layers
	verdict verdict
}

func in(layers packet.Layers, v verdict) step       { return step{front, layers, v} }
func fromBack(layers packet.Layers, v verdict) step { return step{back, layers, v} }

// row is a line of the packet table: frames that follow each other.
type row struct {
	name  string
	steps []step
}

// table collects rows; each conversation in it has a client port of its own, and each packet that is
// cut into fragments an id.
type table struct {
	rows []row
	port uint16
	id   uint32
}

func (tb *table) add(name string, steps ...step) { tb.rows = append(tb.rows, row{name, steps}) }

func (tb *table) talk(f family, host byte, port uint16, p model.Protocol) talk {
	tb.port++
	return talkTo(f, host, port, p, 20000+tb.port)
}

func (tb *table) newID() uint32 {
	tb.id++
	return tb.id
}

// packetTable is every method, family and protocol with everything that can be the matter with a packet.
func packetTable() []row {
	var tb table
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			for _, m := range methods {
				tb.plain(f, p, m)
				tb.unusual(f, p, m)
				tb.unknown(f, p, m)
			}
			tb.answers(f, p)
			tb.lies(f, p)
			tb.otherPackets(f, p)
			tb.anyPort(f, p)
		}
		tb.tcp(f)
		tb.sctp(f)
		tb.odd(f)
		tb.martians(f)
		tb.vlans(f)
		tb.fragments(f)
		tb.icmp(f)
		tb.told(f)
		tb.mss(f)
	}
	tb.ipv4()
	tb.ipv6()
	tb.udp()
	tb.tunnels()
	tb.sums()
	return tb.rows
}

func (tb *table) plain(f family, p model.Protocol, m method) {
	name := fmt.Sprintf("%s ipv%d %s", m.name, f, p)
	for i := range 3 { // one for each server
		c := tb.talk(f, m.host, webPort(p), p)
		tb.add(fmt.Sprintf("%s, client %d", name, i),
			in(c.open(), m.verdict), in(c.more(), m.verdict), in(c.ask(packet.FIN|packet.ACK), m.verdict))
	}
}

// unusual packets are forwarded like any other, or refused by name.
func (tb *table) unusual(f family, p model.Protocol, m method) {
	name := fmt.Sprintf("%s ipv%d %s", m.name, f, p)
	open := func() packet.Layers { return tb.talk(f, m.host, webPort(p), p).open() }
	tb.add(name+", Ethernet padding stays", in(append(open(), packet.Trailer("padding")), m.verdict))
	tb.add(name+", last hop but one", in(ttl(open(), 2), m.verdict))
	tb.add(name+", last hop", in(ttl(open(), 1), ttlTold), in(ttl(open(), 0), ttlTold))
	tb.add(name+", tagged", in(tagged(open()), m.verdict), in(taggedAs(open(), 0), m.verdict),
		in(taggedAs(open(), backVLAN), otherVLAN), in(providerTagged(open()), otherVLAN))
	tb.add(name+", for another host", in(toMAC(open(), gatewayMAC), otherHost), in(toMAC(open(), backMAC), otherHost))
	tb.add(name+", on a link that is not weir's", step{foreign, open(), otherHost})
	for _, mac := range frontVirtual {
		tb.add(fmt.Sprintf("%s, for a virtual router at %x", name, mac), in(toMAC(open(), packet.MAC(mac)), m.verdict), fromBack(toMAC(open(), packet.MAC(mac)), otherHost))
	}
	tb.add(name+", for a virtual router on a VLAN", in(toMAC(tagged(open()), packet.MAC(virtualMAC(1, 51))), m.verdict), in(toMAC(tagged(open()), packet.MAC(virtualMAC(1, 1))), otherHost))
	for _, mac := range []model.MAC{virtualMAC(1, 52), virtualMAC(2, 51), virtualMAC(1, 50), virtualMAC(1, 0), virtualMAC(2, 0), virtualMAC(0, 51), virtualMAC(3, 51),
		virtualMAC(2, 255), {0, 0, 0x5e, 1, 1, 51}, {0, 0, 0x5f, 0, 1, 51}, {2, 0, 0x5e, 0, 1, 51}} {
		tb.add(fmt.Sprintf("%s, for another virtual router at %x", name, mac), in(toMAC(open(), packet.MAC(mac)), otherHost))
	}
	tb.add(name+", larger than the link", in(append(open(), large), tooBigFor(f)), in(uncut(append(open(), large)), tooBigTold))
	c := tb.talk(f, m.host, webPort(p), p)
	tb.add(name+", of a known connection",
		in(c.open(), m.verdict), in(tagged(c.more()), m.verdict), in(ttl(c.more(), 1), ttlTold), in(ttl(c.more(), 2), m.verdict),
		in(append(c.more(), large), tooBigFor(f)), in(toMAC(c.more(), gatewayMAC), otherHost))
}

// large does not fit a link.
var large = packet.Payload(bytes.Repeat([]byte("weir"), 380))

// tooBigFor: of IPv4 packets that routers may cut nobody is told.
func tooBigFor(f family) verdict {
	if f == 4 {
		return tooBig
	}
	return tooBigTold
}

// answers come back through NAT, and only there.
func (tb *table) answers(f family, p model.Protocol) {
	name := fmt.Sprintf("answer ipv%d %s", f, p)
	c := tb.talk(f, oddHost, oddNAT, p)
	server := netip.AddrPortFrom(serverAddr(f, 70), 8080)
	if p == model.UDP {
		c = tb.talk(f, anyHost, 4000, p)
		server = netip.AddrPortFrom(serverAddr(f, 50), 4000)
	}
	tb.add(name, in(c.open(), natIn),
		fromBack(c.answer(server, packet.SYN|packet.ACK), natOut), in(c.more(), natIn),
		fromBack(c.answer(server, packet.ACK), natOut), fromBack(c.answer(server, packet.FIN|packet.ACK), natOut),
		fromBack(append(c.answer(server, packet.ACK), packet.Trailer("padding")), natOut))
	tb.add(name+", refused", fromBack(ttl(c.answer(server, packet.ACK), 1), ttlTold),
		fromBack(tagged(c.answer(server, packet.ACK)), otherVLAN),
		fromBack(append(c.answer(server, packet.ACK), large), tooBigFor(f)),
		fromBack(uncut(append(c.answer(server, packet.ACK), large)), tooBigTold))
	moved := packet.MAC{2, 0, 0, 0, 2, 9}
	tb.add(name+", goes to where the client's last packet came from",
		in(fromMAC(c.more(), moved), natIn), fromBack(c.answer(server, packet.ACK), natOut))
	stranger := tb.talk(f, oddHost, oddNAT, p)
	tb.add(name+", that nobody asked for", fromBack(stranger.answer(server, packet.ACK), noService))
}

// lies are headers whose lengths are not true.
func (tb *table) lies(f family, p model.Protocol) {
	name := fmt.Sprintf("ipv%d %s", f, p)
	open := func() packet.Layers { return tb.talk(f, 10, webPort(p), p).open() }
	elsewhere := func() packet.Layers { return talkTo(f, 200, webPort(p), p, 9).open() }
	for _, lie := range []struct {
		what             string
		tell             func(packet.Layers) packet.Layers
		isAboutTransport bool
	}{
		{"longer than the frame", func(l packet.Layers) packet.Layers { return lengthen(l, 1) }, false},
		{"ends within its transport header", func(l packet.Layers) packet.Layers { return lengthen(l, -1) }, false},
		{"ends soon after its IP header", func(l packet.Layers) packet.Layers { return lengthen(l, 1-transportLength(p)) }, false},
		{"transport header is longer than the packet", longTransport, true},
		{"transport header is too short to be one", shortTransport, true},
	} {
		if p == model.SCTP && lie.isAboutTransport {
			continue // SCTP's header has no lengths
		}
		tb.add(name+", "+lie.what, in(lie.tell(open()), malformed), in(lie.tell(elsewhere()), noService),
			in(tagged(lie.tell(elsewhere())), noService))
	}
}

// otherPackets are not for a service, or for none that the path can handle.
func (tb *table) otherPackets(f family, p model.Protocol) {
	name := fmt.Sprintf("ipv%d %s", f, p)
	other := tb.talk(f, 200, webPort(p), p)
	tb.add(name+", no service", in(other.open(), noService), in(tb.talk(f, 10, 4444, p).open(), noService),
		in(tagged(other.open()), noService))
	tb.add(name+", doubly tagged", in(tagged(tagged(tb.talk(f, 10, webPort(p), p).open())), notIP))
}

func (tb *table) anyPort(f family, p model.Protocol) {
	name := fmt.Sprintf("any port ipv%d %s", f, p)
	tb.add(name, in(tb.talk(f, anyHost, 1, p).open(), natIn), in(tb.talk(f, anyHost, 65535, p).open(), natIn))
	tb.add(name+", but for port 0", in(tb.talk(f, anyHost, 0, p).open(), noService))
	tb.add(name+", beside an exact one", in(tb.talk(f, exactHost, 4000, p).open(), dr), in(tb.talk(f, exactHost, webPort(p), p).open(), dr))
}

// tcp is about flags: which packets begin a connection, and which belong to none.
func (tb *table) tcp(f family) {
	name := fmt.Sprintf("ipv%d tcp ", f)
	for _, flags := range []packet.TCPFlags{
		0, packet.ACK, packet.RST, packet.FIN, packet.PSH | packet.ACK, packet.SYN | packet.ACK,
		packet.SYN | packet.FIN, packet.SYN | packet.RST, packet.RST | packet.ACK,
	} {
		c := tb.talk(f, 10, 80, model.TCP)
		d := tb.talk(f, 30, 80, model.TCP)
		tb.add(name+flags.String()+" without a connection", in(c.ask(flags), hashedUnknown), in(d.ask(flags), unknownConnection))
	}
	c := tb.talk(f, 10, 80, model.TCP)
	tb.add(name+"SYN with PSH, URG, ECE and CWR", in(c.ask(packet.SYN|packet.PSH|packet.URG|packet.ECE|packet.CWR), dr))
	for _, end := range []packet.TCPFlags{packet.RST, packet.FIN | packet.ACK} {
		c := tb.talk(f, 30, 80, model.TCP)
		tb.add(name+"a new SYN after "+end.String()+" keeps the server",
			in(c.open(), natIn), in(c.more(), natIn), in(c.ask(end), natIn), in(c.open(), natIn), in(c.more(), natIn))
	}
	c = tb.talk(f, 10, 80, model.TCP)
	options := with(c.open(), func(t *packet.TCP) { t.Options = []byte{2, 4, 5, 0xb4, 1, 3, 3, 7} })
	tb.add(name+"options", in(options, dr))
}

// sctp is about chunks: which packets begin an association, and what ends one.
func (tb *table) sctp(f family) {
	name := fmt.Sprintf("ipv%d sctp ", f)
	for kind := range uint8(20) {
		c := tb.talk(f, 10, 3868, model.SCTP)
		v := hashedUnknown
		if kind == packet.ChunkInit {
			v = dr
		}
		first := with(c.open(), func(chunk *packet.Chunk) { chunk.Type = kind })
		tb.add(fmt.Sprintf("%schunk %d without an association", name, kind), in(first, v))
	}
	for _, kind := range []uint8{packet.ChunkAbort, packet.ChunkShutdown, packet.ChunkShutdownAck, packet.ChunkShutdownComplete, 10, 11, 130} {
		c := tb.talk(f, 30, 3868, model.SCTP)
		chunk := with(c.more(), func(chunk *packet.Chunk) { chunk.Type = kind })
		tb.add(fmt.Sprintf("%schunk %d of an association", name, kind),
			in(c.open(), natIn), in(c.more(), natIn), in(chunk, natIn), in(c.open(), natIn))
	}
	c := tb.talk(f, 30, 3868, model.SCTP)
	tb.add(name+"of every length", in(c.open(), natIn), in(append(c.more(), packet.Payload("x")), natIn),
		in(append(c.more(), packet.Payload(make([]byte, 1000))), natIn), in(append(c.more(), packet.Trailer("padding")), natIn))
	same := tb.talk(f, anyHost, 3868, model.SCTP)
	tb.add(name+"to the same port by NAT", in(same.open(), natIn), in(same.more(), natIn))
}

// twoBoxes: what another director has sent is for this host, whatever is known of the flow here.
func (tb *table) twoBoxes(f family) {
	name := func(s string) string { return fmt.Sprintf("ipv%d two boxes, %s", f, s) }
	talk := func() talk { return tb.talk(f, oddHost, oddTwoBoxes, model.TCP) }
	sent := func(layers packet.Layers) packet.Layers { return returned(layers, directorHost) }
	c := talk()
	tb.add(name("of a client"), in(c.open(), dr), in(c.more(), dr), fromBack(sent(c.more()), local), in(c.more(), dr))
	c = talk()
	tb.add(name("of a director"), fromBack(sent(c.open()), local), fromBack(sent(c.more()), local), in(c.more(), local))
	tb.add(name("without a connection"), in(talk().more(), hashedUnknown), fromBack(sent(talk().more()), local))
	tb.add(name("of a server of others"), fromBack(returned(talk().open(), 1), dr))
	tb.add(name("last hop"), fromBack(ttl(sent(talk().open()), 1), local))
	c = tb.talk(f, oddHost, oddLingering, model.TCP)
	tb.add(name("not served any more"), in(c.open(), hashedUnknown), in(c.more(), hashedUnknown), fromBack(sent(c.open()), local), fromBack(sent(c.more()), local))
	c.client = c.service
	tb.add(name("not served any more, of nobody"), in(c.open(), notServing))
	tb.errorsOfTwoBoxes(f)
}

// errorsOfTwoBoxes go where the other packets of their connections go: to this host, if another director sent them here.
func (tb *table) errorsOfTwoBoxes(f family) {
	name := func(s string) string { return fmt.Sprintf("icmp ipv%d two boxes, %s", f, s) }
	low := map[family]uint32{4: 575, 6: 1279}[f]
	sent := func(layers packet.Layers) packet.Layers { return returned(layers, directorHost) }
	failure := func(c talk) packet.Layers { return narrow(router(f), c.service.Addr(), low+1, packetOf(c.turned())) }
	lie := func(c talk) packet.Layers { return narrow(router(f), c.service.Addr(), low, packetOf(c.turned())) }
	c := tb.talk(f, oddHost, oddTwoBoxes, model.TCP)
	tb.add(name("without a connection"), in(failure(c), icmpNoConnection), fromBack(returned(failure(c), 1), icmpNoConnection),
		fromBack(sent(failure(c)), local), fromBack(sent(lie(c)), icmpNoConnection))
	tb.add(name("of a client"), in(c.open(), dr), in(failure(c), icmpIn), fromBack(sent(failure(c)), local), fromBack(sent(lie(c)), icmpLowMTU))
	for _, port := range []uint16{oddBeside, oddLingering} {
		c = tb.talk(f, oddHost, port, model.TCP)
		tb.add(name(fmt.Sprintf("not served here, %d", port)), fromBack(sent(c.more()), map[uint16]verdict{oddBeside: notServing, oddLingering: local}[port]),
			fromBack(sent(failure(c)), notServing), in(failure(c), notServing), fromBack(sent(lie(c)), icmpNoConnection))
	}
}

// odd services have something the matter.
func (tb *table) odd(f family) {
	name := func(s string) string { return fmt.Sprintf("ipv%d %s", f, s) }
	open := func(port uint16) packet.Layers { return tb.talk(f, oddHost, port, model.TCP).open() }
	tb.add(name("weight 0"), in(open(oddWeightless), noServer))
	tb.add(name("no server"), in(open(oddEmpty), noServer))
	tb.add(name("unresolved neighbour"), in(open(oddUnresolved), noNeighbour))
	tb.add(name("no route"), in(open(oddUnroutable), noRoute))
	here := tb.talk(f, oddHost, oddLocal, model.TCP)
	tb.add(name("local server"), in(here.open(), local), in(here.more(), local))
	tb.add(name("not serving"), in(open(oddBackup), notServing))
	tb.twoBoxes(f)
	tb.unknownOdd(f)
	outer := map[family]int{4: 20, 6: 40}[f]
	for i, overhead := range []int{0, outer, outer + 12} {
		port := []uint16{oddNarrowDR, oddNarrowTUN, oddNarrowGUE}[i]
		header := map[family]int{4: 40, 6: 60}[f] + overhead
		fits := append(open(port), packet.Payload(make([]byte, 200-header)))
		wide := append(open(port), packet.Payload(make([]byte, 201-header)))
		v := map[int]verdict{0: dr}[overhead]
		if overhead > 0 {
			v = tun
		}
		tb.add(name(fmt.Sprintf("as large as fits, overhead %d", overhead)), in(fits, v), in(wide, tooBigFor(f)),
			in(append(wide, packet.Trailer("padding")), tooBigFor(f)), in(uncut(fits), v), in(uncut(wide), tooBigTold),
			in(append(uncut(wide), packet.Trailer("padding")), tooBigTold))
	}
	tb.schedulers(f)
	tb.clashes(f)
	tb.clashesWithWhatIsOver(f)
}

func (tb *table) schedulers(f family) {
	var weighted, mixed []step
	for range 13 {
		weighted = append(weighted, in(tb.talk(f, oddHost, oddWRR, model.TCP).open(), dr))
	}
	for _, v := range []verdict{dr, tun, natIn, dr, tun, natIn} {
		mixed = append(mixed, in(tb.talk(f, oddHost, oddMixed, model.TCP).open(), v))
	}
	tb.add(fmt.Sprintf("ipv%d wrr", f), weighted...)
	tb.add(fmt.Sprintf("ipv%d each server by its own method", f), mixed...)
}

// clashes: two services translate to the same server, and one client uses one port for both.
func (tb *table) clashes(f family) {
	first := tb.talk(f, oddHost, oddNAT, model.TCP)
	second, third := first, first
	second.service = netip.AddrPortFrom(vip(f, oddHost), oddNATTwin)
	third.service = netip.AddrPortFrom(vip(f, oddHost), oddNATOther)
	tb.add(fmt.Sprintf("ipv%d nat clash", f),
		in(first.open(), natIn), in(second.open(), natClash), in(third.open(), natIn),
		in(first.more(), natIn), in(second.more(), unknownConnection), in(third.more(), natIn))
}

// clashesWithWhatIsOver: the newest connection has the way back of one that waits for no answer any more.
func (tb *table) clashesWithWhatIsOver(f family) {
	server := netip.AddrPortFrom(serverAddr(f, 70), 8080)
	const end = packet.FIN | packet.ACK
	first := tb.talk(f, oddHost, oddNAT, model.TCP)
	second := first
	second.service = netip.AddrPortFrom(vip(f, oddHost), oddNATTwin)
	tb.add(fmt.Sprintf("ipv%d nat clash with one that both have closed", f),
		in(first.open(), natIn), in(first.ask(end), natIn), in(second.open(), natClash),
		fromBack(first.answer(server, end), natOut), fromBack(first.answer(server, packet.RST), natOut), in(second.open(), natIn),
		fromBack(first.answer(server, packet.SYN|packet.ACK), natOut), in(second.more(), natIn), in(first.more(), unknownConnection))

	first = tb.talk(f, oddHost, oddNAT, model.UDP)
	second = first
	second.service = netip.AddrPortFrom(vip(f, oddHost), oddNATTwin)
	tb.add(fmt.Sprintf("ipv%d nat clash with a question", f),
		in(first.open(), natIn), in(second.open(), natClash),
		fromBack(first.answer(server, 0), natOut), in(second.open(), natIn), in(first.open(), natClash),
		fromBack(second.answer(server, 0), natOut), in(second.more(), natIn), in(second.more(), natIn), in(second.more(), natIn),
		in(first.open(), natClash)) // settled
}

func (tb *table) martians(f family) {
	addresses := map[family][]string{
		4: {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.10"},
		6: {"::", "::1", "ff02::1", "2001:db8:a::10"},
	}
	for _, a := range addresses[f] {
		c := tb.talk(f, 10, 80, model.TCP)
		c.client = netip.AddrPortFrom(netip.MustParseAddr(a), c.client.Port())
		tb.add("from "+a, in(c.open(), martian), in(c.more(), martian))
		c.service = netip.AddrPortFrom(vip(f, 200), 80)
		tb.add("from "+a+", not for a service", in(c.open(), noService))
	}
}

func (tb *table) ipv4() {
	open := func() packet.Layers { return tb.talk(4, 10, 80, model.TCP).open() }
	change := func(f func(*packet.IPv4)) packet.Layers { return with(open(), f) }
	tb.add("ipv4 reserved flag and DF", in(change(func(ip *packet.IPv4) { ip.Flags = packet.Evil | packet.DontFragment }), dr))
	link := packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}
	header := packet.IPv4{Source: clientAddr(4), Destination: vip(4, 10), TTL: 64}
	tb.add("ping", in(packet.Layers{link, header, packet.ICMP{Type: packet.ICMPEchoRequest}, packet.Payload("echo")}, icmp))
	for _, p := range []packet.Protocol{packet.ProtocolIPv4, packet.ProtocolESP, 136, 255} {
		other := header
		other.Protocol = p
		tb.add(fmt.Sprintf("ipv4 protocol %d", p), in(packet.Layers{link, other, packet.Payload("something")}, noService))
	}
	for _, first := range []byte{0x44, 0x40, 0x65, 0x05, 0x4f} {
		frame := packet.Build(open()...)
		frame[14] = first
		tb.add(fmt.Sprintf("ipv4 version and header length %#x", first), in(raw(frame), malformed))
	}
	tb.ipv4Options()
}

func (tb *table) ipv4Options() {
	for _, row := range []struct {
		name    string
		options []byte
		verdict verdict // of a packet for a service
	}{
		{"record route", []byte{7, 7, 4, 0, 0, 0, 0, 0}, dr},
		{"40 times nothing", bytes.Repeat([]byte{1}, 40), dr},
		{"an end, and rubbish behind it", []byte{0, 131, 1, 1}, dr},
		{"timestamp, router alert", []byte{68, 8, 5, 0, 0, 0, 0, 0, 148, 4, 0, 0}, dr},
		{"one that nobody knows", []byte{0x9e, 4, 1, 2}, dr},
		{"of length 0", []byte{7, 0, 0, 0}, malformed},
		{"of length 1", []byte{7, 1, 0, 0}, malformed},
		{"longer than the header", []byte{1, 7, 4, 0}, malformed},
		{"without a length", []byte{1, 1, 1, 7}, malformed},
		{"loose source route", []byte{131, 7, 4, 192, 0, 2, 1, 0}, sourceRoute},
		{"strict source route", []byte{1, 137, 7, 4, 192, 0, 2, 1}, sourceRoute},
		{"source route that is too long", []byte{137, 9, 4, 192, 0, 2, 1, 0}, malformed},
		{"source route, then a lie", []byte{137, 3, 4, 7}, sourceRoute},
		{"a lie, then a source route", []byte{7, 1, 137, 3}, malformed},
	} {
		for _, p := range protocols {
			c := tb.talk(4, 10, webPort(p), p)
			to := func(c talk) packet.Layers {
				return with(c.open(), func(ip *packet.IPv4) { ip.Options = row.options })
			}
			steps := []step{in(to(c), row.verdict)}
			if row.verdict == dr {
				nat, tunnel := tb.talk(4, 30, webPort(p), p), tb.talk(4, 20, webPort(p), p)
				steps = append(steps, in(to(nat), natIn), in(to(tunnel), tun))
			} else {
				steps = append(steps, in(to(talkTo(4, 200, webPort(p), p, 9)), noService))
			}
			tb.add(fmt.Sprintf("ipv4 options, %s: %s", p, row.name), steps...)
		}
	}
}

func (tb *table) ipv6() {
	open := func() packet.Layers { return tb.talk(6, 10, 80, model.TCP).open() }
	jumbo := packet.Build(open()...)
	jumbo[18], jumbo[19] = 0, 0
	tb.add("ipv6 without length", in(raw(jumbo), malformed))
	tb.add("ipv6 another version", in(version(open(), 4), malformed), in(version(open(), 0), malformed))
	link := packet.Ethernet{Source: gatewayMAC, Destination: frontMAC}
	header := packet.IPv6{Source: clientAddr(6), Destination: vip(6, 10), HopLimit: 255}
	tb.add("ipv6 ping and neighbours",
		in(packet.Layers{link, header, packet.ICMPv6{Type: packet.ICMPv6EchoRequest}, packet.Payload("echo")}, icmp),
		in(packet.Layers{link, header, packet.ICMPv6{}, packet.NeighbourSolicitation{Target: vip(6, 10)}}, icmp))
	for _, p := range []packet.Protocol{packet.ProtocolIPv6, packet.ProtocolESP, packet.ProtocolNoNext, 136} {
		other := header
		other.Next = p
		tb.add(fmt.Sprintf("ipv6 protocol %d", p), in(packet.Layers{link, other, packet.Payload("something")}, noService))
	}
	tb.chains()
	tb.brokenChains()
	tb.mapped()
}

// mapped: the path's maps hold IPv4 addresses as IPv6 ones. On the wire such an address is nobody's.
func (tb *table) mapped() {
	c := tb.talk(4, 10, 80, model.TCP)
	same := c
	same.client = netip.AddrPortFrom(netip.AddrFrom16(c.client.Addr().As16()), c.client.Port())
	same.service = netip.AddrPortFrom(netip.AddrFrom16(c.service.Addr().As16()), c.service.Port())
	tb.add("ipv6 with mapped IPv4 addresses is not that IPv4 connection",
		in(c.open(), dr), in(same.open(), noService), in(same.more(), noService), in(shortTransport(same.open()), noService))
	same.service = netip.AddrPortFrom(vip(6, 10), 80)
	tb.add("ipv6 from a mapped IPv4 address", in(same.open(), noService))
}

func (tb *table) udp() {
	for _, f := range []family{4, 6} {
		for _, m := range methods {
			c := tb.talk(f, m.host, 53, model.UDP)
			none := with(c.open(), func(u *packet.UDP) { u.NoChecksum = true })
			tb.add(fmt.Sprintf("%s ipv%d udp, no checksum", m.name, f), in(none, m.verdict), in(none, m.verdict))
		}
		c := tb.talk(f, 30, 53, model.UDP)
		short := lengthen(append(c.open(), packet.Trailer("in the packet, not in the datagram")), 0)
		tb.add(fmt.Sprintf("ipv%d udp, shorter than its packet", f), in(short, natIn))
		tb.zeroSum(f)
	}
}

// zeroSum: one of 65536 datagrams has a checksum that becomes 0 by translation, and is sent as 0xffff.
func (tb *table) zeroSum(f family) {
	c := tb.talk(f, anyHost, 4001, model.UDP)
	var steps []step
	for extra := range uint16(3) { // one of these three: 0xffff, 0 and the one before it
		steps = append(steps, in(append(c.open(), packet.Payload(sumTo(c, serverAddr(f, 50), extra))), natIn))
	}
	tb.add(fmt.Sprintf("ipv%d udp, checksum near 0", f), steps...)
}

// tunnels take over what the inner header says of quality and fragments.
func (tb *table) tunnels() {
	for _, m := range methods {
		if m.forwarding != model.TUN {
			continue
		}
		host, name := m.host, "inside "+m.name
		open4 := func(f func(*packet.IPv4)) packet.Layers { return with(tb.talk(4, host, 80, model.TCP).open(), f) }
		tb.add(name+", ipv4 in it",
			in(open4(func(ip *packet.IPv4) { ip.TOS, ip.ID = 0xb9, 0xffff }), tun),
			in(open4(func(ip *packet.IPv4) { ip.Flags, ip.ID = packet.DontFragment, 77 }), tun),
			in(open4(func(ip *packet.IPv4) { ip.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0} }), tun))
		c := tb.talk(6, host, 80, model.TCP)
		tb.add(name+", ipv6 in it",
			in(with(c.open(), func(ip *packet.IPv6) { ip.TrafficClass, ip.FlowLabel = 0xb9, 0xfffff }), tun))
	}
}

func TestPathDoesWhatItsTwinDoes(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 8192)
	b.apply(t, world())
	for _, row := range packetTable() {
		t.Run(row.name, func(t *testing.T) {
			b.forgetFragments(t)
			for i, s := range row.steps {
				if got := b.frame(t, s.ifindex, packet.Build(s.layers...)); got.verdict != s.verdict {
					t.Errorf("frame %d: %s, want %s: %s", i, got.verdict, s.verdict, s.layers)
				}
			}
		})
	}
	b.compareCounters(t)
	b.compareConnections(t)
}

// TestTwinKeepsChecksumsRight needs no kernel: what the twin sends on has wrong checksums only where
// what came had them.
func TestTwinKeepsChecksumsRight(t *testing.T) {
	w := newTwin(8192, [10]uint32{})
	w.apply(world())
	for _, row := range packetTable() {
		t.Run(row.name, func(t *testing.T) {
			for i, s := range row.steps {
				frame := packet.Build(s.layers...)
				got := w.frame(s.ifindex, frame)
				if got.verdict != s.verdict {
					t.Fatalf("frame %d: %s, want %s: %s", i, got.verdict, s.verdict, s.layers)
				}
				if got.egress != 0 {
					checkSums(t, frame, got)
				}
			}
		})
	}
}

// TestTableHasEveryVerdict: but for those that need another world, which have tests of their own.
func TestTableHasEveryVerdict(t *testing.T) {
	missing := slices.Concat(passes, sends, drops)
	for _, row := range packetTable() {
		for _, s := range row.steps {
			missing = slices.DeleteFunc(missing, func(v verdict) bool { return v == s.verdict })
		}
	}
	if want := []verdict{checkAnswer, serverReset, hashedFull, leaseOver, fragmentOrphan, serverLeft, serverGone, connFull, noHeadroom}; !slices.Equal(missing, want) {
		t.Errorf("no row ends as %q, want that of %q", missing, want)
	}
}

// leastFrame is the smallest frame that BPF_PROG_RUN takes.
const leastFrame = 14

// TestFullTableKeepsWhatIsSettled: of the smallest table, with two buckets.
func TestFullTableKeepsWhatIsSettled(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, twinSlots)
	b.apply(t, world())
	var kept []talk
	for i := uint16(0); len(kept) < 2*twinSlots-1; i++ {
		c := talkTo(4, 10, 80, model.TCP, 30000+i)
		kept = append(kept, c)
		expect(t, b, front, c.open(), dr)
		for range twinSettles {
			expect(t, b, front, c.more(), dr)
		}
	}
	// A pair needs two places, and there is one.
	expect(t, b, front, talkTo(4, 30, 80, model.TCP, 31000).open(), connFull)
	expect(t, b, front, talkTo(6, 20, 80, model.TCP, 31001).open(), tun)
	// Who has not proved himself makes room for the next.
	expect(t, b, front, talkTo(6, 20, 53, model.UDP, 31002).open(), tun)
	expect(t, b, front, talkTo(6, 20, 80, model.TCP, 31001).more(), hashedUnknown)
	for range twinSettles {
		expect(t, b, front, talkTo(6, 20, 53, model.UDP, 31002).open(), tun)
	}
	for _, c := range []talk{
		talkTo(6, 20, 80, model.TCP, 31003), talkTo(4, 10, 80, model.TCP, 31004), talkTo(4, 10, 53, model.UDP, 31005),
		talkTo(6, 10, 3868, model.SCTP, 31006),
	} {
		expect(t, b, front, wrongTransport(c.open()), map[bool]verdict{true: badChecksum, false: hashedFull}[c.protocol == model.TCP])
		expect(t, b, front, c.open(), hashedFull)
		expect(t, b, front, ttl(c.open(), 1), ttlTold)
		if c.protocol != model.UDP {
			expect(t, b, front, c.more(), hashedUnknown)
		}
		expect(t, b, front, cut(append(c.open(), hundred), 7, 32)[0], connFull)
	}
	expect(t, b, front, talkTo(4, 30, 80, model.TCP, 31007).open(), connFull)
	expect(t, b, front, talkTo(4, oddHost, oddPass, model.TCP, 31007).open(), connFull)
	expect(t, b, front, talkTo(4, oddHost, oddLocal, model.TCP, 31007).open(), local)
	for _, c := range kept {
		expect(t, b, front, c.more(), dr)
	}
	b.compareCounters(t)
	b.compareConnections(t)
}

// TestNewestGivesWayLast: of flows that have not proved themselves the one that came last is the last to
// make room, in whichever slot it lies. Else a flood would end a handshake that takes no time at all.
func TestNewestGivesWayLast(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, twinSlots) // two buckets
	b.apply(t, world())
	for port := range uint16(400) {
		newest := talkTo(4, 10, 80, model.TCP, 20000+port)
		expect(t, b, front, newest.open(), dr)
		expect(t, b, front, talkTo(4, 10, 80, model.TCP, 30000+port).open(), dr)
		expect(t, b, front, newest.more(), dr)
		if port%25 == 0 { // it proves itself, and so the next one need not take a place from anybody
			for range twinSettles {
				expect(t, b, front, newest.more(), dr)
			}
		}
	}
}

// TestFullTableServesAgain: when what filled it was reset and has expired, there is room at once.
func TestFullTableServesAgain(t *testing.T) {
	t.Parallel()
	tr := &trial{testbed: newTestbed(t, twinSlots), t: t}
	tr.apply(t, world())
	next := func() talk { return tr.talk(4, oddHost, oddPass, model.TCP) }
	var all []talk
	for c := next(); tr.ask(c.open()) != nil; c = next() {
		for range twinSettles {
			tr.ask(c.more())
		}
		all = append(all, c)
	}
	if !strings.HasSuffix(tr.counted(t), string(connFull)) || len(all) < twinSlots {
		t.Fatalf("after %d connections the table is not full", len(all))
	}
	for _, c := range all {
		tr.ask(c.ask(packet.RST))
	}
	if err := tr.path.Age(11 * time.Second); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := tr.path.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	if tr.ask(next().open()) == nil {
		t.Errorf("the table was emptied, and a new connection does not begin: %s", tr.counted(t))
	}
	tr.sound(t)
}

func expect(t *testing.T, b *testbed, ifindex int, layers packet.Layers, want verdict) {
	t.Helper()
	if got := b.frame(t, ifindex, packet.Build(layers...)); got.verdict != want {
		t.Errorf("%s, want %s: %s", got.verdict, want, layers)
	}
}
