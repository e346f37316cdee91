// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 49.
const (
	inSequence  = "in_order"    // datagrams that came whole to one server
	backwards   = "reversed"    // the same, the last fragment first
	reused      = "reused"      // the same, all with one id
	largest     = "largest"     // the same, as large as UDP's can be
	atomic      = "atomic"      // the same, IPv6 with a fragment header around the whole
	overlapping = "overlapping" // fragments that overlap others, and reached a server
	onlyLast    = "only_last"   // fragments without a first one that reached a server
	tiny        = "tiny"        // fragments without the whole header of TCP that reached a server
	state       = "state"       // packets under way that the path remembers
)

// fragmented: datagrams in pieces, good and bad, over two arms by NAT and on a LAN by DR, while others
// go on.
func fragmented(weir string) faults.Fault {
	parts := partsOfLoad()
	for _, name := range []string{inSequence, backwards, reused, largest, atomic} {
		parts = append(parts, faults.Part{Name: name, Unit: "%", Bar: 100, AtLeast: true})
	}
	for _, name := range []string{overlapping, onlyLast, tiny} {
		parts = append(parts, faults.Part{Name: name, Unit: "fragments"})
	}
	return faults.Fault{
		Number: 49,
		Long:   true,
		Parts:  append(parts, faults.Part{Name: state, Unit: "packets", Bar: 1024}),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := shredder{
				nat: newShop(t, lab.Config{Shape: lab.TwoArm, Weir: weir}, usualLoad(size)),
				dr:  newShop(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: weir}, lab.LoadPlan{Fresh: 1, Every: time.Second}),
				few: size.Of(50, 1), log: t.Logf,
			}
			return func() (faults.Measured, error) { return s.nat.under(t.Context(), s.shred) }
		},
	}
}

// shop is a ground with servers that answer datagrams, and a client that makes its own.
type shop struct {
	*ground
	*crafter
}

func newShop(t *testing.T, config lab.Config, plan lab.LoadPlan) *shop {
	t.Helper()
	s := &shop{ground: newGround(t, config, plan)}
	if err := s.furnish(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.crafter.Close() })
	return s
}

// furnish adds the UDP echo to what the servers have and to what the director serves. Servers take
// as many unfinished datagrams as come, and forget them soon.
func (s *shop) furnish(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if s.crafter, err = newCrafter(s.lab); err != nil {
		return err
	}
	if err := s.lab.Serve(ctx); err != nil {
		return err
	}
	for _, server := range s.lab.Servers {
		for _, set := range [][2]string{
			{"ipv4/ipfrag_high_thresh", "268435456"}, {"ipv6/ip6frag_high_thresh", "268435456"},
			{"ipv4/ipfrag_time", "2"}, {"ipv6/ip6frag_time", "2"}, {"ipv4/ipfrag_max_dist", "0"},
		} {
			if err := server.Sysctl(set[0], set[1]); err != nil {
				return err
			}
		}
	}
	services := s.lab.LoadServices() + strings.TrimPrefix(s.lab.Services(), "services:\n")
	if err := s.director.Configure(services); err != nil {
		return err
	}
	if err := inOrder(s.director.Stop, s.director.Restart); err != nil {
		return err
	}
	return s.director.WaitReady(ctx)
}

// shredder sends datagrams in pieces. Of the catalogue's numbers it takes one of few.
type shredder struct {
	nat, dr *shop
	few     int
	log     func(string, ...any)
}

func (s shredder) shred(ctx context.Context) (map[string]float64, error) {
	under, err := s.nat.flood(10_000)
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{state: float64(under)}
	times := 1000 / s.few
	for name, measure := range map[string]measure{
		inSequence: s.whole(times, 4000, send), backwards: s.whole(times, 4000, sendReversed),
		reused: s.whole(times, 4000, sendAgain), largest: s.whole(max(4, 40/s.few), mostOfUDP, send),
		atomic: s.whole(times, 1000, sendAtomic),
	} {
		byNAT, byDR, err := s.both(ctx, name, measure)
		if err != nil {
			return nil, err
		}
		figures[name] = min(byNAT, byDR)
	}
	for name, measure := range map[string]measure{
		overlapping: s.stray(times, (*shop).sendOverlaps), onlyLast: s.stray(times, (*shop).sendLast), tiny: s.stray(times, (*shop).sendTiny),
	} {
		byNAT, byDR, err := s.both(ctx, name, measure)
		if err != nil {
			return nil, err
		}
		figures[name] = byNAT + byDR
	}
	return figures, nil
}

// measure is one figure of one shop.
type measure func(context.Context, *shop) (float64, error)

func (s shredder) both(ctx context.Context, name string, measure measure) (byNAT, byDR float64, err error) {
	if byNAT, err = measure(ctx, s.nat); err != nil {
		return 0, 0, fmt.Errorf("nat: %s: %w", name, err)
	}
	if byDR, err = measure(ctx, s.dr); err != nil {
		return 0, 0, fmt.Errorf("dr: %s: %w", name, err)
	}
	return byNAT, byDR, nil
}

// flood sends first fragments of so many packets that are never whole, and returns how many of them
// the path remembers.
func (s *shop) flood(packets int) (int, error) {
	for i := range packets {
		f := lab.Families()[i%2]
		from := netip.AddrPortFrom(s.lab.Client.Address.In(f), 10000+uint16(i/100))
		p := newDatagram(from, netip.AddrPortFrom(s.lab.VIP.In(f), lab.EchoPort), s.newID(), lab.Question(200))
		if err := s.send(p.part(0, 64)); err != nil {
			return 0, err
		}
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(100 * time.Millisecond)
	n, err := s.director.PinnedEntries("fragments")
	if err == nil && n < 512 {
		err = fmt.Errorf("the path remembers %d packets of %d: they did not come", n, packets)
	}
	return n, err
}

// sender sends a datagram in its own way, turn is how many were before it.
type sender func(s *shop, p datagram, turn int) error

func send(s *shop, p datagram, _ int) error { return s.send(p.parts()...) }

func sendReversed(s *shop, p datagram, _ int) error {
	parts := p.parts()
	slices.Reverse(parts)
	return s.send(parts...)
}

func sendAgain(s *shop, p datagram, _ int) error {
	p.id = 0xffff
	return s.send(p.parts()...)
}

// sendAtomic: IPv4 has no such thing, and sends the datagram as it is.
func sendAtomic(s *shop, p datagram, _ int) error { return s.send(p.part(0, len(p.body))) }

// mostOfUDP is as much as a datagram can carry.
const mostOfUDP = 65507

// textOf is what datagrams of a size carry. IPv6's length does not count its header.
func textOf(f lab.Family, size int) []byte {
	if size == mostOfUDP && f == lab.IPv6 {
		size += 20
	}
	return lab.Question(size)
}

// whole sends datagrams of a size, half of them of each family, each after the answer to the one
// before, and says how many came whole to the server that had the first one of their connection.
func (s shredder) whole(times, size int, send sender) measure {
	return func(ctx context.Context, at *shop) (float64, error) {
		right := 0
		for _, f := range lab.Families() {
			n, err := s.answered(ctx, at, f, times/2, size, send)
			if err != nil {
				return 0, err
			}
			right += n
		}
		return 100 * float64(right) / float64(times/2*2), nil
	}
}

func (s shredder) answered(ctx context.Context, at *shop, f lab.Family, times, size int, send sender) (int, error) {
	to := netip.AddrPortFrom(at.lab.VIP.In(f), lab.EchoPort)
	conn, err := at.lab.Client.Dial(ctx, "udp", at.lab.Client.Address.In(f), to)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	from, text := conn.LocalAddr().(*net.UDPAddr).AddrPort(), textOf(f, size)
	right, lostInARow, server := 0, 0, ""
	for turn := 0; turn < times && lostInARow < 3; turn++ { // the rest would be lost too
		if err := send(at, newDatagram(from, to, at.newID(), text), turn); err != nil {
			return 0, err
		}
		answer, err := reply(ctx, conn, text)
		if server == "" {
			server = answer.Server
		}
		if err == nil && answer.Server == server {
			right++
			lostInARow = 0
			continue
		}
		lostInARow++
		s.log("%s datagram %d of %d: from %q, not %q: %v", f, turn+1, times, answer.Server, server, err)
	}
	return right, nil
}

// reply waits as long as a client would.
func reply(ctx context.Context, conn net.Conn, text []byte) (lab.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	defer conn.SetDeadline(time.Time{})
	return lab.ReadReply(ctx, conn, text)
}

// stray sends packets of which nothing, or no more than what the sender says, may reach a server, and
// counts what does.
func (s shredder) stray(times int, send func(*shop, lab.Family) (allowed int, err error)) measure {
	return func(_ context.Context, at *shop) (float64, error) {
		before, err := at.fragmentsAtServers()
		if err != nil {
			return 0, err
		}
		allowed := 0
		for turn := range times {
			n, err := send(at, lab.Families()[turn%2])
			if err != nil {
				return 0, err
			}
			if allowed += n; turn%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(300 * time.Millisecond)
		after, err := at.fragmentsAtServers()
		if err == nil && allowed > 0 && after-before == 0 {
			err = errors.New("no fragment at all came to a server")
		}
		return float64(max(0, after-before-allowed)), err
	}
}

// bad is a datagram of a client that nobody knows yet.
func (s *shop) bad(f lab.Family) datagram {
	from := netip.AddrPortFrom(s.lab.Client.Address.In(f), s.newPort())
	return newDatagram(from, netip.AddrPortFrom(s.lab.VIP.In(f), lab.EchoPort), s.newID(), lab.Question(3000))
}

// sendOverlaps: the first fragment may go.
func (s *shop) sendOverlaps(f lab.Family) (int, error) {
	p := s.bad(f)
	return 1, s.send(p.part(0, 1280), p.part(1272, 2560), p.part(1280, 2560), p.part(2560, len(p.body)))
}

func (s *shop) sendLast(f lab.Family) (int, error) {
	p := s.bad(f)
	return 0, s.send(p.part(2560, len(p.body)))
}

// sendTiny cuts a SYN within its header (RFC 1858).
func (s *shop) sendTiny(f lab.Family) (int, error) {
	from, to := s.lab.Client.Address.In(f), s.lab.VIP.In(f)
	header := ipHeader(from, to)
	if ip, isIPv4 := header.(packet.IPv4); isIPv4 {
		ip.Protocol = packet.ProtocolTCP
		header = ip
	}
	syn := packet.Build(header, packet.TCP{Source: s.newPort(), Destination: lab.StayPort, Flags: packet.SYN, Window: 1000})
	body := syn[len(syn)-20:]
	first, last := packet.Fragment{Next: packet.ProtocolTCP, ID: s.newID(), Flags: packet.MoreFragments}, packet.Fragment{}
	last = first
	last.Offset, last.Flags = 1, 0
	return 0, s.send(around(header, first, body[:8]), around(header, last, body[8:]))
}

func around(header packet.Layer, f packet.Fragment, body []byte) packet.Layers {
	ip, isIPv4 := header.(packet.IPv4)
	if !isIPv4 {
		return packet.Layers{header, f, packet.Payload(body)}
	}
	ip.ID, ip.Offset, ip.Flags = uint16(f.ID), f.Offset, f.Flags
	return packet.Layers{ip, packet.Payload(body)}
}

// fragmentsAtServers is how many the kernels of all servers were to put together, ever.
func (s *shop) fragmentsAtServers() (int, error) {
	sum := 0
	for _, server := range s.lab.Servers {
		err := server.Do(func() error {
			four, err := readCounter("/proc/thread-self/net/snmp", "Ip:", "ReasmReqds")
			if err != nil {
				return err
			}
			six, err := readCounter6("/proc/thread-self/net/snmp6", "Ip6ReasmReqds")
			sum += four + six
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", server.Name, err)
		}
	}
	return sum, nil
}

// readCounter reads a file in which a line of names is followed by one of values.
func readCounter(file, kind, name string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	at := -1
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != kind {
			continue
		}
		if at >= 0 && at < len(words) {
			return strconv.Atoi(words[at])
		}
		at = slices.Index(words, name)
	}
	return 0, fmt.Errorf("%s: no %s %s", file, kind, name)
}

// readCounter6 reads a file of lines with a name and a value.
func readCounter6(file, name string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			return strconv.Atoi(words[1])
		}
	}
	return 0, fmt.Errorf("%s: no %s", file, name)
}
