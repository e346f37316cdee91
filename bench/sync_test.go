// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/bench"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// How much directors tell each other.
const (
	copied      = 1_000_000 // connections that there are
	newEach     = 50_000    // that begin in a second
	newLasting  = 5 * time.Second
	syncSamples = 3
	syncTable   = 4_000_000 // entries: a hash that is not half full
)

// connectionSync is what it costs to copy a large table to a director that knows none of it, and to tell it of many new
// connections, beside that table.
func connectionSync(t *testing.T) []bench.Figure {
	s := newSharers(t, buildWeir(t))
	defer s.close(t)
	s.fill(t, copied)
	return append(s.copies(t), s.news(t)...)
}

// sharers are two directors that share their connections. The first one is master all the time.
type sharers struct {
	lab            *lab.Lab
	master, backup *lab.Director
	weir           string
	feed           *lab.Feed
	opening        [][]byte // what a client sends until it has proved itself, but for its address
	clients        int      // so many have begun
}

func newSharers(t *testing.T, weir string) *sharers {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := lab.New(ctx, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Directors: 2, Servers: 2, Weir: weir, Confined: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &sharers{lab: l, master: l.Directors[0], backup: l.Directors[1], weir: weir}
	t.Cleanup(func() { s.close(t) })
	for _, d := range l.Directors {
		err := errors.Join(d.Start(s.config(d)), d.WaitReady(ctx), s.reaches(ctx, s.master, "master"))
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.opening, err = s.openings(); err == nil {
		s.feed, err = s.master.Feed()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sharers) config(d *lab.Director) string {
	return s.lab.Services() + fmt.Sprintf("connections: {size: %d}\n", syncTable) +
		s.lab.VirtualRouters(d, lab.Redundancy{Advertise: time.Second, Preempt: "false"}) + s.lab.ConnectionSync(d)
}

// close may be called again.
func (s *sharers) close(t *testing.T) {
	if s.feed != nil {
		if err := s.feed.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.lab.Close(); err != nil {
		t.Error(err)
	}
}

// reaches waits until a director is something in all of its virtual routers.
func (s *sharers) reaches(ctx context.Context, d *lab.Director, state string) error {
	return s.until(ctx, d, "vrrp", func(text string) (bool, error) {
		var routers []struct{ State string }
		err := json.Unmarshal([]byte(text), &routers)
		is := !slices.ContainsFunc(routers, func(r struct{ State string }) bool { return r.State != state })
		return is && len(routers) > 0, err
	})
}

// until looks at what a command says until it is so.
func (s *sharers) until(ctx context.Context, d *lab.Director, command string, is func(text string) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, fmt.Errorf("%s: weir %s does not come to say so", d.Name, command))
	defer cancel()
	for {
		text, err := d.Weir(ctx, command, "-o", "json")
		if ok, unread := is(text); ok && unread == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// inSync waits until both have all that the other one has.
func (s *sharers) inSync(ctx context.Context) error {
	for _, d := range []*lab.Director{s.backup, s.master} {
		err := s.until(ctx, d, "sync", func(text string) (bool, error) {
			var peers []struct{ State string }
			err := json.Unmarshal([]byte(text), &peers)
			return len(peers) == 1 && peers[0].State == "in sync", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// openings are a SYN, and what it takes to prove oneself to a director by DR, of the first client.
func (s *sharers) openings() (frames [][]byte, err error) {
	var mac packet.MAC
	err = s.master.Do(func() error {
		i, err := net.InterfaceByName(lab.FirstLink)
		if err == nil {
			mac = packet.MAC(i.HardwareAddr)
		}
		return err
	})
	for i, flags := range []packet.TCPFlags{packet.SYN, packet.ACK, packet.ACK, packet.ACK} {
		turn := uint32(min(i, 1))
		frames = append(frames, packet.Build(packet.Ethernet{Source: packet.MAC{2, 0, 0, 0, 0, 9}, Destination: mac},
			packet.IPv4{Source: clientAt(0), Destination: s.lab.VIP.IPv4, TTL: 64},
			packet.TCP{Source: 4000, Destination: lab.WebPort, Flags: flags, Seq: 1 + turn, Ack: turn, Window: 1024}))
	}
	return frames, err
}

// clientAt is a client that is not there.
func clientAt(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// Where a frame has its client's address, and checksums over it.
const (
	ipSumAt, ipSourceAt, tcpSumAt = 14 + 10, 14 + 12, 14 + 20 + 16
)

// frames are those of some clients, who begin now. All differ from the first one's by the address, and its checksums by
// that (RFC 1624).
func (s *sharers) frames(clients int) [][]byte {
	out := make([][]byte, 0, clients*len(s.opening))
	room := make([]byte, 0, cap(out)*len(s.opening[0]))
	for range clients {
		address := clientAt(s.clients).As4()
		s.clients++
		for _, frame := range s.opening {
			at := len(room)
			room = append(room, frame...)
			one := room[at:]
			for _, sum := range []int{ipSumAt, tcpSumAt} {
				adjust(one[sum:], one[ipSourceAt:ipSourceAt+4], address[:])
			}
			copy(one[ipSourceAt:], address[:])
			out = append(out, one)
		}
	}
	return out
}

// adjust makes a checksum over some words that over others.
func adjust(sum, was, is []byte) {
	word := func(b []byte) uint32 { return uint32(b[0])<<8 | uint32(b[1]) }
	n := uint32(^uint16(word(sum)))
	for i := 0; i < len(was); i += 2 {
		n += uint32(^uint16(word(was[i:]))) + word(is[i:])
	}
	for n > 0xffff {
		n = n&0xffff + n>>16
	}
	sum[0], sum[1] = ^byte(n>>8), ^byte(n)
}

// fill has connections begin, and wants all of them to be there.
func (s *sharers) fill(t *testing.T, connections int) {
	t.Helper()
	const some = 50_000
	for range connections / some {
		if err := s.feed.Pass(s.frames(some)); err != nil {
			t.Fatal(err)
		}
	}
	loads, err := s.master.Loads()
	if err != nil {
		t.Fatal(err)
	}
	defer loads.Close()
	if n, err := loads.Established(); err != nil || n != connections {
		t.Fatalf("%d connections of %d began: %v", n, connections, err)
	}
}

// copies has the backup forget all and start, again and again.
func (s *sharers) copies(t *testing.T) []bench.Figure {
	var took, bytes, master, backup []float64
	for range syncSamples {
		c, err := s.copy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("sync/copy: %.2f s, %.1f MB, CPU of the master %.2f s, of the backup %.2f s", c.took, c.bytes, c.master, c.backup)
		took, bytes = append(took, c.took), append(bytes, c.bytes)
		master, backup = append(master, c.master), append(backup, c.backup)
	}
	return []bench.Figure{
		figureOf("sync/copy/time", "s", took), figureOf("sync/copy/bytes", "MB", bytes),
		figureOf("sync/copy/cpu/master", "s", master), figureOf("sync/copy/cpu/backup", "s", backup),
	}
}

// copying is what it took to copy the table: seconds, of the clock and of CPUs, and megabytes on the backup's link.
type copying struct{ took, bytes, master, backup float64 }

func (s *sharers) copy(ctx context.Context) (c copying, err error) {
	if err := s.backup.Stop(); err != nil {
		return c, err
	}
	if _, err := s.backup.Output(ctx, s.weir, "cleanup", "--bpffs", s.backup.BPFFS); err != nil {
		return c, err
	}
	time.Sleep(3 * time.Second) // the master misses it
	before, err := s.master.Usage()
	if err != nil {
		return c, err
	}
	already, err := s.lab.Carried(&s.backup.Node)
	if err != nil {
		return c, err
	}
	begin := time.Now()
	if err := s.backup.Restart(); err != nil {
		return c, err
	}
	if err := s.inSync(ctx); err != nil {
		return c, err
	}
	c.took = time.Since(begin).Seconds()
	after, err := s.master.Usage()
	if err != nil {
		return c, err
	}
	own, err := s.backup.Usage()
	if err != nil {
		return c, err
	}
	carried, err := s.lab.Carried(&s.backup.Node)
	c.bytes, c.master, c.backup = float64(carried-already)/1e6, after.Since(before).Daemon.Seconds(), own.Daemon.Seconds()
	return c, errors.Join(err, s.knows(s.backup, s.clients))
}

// knows wants a director to have so many connections: otherwise something else was measured.
func (s *sharers) knows(d *lab.Director, connections int) error {
	loads, err := d.Loads()
	if err != nil {
		return err
	}
	defer loads.Close()
	n, err := loads.Established()
	if err == nil && n != connections {
		err = fmt.Errorf("%s has %d connections of %d", d.Name, n, connections)
	}
	return err
}

// news has many connections begin for a while, again and again.
func (s *sharers) news(t *testing.T) []bench.Figure {
	var made, lag, worst, master, backup []float64
	for range syncSamples {
		n, err := s.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("sync/new: %.0f connections/s, lag %.1f ms, at most %.1f ms, CPU of the master %.1f %%, of the backup %.1f %%", n.made, n.lag, n.worst, n.master, n.backup)
		made, lag, worst = append(made, n.made), append(lag, n.lag), append(worst, n.worst)
		master, backup = append(master, n.master), append(backup, n.backup)
	}
	return []bench.Figure{
		figureOf("sync/new/made", "1/s", made), figureOf("sync/new/lag", "ms", lag), figureOf("sync/new/worst", "ms", worst),
		figureOf("sync/new/cpu/master", "%", master), figureOf("sync/new/cpu/backup", "%", backup),
	}
}

// beginnings are how it went while connections began: a second, in milliseconds, and in percent of a core.
type beginnings struct{ made, lag, worst, master, backup float64 }

// moment is how many connections there were when.
type moment struct {
	at          time.Time
	connections int
}

func (s *sharers) begin(ctx context.Context) (b beginnings, err error) {
	const step = 2 * time.Millisecond
	each := int(newEach * step / time.Second)
	count := s.clients
	frames := s.frames(newEach * int(newLasting/time.Second))
	loads, err := s.backup.Loads()
	if err != nil {
		return b, err
	}
	defer loads.Close()
	before, err := s.usage()
	if err != nil {
		return b, err
	}
	over := make(chan struct{})
	watched := make(chan error, 1)
	var seen []moment
	go func() { watched <- follow(loads, over, s.clients, &seen) }()
	var made []moment
	begin := time.Now()
	for next := begin; len(frames) > 0; next = next.Add(step) {
		time.Sleep(time.Until(next))
		n := min(len(frames), each*len(s.opening))
		if err := s.feed.Pass(frames[:n]); err != nil {
			close(over)
			return b, errors.Join(err, <-watched)
		}
		frames, count = frames[n:], count+n/len(s.opening)
		made = append(made, moment{time.Now(), count})
	}
	took := time.Since(begin)
	after, err := s.usage()
	close(over)
	if err := errors.Join(err, <-watched, ctx.Err()); err != nil {
		return b, err
	}
	lags := lagsOf(made, seen)
	b.lag, b.worst = float64(lags[len(lags)/2].Microseconds())/1000, float64(lags[len(lags)-1].Microseconds())/1000
	b.made = float64(made[len(made)-1].connections-made[0].connections) / made[len(made)-1].at.Sub(made[0].at).Seconds()
	b.master, b.backup = percent(after[0].Since(before[0]).Daemon, took), percent(after[1].Since(before[1]).Daemon, took)
	return b, s.inSync(ctx)
}

// usage is that of the master and of the backup.
func (s *sharers) usage() (out [2]lab.Usage, err error) {
	for i, d := range []*lab.Director{s.master, s.backup} {
		u, unread := d.Usage()
		out[i], err = u, errors.Join(err, unread)
	}
	return out, err
}

// follow writes down how many connections are known, until all are, or nobody waits for more and none come.
func follow(loads *lab.Loads, over <-chan struct{}, all int, seen *[]moment) error {
	const patience = 20 * time.Second
	var late <-chan time.Time
	for ticks := time.NewTicker(time.Millisecond); ; <-ticks.C {
		n, err := loads.Established()
		if err != nil {
			return err
		}
		*seen = append(*seen, moment{time.Now(), n})
		if n >= all {
			return nil
		}
		select {
		case <-late:
			return fmt.Errorf("%d connections of %d are known %v later", n, all, patience)
		case <-over:
			over, late = nil, time.After(patience)
		default:
		}
	}
}

// lagsOf is how long it took until as many connections were known as had been made, each time that some had been, in
// order.
func lagsOf(made, seen []moment) (lags []time.Duration) {
	at := 0
	for _, m := range made {
		for at < len(seen)-1 && (seen[at].connections < m.connections || seen[at].at.Before(m.at)) {
			at++
		}
		lags = append(lags, seen[at].at.Sub(m.at))
	}
	slices.Sort(lags)
	return lags
}

func TestLagIsFromMadeToKnown(t *testing.T) {
	at := func(ms, n int) moment { return moment{time.UnixMilli(int64(ms)), n} }
	got := lagsOf([]moment{at(0, 10), at(2, 20), at(4, 30)}, []moment{at(0, 0), at(5, 10), at(6, 30)})
	if want := []time.Duration{2 * time.Millisecond, 4 * time.Millisecond, 5 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestFramesAreAsIfBuilt: what is changed of the first client's frames leaves their checksums right.
func TestFramesAreAsIfBuilt(t *testing.T) {
	s := &sharers{clients: 70_000}
	build := func(n int) []byte {
		return packet.Build(packet.Ethernet{Destination: packet.MAC{2, 0, 0, 0, 0, 1}}, packet.IPv4{Source: clientAt(n), Destination: netip.MustParseAddr("192.0.2.10"), TTL: 64},
			packet.TCP{Source: 4000, Destination: 80, Flags: packet.SYN, Seq: 1, Window: 1024})
	}
	s.opening = [][]byte{build(0)}
	for i, frame := range s.frames(3) {
		if want := build(70_000 + i); !slices.Equal(frame, want) {
			t.Errorf("got %x, want %x", frame, want)
		}
	}
}
