// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// oddTimeouts differ from the defaults and from one another.
var oddTimeouts = model.Timeouts{
	SynRecv: 41 * time.Second, Established: 42 * time.Second, FinWait: 43 * time.Second,
	TimeWait: 44 * time.Second, Close: 45 * time.Second, UDP: 46 * time.Second,
}

// expires asks how long the only connection lives on.
func (b sweepBed) expires(want time.Duration) {
	b.t.Helper()
	n := 0
	err := b.path.Connections(func(c dataplane.Connection) bool {
		n++
		if c.Expires > want || c.Expires < want-2*time.Second {
			b.t.Errorf("%s expires in %s, want %s", c.State, c.Expires, want)
		}
		return true
	})
	if err != nil || n != 1 {
		b.t.Fatalf("%d connections (%v), want 1", n, err)
	}
}

// livesFor finds out when the sweep forgets the only connection.
func (b sweepBed) livesFor(timeout time.Duration) {
	b.t.Helper()
	b.expires(timeout)
	b.age(timeout - 2*time.Second)
	b.sweep(dataplane.Swept{Seen: 1})
	b.age(3 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	b.expires(0)
}

// states are roads of a DR connection, of which the director sees one side, and of a NAT connection.
var states = []struct {
	name, state string
	forwarding  model.Forwarding
	segments    []packet.TCPFlags
	answers     []packet.TCPFlags
}{
	{name: "a SYN", state: "SYN_RECV", forwarding: model.DR},
	{name: "a handshake", state: "ESTABLISHED", forwarding: model.DR, segments: []packet.TCPFlags{packet.ACK}},
	{name: "one end", state: "FIN_WAIT", forwarding: model.DR, segments: []packet.TCPFlags{packet.ACK, packet.FIN | packet.ACK}},
	{
		name: "both ends", state: "TIME_WAIT", forwarding: model.NAT,
		segments: []packet.TCPFlags{packet.ACK, packet.FIN | packet.ACK}, answers: []packet.TCPFlags{packet.FIN | packet.ACK},
	},
	{name: "a reset", state: "CLOSE", forwarding: model.DR, segments: []packet.TCPFlags{packet.ACK, packet.RST}},
}

func TestServiceDecidesHowLongItsConnectionsLive(t *testing.T) {
	t.Parallel()
	for _, test := range states {
		for name, timeouts := range map[string]model.Timeouts{"default": {}, "own": oddTimeouts} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				service := sweepService(test.forwarding)
				b := newSweepBed(t, test.forwarding)
				service.Timeouts = timeouts
				b.serve(service)
				for _, flags := range test.segments {
					b.client(flags)
				}
				for _, flags := range test.answers {
					b.answer(flags)
				}
				if test.forwarding == model.NAT {
					timeouts = timeouts.OrDefault()
					b.expires(*timeouts.Of(test.state))
					return // it has two entries, which are swept as in the tests of pairs
				}
				timeouts = timeouts.OrDefault()
				b.livesFor(*timeouts.Of(test.state))
			})
		}
	}
}

func TestDatagramsThatAreNotSettledLiveShortly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		udp, unsettled, settled time.Duration
	}{
		"default":         {0, 26 * time.Second, 300 * time.Second},
		"longer":          {time.Hour, 26 * time.Second, time.Hour},
		"shorter than it": {7 * time.Second, 7 * time.Second, 7 * time.Second},
	} {
		for _, settled := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				b := sweepBed{testbed: newTestbed(t, 64), t: t}
				service := sweepService(model.DR)
				service.Key.Protocol, service.Timeouts.UDP = model.UDP, test.udp
				b.serve(service)
				want, datagrams := test.unsettled, 1
				if settled {
					want, datagrams = test.settled, twinSettles
				}
				for range datagrams {
					expect(t, b.testbed, front, talkTo(4, 30, 80, model.UDP, 40000).open(), dr)
				}
				b.livesFor(want)
			})
		}
	}
}

// TestLongestTimeoutIsKept: 31 days are more jiffies than an int32 has, where there are 1000 a second.
func TestLongestTimeoutIsKept(t *testing.T) {
	t.Parallel()
	service := sweepService(model.DR)
	b := newSweepBed(t, model.DR)
	service.Timeouts.SynRecv = model.MaxTimeout
	b.serve(service)
	b.livesFor(model.MaxTimeout)
}

// TestChangedTimeoutsHoldForWhatLives: as with `ipvsadm --set`, but at once.
func TestChangedTimeoutsHoldForWhatLives(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.DR)
	b.age(50 * time.Second)
	b.sweep(dataplane.Swept{Seen: 1})
	service := sweepService(model.DR)
	service.Timeouts = oddTimeouts
	b.serve(service)
	b.sweep(dataplane.Swept{Seen: 1, Marked: 1})
	service.Timeouts = model.Timeouts{}
	b.serve(service)
	b.client(packet.SYN)
	b.livesFor(time.Minute)
}

// TestEachServiceHasTimeoutsOfItsOwn, be they told apart by nothing but the server.
func TestEachServiceHasTimeoutsOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.DR)
	other := sweepService(model.DR)
	other.Key.Port, other.Timeouts = 81, oddTimeouts
	b.serve(sweepService(model.DR), other)
	expect(t, b.testbed, front, talkTo(4, 30, 81, model.TCP, 40000).open(), dr)
	b.age(42 * time.Second)
	b.sweep(dataplane.Swept{Seen: 2, Marked: 1})
	b.sweep(dataplane.Swept{Seen: 2, Deleted: 1})
	b.load([3]uint64{0, 1, 1})
}

// TestConnectionsOfAGoneServerHaveTheDefaults: nobody knows any more what their service said.
func TestConnectionsOfAGoneServerHaveTheDefaults(t *testing.T) {
	t.Parallel()
	service := sweepService(model.DR)
	service.Timeouts = oddTimeouts
	b := newSweepBed(t, model.DR)
	b.serve(service)
	b.expires(oddTimeouts.SynRecv)
	b.serve()
	b.livesFor(time.Minute)
}
