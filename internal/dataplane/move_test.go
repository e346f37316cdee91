// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// Sizes of tables between which connections move.
const (
	smallTable  = 4096
	largeTable  = 20000
	middleTable = 9000
)

// crowd is connections of every kind in a table.
type crowd struct {
	*testbed
	talks []talk
}

// newCrowd has connections by each method, in both families, in each protocol; some have just begun,
// some are settled, some have closed.
func newCrowd(t *testing.T, size uint32, each int) crowd {
	t.Helper()
	c := crowd{testbed: newTestbed(t, size)}
	c.apply(t, halfPersistent(world()))
	if err := c.path.LiveLong(); err != nil { // in a slow guest a test of these takes longer than datagrams live
		t.Fatal(err)
	}
	for port := range each {
		for _, f := range []family{4, 6} {
			for _, p := range protocols {
				for _, m := range methods {
					c.begin(t, talkTo(f, m.host, webPort(p), p, 30000+uint16(port)), len(c.talks)%6)
				}
			}
		}
	}
	return c
}

// halfPersistent: templates are in the table, too.
func halfPersistent(want model.DataplaneWant) model.DataplaneWant {
	n := 0
	return changed(want, func(s *model.ServiceWant) {
		if n++; n%2 == 0 {
			s.Persistence = model.Persistence{Timeout: persists, Mask: 24}
		}
	})
}

// begin opens a connection and lets it get so far.
func (c *crowd) begin(t *testing.T, k talk, far int) {
	t.Helper()
	c.talks = append(c.talks, k)
	c.frame(t, front, packet.Build(k.open()...))
	for range far {
		c.frame(t, front, packet.Build(k.more()...))
	}
	if far > 3 && k.protocol != model.UDP {
		c.frame(t, front, packet.Build(k.ask(packet.FIN|packet.ACK)...))
	}
}

// goOn sends a packet of each side of each conversation, which must be known.
func (c crowd) goOn(t *testing.T) {
	t.Helper()
	for _, k := range c.talks {
		if server, ok := c.server(k); ok {
			c.frame(t, back, packet.Build(k.answer(server, packet.ACK)...))
		}
		c.frame(t, front, packet.Build(k.more()...))
	}
}

// check compares path and twin in everything, and the table with what it says of itself.
func (c crowd) check(t *testing.T) {
	t.Helper()
	c.compareConnections(t)
	c.compareCounters(t)
	if err := c.path.CheckTable(); err != nil {
		t.Error(err)
	}
}

func (c crowd) entries(t *testing.T) map[string]string {
	t.Helper()
	entries, err := c.path.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// sized says that the table was made for so many connections.
func (c crowd) sized(t *testing.T, want uint64) {
	t.Helper()
	if _, size := c.path.Usage(); size != want {
		t.Errorf("the table is made for %d connections, want %d", size, want)
	}
}

func TestRestartWithAnotherSizeLosesNothing(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, smallTable, 20)
	for _, size := range []uint32{largeTable, smallTable, smallTable - 1, largeTable} {
		before := c.entries(t)
		c.restart(t, size)
		c.sized(t, uint64(size))
		if diff := cmp.Diff(before, c.entries(t)); diff != "" {
			t.Errorf("entries (-before +after):\n%s", diff)
		}
		c.check(t)
		c.tend(t) // in a slow guest a round takes longer than a client's next hop is believed
		c.goOn(t)
		c.check(t)
	}
	listed := len(c.connections(t))
	killed, err := c.path.Kill(t.Context(), func(dataplane.Connection) bool { return true })
	if err != nil || int(killed) != listed || len(c.entries(t)) != 0 {
		t.Errorf("%d of %d connections were killed, %d entries are left: %v", killed, listed, len(c.entries(t)), err)
	}
}

func TestTableThatIsTooFullStays(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, largeTable, 10)
	before := c.entries(t)
	c.restart(t, 1000)
	c.sized(t, largeTable)
	want := fmt.Sprintf("%d entries are in use, and they must fit", len(before))
	if size, why := c.path.Kept(); size != 1000 || why != want {
		t.Errorf("kept: %d, %q, want %q", size, why, want)
	}
	c.restart(t, uint32(len(before)))
	if size, why := c.path.Kept(); size != 0 || why != "" {
		t.Errorf("kept: %d, %q", size, why)
	}
	c.sized(t, uint64(len(before)))
	if diff := cmp.Diff(before, c.entries(t)); diff != "" {
		t.Errorf("entries (-before +after):\n%s", diff)
	}
	c.check(t)
}

// TestStartTakesUpWhatAKilledOneLeft: behind each step of a move packets find their connections, and the
// next start brings all of them to the table that it wants: the old one, the new one, or another one.
func TestStartTakesUpWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	from := uint32(smallTable)
	c := newCrowd(t, from, 3)
	for steps := range dataplane.MoveSteps + 1 {
		sizes := []uint32{largeTable, smallTable, middleTable}
		if os.Getenv("WEIR_ALL") == "" {
			sizes = sizes[steps%3 : steps%3+1]
		}
		for _, want := range sizes {
			to := uint32(largeTable)
			if from == to {
				to = smallTable
			}
			if err := c.path.Move(to, steps); err != nil {
				t.Fatal(err)
			}
			if want != largeTable { // else nothing is moved by packets
				c.goOn(t)
			}
			c.restart(t, want)
			c.sized(t, uint64(want))
			c.check(t)
			c.tend(t) // in a slow guest all of this takes longer than a client's next hop is believed
			c.goOn(t)
			c.check(t)
			if t.Failed() {
				t.Fatalf("after %d steps from %d to %d, and a start with %d", steps, from, to, want)
			}
			from = want
			c.tend(t)
		}
	}
	if tables := c.pinnedTables(t); len(tables) != 1 {
		t.Errorf("tables that are pinned: %v", tables)
	}
}

func (c crowd) pinnedTables(t *testing.T) (names []string) {
	t.Helper()
	all, err := dataplane.PinnedMaps(c.lent.dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range all {
		if strings.HasPrefix(name, "conns_") {
			names = append(names, name)
		}
	}
	return names
}

// arrival is a frame and where it comes in.
type arrival struct {
	ifindex int
	frame   []byte
}

// frames are a packet of each side of each conversation.
func (c crowd) frames() (all []arrival) {
	for _, k := range c.talks {
		if server, ok := c.server(k); ok {
			all = append(all, arrival{back, packet.Build(k.answer(server, packet.ACK)...)})
		}
		all = append(all, arrival{front, packet.Build(k.more()...)})
	}
	return all
}

// connections are listed as `weir connections` lists them.
func (c crowd) connections(t *testing.T) []dataplane.Connection {
	t.Helper()
	var all []dataplane.Connection
	err := c.path.Connections(func(one dataplane.Connection) bool {
		one.Expires = 0
		all = append(all, one)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return sorted(all)
}

// both sends frames by both programs at once, each beginning elsewhere, while connections are carried, and
// ends the move. It returns how many were carried, and how many found no place.
func (c crowd) both(t *testing.T, mixed *dataplane.Mixed, frames []arrival) (moved, lost int) {
	t.Helper()
	const long = 2 * time.Second
	began := time.Now()
	var all sync.WaitGroup
	for i, path := range mixed.Paths {
		all.Go(func() {
			if err := c.join(); err != nil {
				t.Error(err)
			}
			for j := i * len(frames) / 2; time.Since(began) < long; j++ {
				f := frames[j%len(frames)]
				if _, _, err := path.Send(bytes.Clone(f.frame), f.ifindex); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for time.Since(began) < long {
		m, l, err := mixed.Carry()
		if err != nil {
			t.Error(err)
			break
		}
		moved, lost = moved+m, lost+l
	}
	all.Wait()
	if err := mixed.Finish(); err != nil {
		t.Fatal(err)
	}
	return moved, lost
}

// TestMovesAndNewFlowsAreCounted: connections begin, end and make room for others in both tables, the same
// flow at once in both, while all of them move. At the end no flow is there twice, and no count is off.
func TestMovesAndNewFlowsAreCounted(t *testing.T) {
	const tight = 200
	c := crowd{testbed: newTestbed(t, tight)}
	c.apply(t, world())
	var frames []arrival
	for port := range uint16(300) {
		for _, host := range []byte{10, 30} { // DR and NAT
			k := talkTo(4, host, 80, model.TCP, 20000+port)
			for _, layers := range []packet.Layers{k.open(), k.more(), k.ask(packet.FIN | packet.ACK), k.open(), k.more()} {
				frames = append(frames, arrival{front, packet.Build(layers...)})
			}
		}
	}
	mixed, err := c.path.Mix(2 * tight)
	if err != nil {
		t.Fatal(err)
	}
	moved, lost := c.both(t, mixed, frames)
	t.Logf("%d were carried, %d found no place", moved, lost)
	c.compareLoads(t)
	if err := c.path.CheckTable(); err != nil {
		t.Error(err)
	}
	c.entries(t) // complains of what is there twice
}

// TestMoverGoesByItsStride: a walk whose stride is so long comes to that bucket next, so all of these leave nothing.
func TestMoverGoesByItsStride(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, smallTable, 2)
	mixed, err := c.path.Mix(largeTable)
	if err != nil {
		t.Fatal(err)
	}
	byStride, err := mixed.CarryByStride()
	if err != nil {
		t.Fatal(err)
	}
	left, lost, err := mixed.Carry()
	if err != nil || byStride == 0 || left+lost > 0 {
		t.Errorf("%d went by their bucket, %d and %d after it: %v", byStride, left, lost, err)
	}
	if err := mixed.Finish(); err != nil {
		t.Fatal(err)
	}
	c.check(t)
}

// TestMixedProgramsAgree: while interfaces have different programs, and connections are carried too, each
// packet finds its connection, wherever another CPU has just brought it.
func TestMixedProgramsAgree(t *testing.T) {
	c := newCrowd(t, smallTable, 4)
	c.goOn(t)
	c.goOn(t)
	before := c.connections(t)
	mixed, err := c.path.Mix(largeTable)
	if err != nil {
		t.Fatal(err)
	}
	counts := c.verdicts(t)
	moved, lost := c.both(t, mixed, c.frames())
	c.compareLoads(t)
	if diff := cmp.Diff(before, c.connections(t), compareAddr, compareAddrPort); diff != "" || lost > 0 {
		t.Errorf("connections (-before +after), %d lost:\n%s", lost, diff)
	}
	if err := c.path.CheckTable(); err != nil {
		t.Error(err)
	}
	for i, n := range c.verdicts(t) {
		name := verdict(c.names[i])
		if n -= counts[i]; n == 0 {
			continue
		}
		t.Logf("%s %d", name, n)
		if name != dr && name != tun && name != natIn && name != natOut && name != "conn_busy" {
			t.Errorf("%d packets ended as %s", n, name)
		}
	}
	t.Logf("%d connections were carried", moved)
}
