// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// flooder sends packets of clients that are not there, from the router straight to the director. Floods
// are bounded by their number, and paced such that no network drops them: they share the CPUs with
// everybody whom they are to disturb.
type flooder struct {
	*crafter
	ground   *ground
	random   *rand.Rand
	together int // so many packets are sent without a pause
	ahead    int // so many may be on their way, before the director has seen them; 0: any number
}

// nowhere is where floods come from. The servers drop what does: it is the director that is tried, and
// a server would spend its time on SYN cookies.
const nowhere = "10.0.0.0/8"

func newFlooder(t *testing.T, g *ground) *flooder {
	t.Helper()
	c, err := newCrafterAt(g.lab.Router, lab.SecondLink, &g.director.Node, lab.FirstLink)
	if err == nil {
		t.Cleanup(func() { c.Close() })
		err = g.deafen(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	const together = 64 // a quarter of what the ring of a veth holds while its reader is away
	return &flooder{crafter: c, ground: g, random: rand.New(rand.NewPCG(uint64(os.Getpid()), 0)), together: together}
}

// deafen makes every server drop what comes from nowhere, as soon as it knows the source.
func (g *ground) deafen(ctx context.Context) error {
	for _, s := range g.lab.Servers {
		if err := s.Sysctl("ipv4/conf/all/rp_filter", "2"); err != nil {
			return err
		}
		if _, err := s.Output(ctx, "ip", "route", "add", "blackhole", nowhere); err != nil {
			return err
		}
	}
	return nil
}

// somebody is a client of a flood.
func (f *flooder) somebody() netip.AddrPort {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|f.random.Uint32N(1<<24))
	return netip.AddrPortFrom(netip.AddrFrom4(a), uint16(1024+f.random.IntN(1<<16-1024)))
}

// wave is what one client of a flood sends.
type wave func(from netip.AddrPort) []packet.Layers

// flood lets so many clients send, and wants the director to have seen it all.
func (f *flooder) flood(ctx context.Context, clients int, wave wave) error {
	return f.floodFrom(ctx, f.somebodies(clients), wave)
}

func (f *flooder) somebodies(n int) []netip.AddrPort {
	all := make([]netip.AddrPort, n)
	for i := range all {
		all[i] = f.somebody()
	}
	return all
}

func (f *flooder) floodFrom(ctx context.Context, clients []netip.AddrPort, wave wave) error {
	return f.pour(ctx, f.frames(clients, wave))
}

// pour sends frames.
func (f *flooder) pour(ctx context.Context, frames [][]byte) error {
	before, err := f.ground.packets(ctx)
	if err != nil {
		return err
	}
	seen := 0
	for i, frame := range frames {
		if err := f.push(ctx, frame); err != nil {
			return err
		}
		f.rest(i + 1)
		if f.ahead > 0 && i+1-seen > f.ahead {
			if err := f.seen(ctx, before+i+1); err != nil {
				return err
			}
			seen = i + 1
		}
	}
	after, err := f.ground.packets(ctx)
	if err == nil && after-before < len(frames)*9/10 {
		err = fmt.Errorf("the director saw %d packets of a flood of %d", after-before, len(frames))
	}
	return err
}

// push sends a frame, and again if its veth has no room now; the network counts that as a drop.
func (f *flooder) push(ctx context.Context, frame []byte) error {
	for {
		err := f.sendFrame(frame)
		if !errors.Is(err, unix.ENOBUFS) || ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// frames are made before a flood: the clients whom it must not disturb are of this process, and would wait
// for its garbage collector. What has been left by then is collected before, too.
func (f *flooder) frames(clients []netip.AddrPort, wave wave) (frames [][]byte) {
	for _, from := range clients {
		for _, p := range wave(from) {
			frames = append(frames, f.frame(p))
		}
	}
	runtime.GC()
	return frames
}

// seen waits until the director has seen so many packets, but not for those that a network has dropped.
func (f *flooder) seen(ctx context.Context, packets int) error {
	for range 100 {
		got, err := f.ground.packets(ctx)
		if err != nil || got >= packets {
			return err
		}
		if err := wait(time.Millisecond)(); err != nil {
			return err
		}
	}
	return nil
}

// rest stops for a moment when enough packets were sent.
func (f *flooder) rest(sent int) {
	if sent%f.together == 0 {
		time.Sleep(500 * time.Microsecond)
	}
}

// packets is how many the director's path has seen.
func (g *ground) packets(ctx context.Context) (int, error) {
	counters, err := g.daemon.Counters(ctx)
	sum := 0
	for _, n := range counters {
		sum += int(n)
	}
	return sum, err
}

// segment is one of TCP, of a client that knows no more than the addresses.
func segment(from, to netip.AddrPort, flags packet.TCPFlags, seq, ack uint32) packet.Layers {
	tcp := packet.TCP{Source: from.Port(), Destination: to.Port(), Flags: flags, Seq: seq, Ack: ack, Window: 1024}
	if from.Addr().Is4() {
		return packet.Layers{packet.IPv4{Source: from.Addr(), Destination: to.Addr(), TTL: 64}, tcp}
	}
	return packet.Layers{packet.IPv6{Source: from.Addr(), Destination: to.Addr(), HopLimit: 64}, tcp}
}

// floodPort is that of a service which only floods are for.
const floodPort = 7003

// memory is the most that the director's maps and its daemon ever took. Small, it is that of the maps:
// a daemon that has just begun grows by some pages whenever its runtime likes to, flood or not.
func (g *ground) memory(size faults.Size) (int, error) {
	maps, err := g.director.MapMemory()
	if err != nil || size == faults.Small {
		return maps, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.director.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "VmHWM:" {
			kib, err := strconv.Atoi(words[1])
			return maps + kib<<10, err
		}
	}
	return 0, errors.New("the daemon has no VmHWM")
}

// floodable has the service of floods, and a connection table of a size.
func floodable(size int) more {
	return func(l *lab.Lab) string {
		return fmt.Sprintf("%sconnections: {size: %d}\n", l.MoreServices("flooded", "tcp", floodPort), size)
	}
}
