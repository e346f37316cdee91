// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// routeBed is a NAT connection whose client's next hop was forgotten: its answers go by the
// kernel's routes. The twin has no routes, so these tests look at the path alone.
type routeBed struct {
	*testbed
	t      *testing.T
	family family
}

func newRouteBed(t *testing.T, f family) routeBed {
	t.Helper()
	b := routeBed{newTestbed(t, 64), t, f}
	service := model.ServiceWant{
		Key:       model.ServiceKey{Address: vip(f, 30), Port: 80, Protocol: model.TCP},
		Scheduler: model.RR, Serving: true,
		Servers: []model.ServerWant{toServer(f, 11, 80, model.NAT)},
	}
	b.apply(t, model.DataplaneWant{Revision: 1, Interfaces: world().Interfaces, Services: []model.ServiceWant{service}})
	for _, link := range []string{"front", "front-peer", "back", "back-peer"} {
		b.ip("link set " + link + " addrgenmode none") // the links themselves stay silent
		b.ip("link set " + link + " up")
	}
	if f == 4 {
		b.ip("address add 203.0.113.1/24 dev front")
	} else {
		b.ip("address add 2001:db8:c::1/64 dev front nodad")
	}
	b.forwarding("1")
	b.frame(t, front, b.syn())
	if err := b.path.ForgetClients(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b routeBed) ip(args string) {
	b.t.Helper()
	b.do(func() {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			b.t.Errorf("ip %s: %v: %s", args, err, out)
		}
	})
}

func (b routeBed) forwarding(value string) {
	b.t.Helper()
	b.do(func() {
		for _, family := range []string{"ipv4", "ipv6"} {
			path := fmt.Sprintf("/proc/sys/net/%s/conf/back/forwarding", family)
			if err := os.WriteFile(path, []byte(value), 0); err != nil {
				b.t.Error(err)
			}
		}
	})
}

func (b routeBed) neighbour() {
	b.t.Helper()
	b.ip(fmt.Sprintf("neighbour replace %s lladdr 02:00:00:00:02:01 dev front", clientAddr(b.family)))
}

// network is the header of the bed's family.
func (b routeBed) network(v4, v6 packet.Layer) packet.Layer {
	if b.family == 4 {
		return v4
	}
	return v6
}

func (b routeBed) syn() []byte {
	return packet.Build(packet.Ethernet{Source: gatewayMAC, Destination: packet.MAC(frontMAC)},
		b.network(
			packet.IPv4{Source: clientAddr(b.family), Destination: vip(b.family, 30), TTL: 64},
			packet.IPv6{Source: clientAddr(b.family), Destination: vip(b.family, 30), HopLimit: 64}),
		packet.TCP{Source: 40000, Destination: 80, Flags: packet.SYN})
}

// answer sends the server's SYN-ACK of n more bytes and returns the verdict and the frame.
func (b routeBed) answer(n int) (string, []byte) {
	b.t.Helper()
	frame := packet.Build(packet.Ethernet{Source: macOf(11), Destination: packet.MAC(backMAC)},
		b.network(
			packet.IPv4{Source: serverAddr(b.family, 11), Destination: clientAddr(b.family), TTL: 64},
			packet.IPv6{Source: serverAddr(b.family, 11), Destination: clientAddr(b.family), HopLimit: 64}),
		packet.TCP{Source: 80, Destination: 40000, Flags: packet.SYN | packet.ACK}, packet.Payload(make([]byte, n)))
	var out []byte
	var err error
	b.do(func() { _, out, err = b.path.Send(frame, back) })
	if err != nil {
		b.t.Fatal(err)
	}
	return b.counted(b.t), out
}

func (b routeBed) expect(want string) []byte {
	b.t.Helper()
	got, out := b.answer(0)
	if got != want {
		b.t.Fatalf("the answer ends as %s, want %s", got, want)
	}
	return out
}

func bothFamilies(t *testing.T, test func(*testing.T, routeBed)) {
	for _, f := range []family{4, 6} {
		t.Run(fmt.Sprintf("ipv%d", f), func(t *testing.T) { test(t, newRouteBed(t, f)) })
	}
}

func TestAnswerToAForgottenClientGoesByTheKernelsRoutes(t *testing.T) {
	t.Parallel()
	bothFamilies(t, func(t *testing.T, b routeBed) {
		b.neighbour()
		out := b.expect("nat_out")
		layers, err := packet.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		ethernet, _ := packet.Find[packet.Ethernet](layers)
		if ethernet.Destination != gatewayMAC || ethernet.Source != packet.MAC(frontMAC) {
			t.Errorf("the answer goes to the wrong neighbour: %s", layers)
		}
	})
}

func TestAnswerWithoutAWayIsNamed(t *testing.T) {
	t.Parallel()
	bothFamilies(t, func(t *testing.T, b routeBed) {
		b.neighbour()
		b.forwarding("0")
		b.expect("no_route")
		b.forwarding("1")
		b.ip("link set front mtu 1400")
		want := "too_big" // it has no DF, so it is not for us to complain
		if b.family == 6 {
			want = "too_big_told"
		}
		if got, _ := b.answer(1400); got != want {
			t.Errorf("1400 bytes over an MTU of 1400 end as %s, want %s", got, want)
		}
	})
}

func TestUnknownNeighbourIsAskedFor(t *testing.T) {
	t.Parallel()
	bothFamilies(t, func(t *testing.T, b routeBed) {
		asked := make(chan model.Hop, 1)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- b.path.Run(ctx, dataplane.Hears{Unresolved: func(h model.Hop) { asked <- h }}) }()
		b.expect("no_neighbour")
		want := model.Hop{Link: front, Address: clientAddr(b.family)}
		select {
		case got := <-asked:
			if got != want {
				t.Errorf("asked for %v, want %v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Error("nobody was asked")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRefusalsAreHeard: three in a row, and not before; who answers between two is not told of.
func TestRefusalsAreHeard(t *testing.T) {
	t.Parallel()
	b := newSweepBed(t, model.NAT)
	heard := make(chan struct{}, 9)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	hears := dataplane.Hears{Unresolved: func(model.Hop) {}, Refused: func() { heard <- struct{}{} }}
	go func() { done <- b.path.Run(ctx, hears) }()
	b.client(packet.ACK) // the first one was answered
	for n := range uint16(4) {
		c := talkTo(4, 30, 80, model.TCP, 41000+n)
		expect(t, b.testbed, front, c.open(), natIn)
		expect(t, b.testbed, back, c.answer(netip.AddrPortFrom(serverAddr(4, 11), 80), packet.RST), natOut)
		if n < 2 && len(heard) > 0 {
			t.Fatalf("heard of %d", n+1)
		}
	}
	select {
	case <-heard:
	case <-time.After(10 * time.Second):
		t.Error("nobody heard")
	}
	b.compareCounters(t)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(heard) > 0 {
		t.Error("heard twice")
	}
}
