// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// newPersistentBed has a persistent service, and a client with its first connection.
func newPersistentBed(t *testing.T, p model.Persistence) (sweepBed, model.ServiceWant) {
	t.Helper()
	b := newSweepBed(t, model.DR)
	b.kill(t, every, 1)
	b.twin.end(b.twin.conns[flow{firstOne.client, firstOne.service, firstOne.protocol}])
	service := sweepService(model.DR)
	service.Scheduler = model.WLC
	service.Servers = append(service.Servers, toServer(4, 12, 80, model.DR))
	service.Persistence = p
	b.serve(service)
	if got := b.opens(t, firstOne); got != 12 {
		t.Errorf("the first connection went to %d", got)
	}
	return b, service
}

// firstOne is the client's first connection.
var firstOne = talkTo(4, 30, 80, model.TCP, 40000)

// lives says how long the only template lives on; below 0: it is gone.
func (b sweepBed) lives(want time.Duration) {
	b.t.Helper()
	const jiffy = 10 * time.Millisecond // the longest, by which our reckoning of the kernel's clock may be late
	if got := b.left(); got > want+jiffy || got < want-2*time.Second {
		b.t.Errorf("the template lives for %s, want %s", got, want)
	}
}

// turns are as many rounds as each connection needs for its turn.
func (b sweepBed) turns() {
	b.t.Helper()
	b.rounds(8)
}

// ends forgets the client's first connection in both.
func (b sweepBed) ends() {
	b.t.Helper()
	b.kill(b.t, inState("SYN_RECV"), 1)
	b.twin.end(b.twin.conns[flow{firstOne.client, firstOne.service, firstOne.protocol}])
}

func TestTemplateGoesInTwoSteps(t *testing.T) {
	t.Parallel()
	b, _ := newPersistentBed(t, model.Persistence{Timeout: 5 * time.Minute})
	b.lives(5 * time.Minute)
	b.ends()
	b.load([3]uint64{})
	b.age(299 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1})
	b.age(2 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.wantTemplates(t, "tcp 203.0.113.7:0 192.0.2.30:80 198.51.100.12:80 dr")
	b.sweep(dataplane.Swept{Seen: 1, Deleted: 1})
	b.sweep(dataplane.Swept{})
	if got := b.templatesBeyond(t); got != 0 {
		t.Errorf("%d templates are counted that are not there", got)
	}
}

// TestNewConnectionRenewsItsTemplate, as in IPVS, and takes the mark of the sweep away.
func TestNewConnectionRenewsItsTemplate(t *testing.T) {
	t.Parallel()
	b, _ := newPersistentBed(t, model.Persistence{Timeout: 5 * time.Minute})
	b.ends()
	b.age(301 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	if got := b.opens(t, talkTo(4, 30, 80, model.TCP, 40001)); got != 12 {
		t.Errorf("it went to %d", got)
	}
	b.lives(5 * time.Minute)
	b.sweep(dataplane.Swept{Seen: 2})
	b.age(299 * time.Second)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1}) // the half-open connection
	b.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	b.age(2 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 1, Deleted: 1})
}

// TestTemplateOutlivesItsConnections: packets do not renew it, as new connections do. But it has a minute at
// least while one lives, like those that ip_vs rearms.
func TestTemplateOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{3 * time.Second, 59 * time.Second, 61 * time.Second, 10 * time.Minute} {
		t.Run(timeout.String(), func(t *testing.T) {
			b, _ := newPersistentBed(t, model.Persistence{Timeout: timeout})
			b.settle()
			b.age(2 * time.Second)
			b.turns()
			b.lives(max(time.Minute, timeout-2*time.Second))
			for range 20 { // ten minutes
				b.age(30 * time.Second)
				b.client(packet.ACK)
				b.turns()
			}
			b.lives(time.Minute)
			if got := b.opens(t, talkTo(4, 30, 80, model.TCP, 40001)); got != 12 {
				t.Errorf("it went to %d", got)
			}
			b.turns()
			b.kill(t, func(c dataplane.Connection) bool { return c.State != model.Template }, 2)
			b.age(max(timeout, time.Minute) - time.Second)
			b.sweep(dataplane.Swept{Seen: 1})
			b.age(2 * time.Second)
			b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
			b.sweep(dataplane.Swept{Seen: 1, Deleted: 1})
		})
	}
}

func (b sweepBed) settle() {
	b.t.Helper()
	for range twinSettles {
		b.client(packet.ACK)
	}
}

// TestEachConnectionHasItsTurn: it looks after its template in one of eight rounds.
func TestEachConnectionHasItsTurn(t *testing.T) {
	t.Parallel()
	b, _ := newPersistentBed(t, model.Persistence{Timeout: 10 * time.Minute})
	b.settle()
	b.age(560 * time.Second)
	b.client(packet.ACK)
	if rounds := b.untilKept(); rounds > 8 {
		t.Errorf("its turn came after %d rounds", rounds)
	}
	for range 3 {
		b.age(20 * time.Second)
		if rounds := b.untilKept(); rounds != 8 {
			t.Errorf("its turn came after %d rounds", rounds)
		}
	}
}

// untilKept sweeps until the template has a minute left.
func (b sweepBed) untilKept() (rounds int) {
	b.t.Helper()
	for b.left() < 50*time.Second && rounds < 20 {
		b.sweep(dataplane.Swept{Seen: 2})
		rounds++
	}
	return rounds
}

// left is how long the only template lives on; below 0: it is gone.
func (b sweepBed) left() time.Duration {
	b.t.Helper()
	left := -time.Second
	err := b.path.Connections(func(c dataplane.Connection) bool {
		if c.State == model.Template {
			left = c.Expires
		}
		return true
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return left
}

// TestTemplateOfAnotherServerIsNotKept by connections that its client had before.
func TestTemplateOfAnotherServerIsNotKept(t *testing.T) {
	t.Parallel()
	b, service := newPersistentBed(t, model.Persistence{Timeout: 3 * time.Second, Quiescent: model.ExpireQuiescent})
	b.settle()
	service.Servers[1].Weight = 0
	b.serve(service)
	next := talkTo(4, 30, 80, model.TCP, 40001)
	if got := b.opens(t, next); got != 11 {
		t.Errorf("it went to %d", got)
	}
	b.kill(t, func(c dataplane.Connection) bool { return c.State == "SYN_RECV" }, 1)
	b.twin.end(b.twin.conns[flow{next.client, next.service, next.protocol}])
	b.age(4 * time.Second)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	b.lives(-time.Second)
}

// TestServiceThatIsPersistentNoMoreHasNoTemplates, within two rounds, though connections live that had them.
func TestServiceThatIsPersistentNoMoreHasNoTemplates(t *testing.T) {
	t.Parallel()
	b, service := newPersistentBed(t, model.Persistence{Timeout: time.Hour})
	b.settle()
	service.Persistence = model.Persistence{}
	b.serve(service)
	if got := b.opens(t, talkTo(4, 30, 80, model.TCP, 40001)); got != 11 {
		t.Errorf("it went to %d", got)
	}
	b.sweep(dataplane.Swept{Seen: 3, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 3, Deleted: 1})
	b.lives(-time.Second)
}

// TestTemplatesOfAGoneServerGo at once: nobody follows them.
func TestTemplatesOfAGoneServerGo(t *testing.T) {
	t.Parallel()
	b, service := newPersistentBed(t, model.Persistence{Timeout: time.Hour})
	service.Servers = service.Servers[:1]
	b.serve(service)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	b.lives(-time.Second)
}

// TestEditedTimeoutHoldsForTemplatesThatLive.
func TestEditedTimeoutHoldsForTemplatesThatLive(t *testing.T) {
	t.Parallel()
	b, service := newPersistentBed(t, model.Persistence{Timeout: time.Hour})
	b.ends()
	b.age(10 * time.Minute)
	b.lives(50 * time.Minute)
	service.Persistence.Timeout = 20 * time.Minute
	b.serve(service)
	b.lives(10 * time.Minute)
	service.Persistence.Timeout = 5 * time.Minute
	b.serve(service)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 1, Deleted: 1})
}

// TestLongestPersistenceIsKept: 31 days are more jiffies than an int32 has, where there are 1000 a second.
func TestLongestPersistenceIsKept(t *testing.T) {
	t.Parallel()
	const days = 31 * 24 * time.Hour
	b, _ := newPersistentBed(t, model.Persistence{Timeout: days})
	b.settle()
	b.age(days - time.Hour)
	b.client(packet.ACK)
	b.turns()
	b.lives(time.Hour)
	b.age(59*time.Minute + 30*time.Second)
	b.client(packet.ACK)
	b.turns()
	b.lives(time.Minute)
}
