// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// TestCountsSurviveSweepsUnderTraffic: packets come at the very moment at which their connections
// are swept. Whoever wins, a server's load is the number of its connections.
func TestCountsSurviveSweepsUnderTraffic(t *testing.T) {
	b := newTestbed(t, 64)
	b.apply(t, small(model.DR))
	c := talkTo(4, 10, 80, model.TCP, 20000)
	syn, ack := packet.Build(c.open()...), packet.Build(c.more()...)
	for range 20000 {
		b.send(t, syn)
		if err := b.path.Age(time.Hour); err != nil {
			t.Fatal(err)
		}
		b.path.Sweep()
		var both sync.WaitGroup
		both.Go(func() { b.path.Sweep() })
		b.send(t, ack)
		both.Wait()
	}
	b.sound(t)
}

// send sends a frame past the twin.
func (b *testbed) send(t *testing.T, frame []byte) {
	t.Helper()
	var err error
	b.do(func() { _, _, err = b.path.Send(frame, front) })
	if err != nil {
		t.Fatal(err)
	}
}

// compareLoads compares each server's load with the connections that there are.
func (b *testbed) compareLoads(t *testing.T) {
	t.Helper()
	if active, inactive, halfOpen := b.loadsBeyond(t); active != 0 || inactive != 0 || halfOpen != 0 {
		t.Errorf("loads differ from the connections: active by %d, inactive by %d, half open by %d", active, inactive, halfOpen)
	}
	if beyond := b.templatesBeyond(t); beyond != 0 {
		t.Errorf("loads differ from the templates by %d", beyond)
	}
}

// templatesBeyond is how much more templates are counted than there are.
func (b *testbed) templatesBeyond(t testing.TB) (beyond int64) {
	t.Helper()
	for _, c := range b.listed(t) {
		if c.State == model.Template {
			beyond--
		}
	}
	counters, err := b.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters.Servers {
		beyond += int64(c.Persistent)
	}
	return beyond
}

// compareHalfOpen compares the half-open connections that servers and services count with those of the table. Those that
// are gone have none.
func (b *testbed) compareHalfOpen(t testing.TB) {
	t.Helper()
	if beyond, err := b.path.HalfOpenBeyond(); err != nil || beyond != 0 {
		t.Errorf("half-open connections that are counted differ from those of the table by %d, %v", beyond, err)
	}
}

// loadsBeyond is how much more loads are than the connections that there are, and by how much the half-open ones of each
// server and of each service differ from theirs.
func (b *testbed) loadsBeyond(t testing.TB) (active, inactive, halfOpen int64) {
	t.Helper()
	halfOpen, err := b.path.HalfOpenBeyond()
	if err != nil {
		t.Fatal(err)
	}
	err = b.path.Connections(func(c dataplane.Connection) bool {
		switch c.State {
		case "ESTABLISHED":
			active--
		case model.Template, model.Kept:
		default:
			inactive--
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	counters, err := b.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters.Servers {
		active += int64(c.Active)
		inactive += int64(c.Inactive)
	}
	return active, inactive, halfOpen
}
