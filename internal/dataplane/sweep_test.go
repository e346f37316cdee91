// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// sweepBed is a NAT service and one connection to it, whose handshake is done.
type sweepBed struct {
	*testbed
	t      *testing.T
	server model.ServiceServer
}

func newSweepBed(t *testing.T, forwarding model.Forwarding) sweepBed {
	t.Helper()
	service := sweepService(forwarding)
	bed := sweepBed{newTestbed(t, 64), t, model.ServiceServer{Service: service.Key, Server: service.Servers[0].Key}}
	bed.serve(service)
	bed.client(packet.SYN)
	return bed
}

func sweepService(forwarding model.Forwarding) model.ServiceWant {
	return model.ServiceWant{
		Key:       model.ServiceKey{Address: vip(4, 30), Port: 80, Protocol: model.TCP},
		Scheduler: model.RR, Serving: true,
		Servers: []model.ServerWant{toServer(4, 11, 80, forwarding)},
	}
}

func (b sweepBed) serve(services ...model.ServiceWant) {
	b.t.Helper()
	b.apply(b.t, model.DataplaneWant{Revision: 1, Interfaces: world().Interfaces, Services: services})
}

func (b sweepBed) client(flags packet.TCPFlags) {
	b.t.Helper()
	b.frame(b.t, front, packet.Build(
		packet.Ethernet{Source: gatewayMAC, Destination: packet.MAC(frontMAC)},
		packet.IPv4{Source: clientAddr(4), Destination: vip(4, 30), TTL: 64},
		packet.TCP{Source: 40000, Destination: 80, Flags: flags}))
}

func (b sweepBed) answer(flags packet.TCPFlags) {
	b.t.Helper()
	b.frame(b.t, back, packet.Build(
		packet.Ethernet{Source: packet.MAC(macOf(11)), Destination: packet.MAC(backMAC)},
		packet.IPv4{Source: serverAddr(4, 11), Destination: clientAddr(4), TTL: 64},
		packet.TCP{Source: 80, Destination: 40000, Flags: flags}))
}

// sweep compares what one sweep did. Whether it still meets the way back of a pair whose forward
// entry it just deleted is up to the hash, so then Seen is not compared.
func (b sweepBed) sweep(want dataplane.Swept) {
	b.t.Helper()
	got, err := b.path.Sweep()
	if err != nil {
		b.t.Fatal(err)
	}
	if want.Deleted > 0 {
		got.Seen = want.Seen
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Error(diff)
	}
}

func (b sweepBed) age(by time.Duration) {
	b.t.Helper()
	if err := b.path.Age(by); err != nil {
		b.t.Fatal(err)
	}
}

// load is active, inactive and half open.
func (b sweepBed) load(want [3]uint64) {
	b.t.Helper()
	counters, err := b.path.Counters()
	if err != nil {
		b.t.Fatal(err)
	}
	c := counters.Servers[b.server]
	if got := [3]uint64{c.Active, c.Inactive, c.HalfOpen}; got != want {
		b.t.Errorf("active, inactive, half open are %v, want %v", got, want)
	}
}

func TestIdleConnectionGoesInTwoSteps(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.DR)
	b.load([3]uint64{0, 1, 1})
	b.client(packet.ACK)
	b.load([3]uint64{1, 0, 0})
	b.age(899 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1})
	b.age(2 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.load([3]uint64{1, 0, 0})
	b.sweep(dataplane.Swept{Seen: 1, Deleted: 1})
	b.load([3]uint64{})
	b.sweep(dataplane.Swept{})
}

func TestPacketTakesTheMarkAway(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.DR)
	b.age(time.Minute + time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.client(packet.ACK)
	b.age(901 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.client(packet.ACK)
	b.sweep(dataplane.Swept{Seen: 1})
	b.load([3]uint64{1, 0, 0})
}

func TestPairLivesByItsAnswersToo(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.NAT)
	b.client(packet.ACK)
	b.age(time.Hour)
	b.answer(packet.ACK)
	b.sweep(dataplane.Swept{Seen: 2})
	b.age(time.Hour)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	b.load([3]uint64{})
	b.sweep(dataplane.Swept{})
}

func TestOrphanedWayBackIsSwept(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.NAT)
	if err := errors.Join(b.path.ForgetForward(), b.path.ForgetClients()); err != nil {
		t.Fatal(err)
	}
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 1, Deleted: 1})
	b.sweep(dataplane.Swept{})
}

// TestSweepsGoThroughTheWholeTable, which has more slices than the daemon wakes up for, in two seconds.
func TestSweepsGoThroughTheWholeTable(t *testing.T) {
	t.Parallel()
	const size, round = 50000, 2 * time.Second
	service := sweepService(model.DR)
	b := sweepBed{newTestbed(t, size), t, model.ServiceServer{Service: service.Key, Server: service.Servers[0].Key}}
	b.serve(service)
	for i := range uint16(500) {
		b.send(t, packet.Build(nth(i).open()...))
	}
	b.age(time.Minute + time.Second)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.path.RunSweeps(ctx) }()
		for _, want := range []uint64{500, 0} { // marked, and gone
			time.Sleep(round)
			synctest.Wait()
			b.load([3]uint64{0, want, want})
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
