// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// hearing collects what a PathObserver heard.
type hearing struct {
	mu   sync.Mutex // guards said
	said []model.TooBig
}

func (h *hearing) take(said model.TooBig) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, said)
}

func (h *hearing) all() []model.TooBig {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]model.TooBig(nil), h.said...)
}

// router is a namespace that sends frames to another one's eth0.
type router struct {
	namespace
	ethernet packet.Ethernet
}

// newHearing starts a PathObserver in one namespace, and returns when it hears the other.
func newHearing(t *testing.T) (*hearing, router) {
	left, right := newLAN(t)
	h := &hearing{}
	left.start(func(ctx context.Context) error { return address.NewPathObserver(logger(t)).Run(ctx, h.take) })
	r := router{right, packet.Ethernet{Source: right.link("eth0").MAC, Destination: left.link("eth0").MAC}}
	within(t, "hearing both families", func() bool {
		r.send("eth0", r.needed4(1000, outer4), r.needed6(1300, outer6))
		return len(heard(h, 1000)) > 0 && len(heard(h, 1300)) > 0
	})
	return h, r
}

// heard is what was said of one MTU.
func heard(h *hearing, mtu int) (out []model.TooBig) {
	for _, s := range h.all() {
		if s.MTU == mtu {
			out = append(out, s)
		}
	}
	return out
}

var (
	outer4 = packet.IPv4{Source: addr("192.0.2.1"), Destination: addr("203.0.113.11"), TTL: 64, Flags: packet.DontFragment}
	outer6 = packet.IPv6{Source: addr("2001:db8::1"), Destination: addr("2001:db8:b::11"), HopLimit: 64}
	inner4 = packet.IPv4{Source: addr("198.51.100.7"), Destination: addr("192.0.2.10"), TTL: 64}
	inner  = packet.Build(inner4, packet.TCP{Source: 40000, Destination: 80, Flags: packet.SYN})
)

// needed4 is "fragmentation needed" to 192.0.2.1, about a packet with IPv4 in it.
func (r router) needed4(mtu int, quoted packet.IPv4) []byte {
	quoted.Protocol = packet.ProtocolIPv4
	return r.message4(packet.ICMP{Type: packet.ICMPUnreachable, Code: 4}, mtu, packet.Build(quoted, packet.Payload(inner)))
}

func (r router) message4(icmp packet.ICMP, mtu int, quote []byte) []byte {
	ip := packet.IPv4{Source: addr("192.0.2.2"), Destination: addr("192.0.2.1"), TTL: 64, Options: []byte{1, 1, 1}}
	return packet.Build(r.ethernet, ip, icmp, packet.Payload(binary.BigEndian.AppendUint32(nil, uint32(mtu))), packet.Payload(quote))
}

// needed6 is "packet too big" to 2001:db8::1, about a packet with IPv4 in it.
func (r router) needed6(mtu int, quoted packet.IPv6) []byte {
	quoted.Next = packet.ProtocolIPv4
	return r.message6(packet.ICMPv6{Type: packet.ICMPv6TooBig}, mtu, packet.Build(quoted, packet.Payload(inner)))
}

func (r router) message6(icmp packet.ICMPv6, mtu int, quote []byte) []byte {
	ip := packet.IPv6{Source: addr("2001:db8::2"), Destination: addr("2001:db8::1"), HopLimit: 64}
	return packet.Build(r.ethernet, ip, icmp, packet.Payload(binary.BigEndian.AppendUint32(nil, uint32(mtu))), packet.Payload(quote))
}

func TestRoutersAreHeard(t *testing.T) {
	h, r := newHearing(t)
	r.send("eth0", r.needed4(1400, outer4), r.needed6(1401, outer6))
	within(t, "both", func() bool { return len(heard(h, 1400)) > 0 && len(heard(h, 1401)) > 0 })
	want := model.TooBig{
		Router: addr("192.0.2.2"), MTU: 1400, Source: outer4.Source, Destination: outer4.Destination, Protocol: 4,
	}
	if got := heard(h, 1400)[0]; got != want {
		t.Errorf("heard %+v, want %+v", got, want)
	}
	want = model.TooBig{
		Router: addr("2001:db8::2"), MTU: 1401, Source: outer6.Source, Destination: outer6.Destination, Protocol: 4,
	}
	if got := heard(h, 1401)[0]; got != want {
		t.Errorf("heard %+v, want %+v", got, want)
	}
}

func TestOnlyRoutersThatTellTheSenderAreHeard(t *testing.T) {
	h, r := newHearing(t)
	strange4, strange6 := outer4, outer6
	strange4.Source, strange6.Source = addr("192.0.2.77"), addr("2001:db8::77")
	quote4, quote6 := packet.Build(strange4, packet.Payload(inner)), packet.Build(outer6, packet.Payload(inner))
	r.send("eth0",
		r.needed4(1400, strange4),
		r.needed6(1400, strange6),
		r.message4(packet.ICMP{Type: packet.ICMPUnreachable, Code: 4, Checksum: 0xbad}, 1400, quote4),
		r.message4(packet.ICMP{Type: packet.ICMPUnreachable, Code: 3}, 1400, quote4),
		r.message4(packet.ICMP{Type: packet.ICMPEchoReply}, 1400, quote4),
		r.message6(packet.ICMPv6{Type: packet.ICMPv6TooBig, Checksum: 0xbad}, 1400, quote6),
		r.message6(packet.ICMPv6{Type: 1}, 1400, quote6),
	)
	within(t, "what comes last", func() bool {
		r.send("eth0", r.needed4(1402, outer4), r.needed6(1403, outer6))
		return len(heard(h, 1402)) > 0 && len(heard(h, 1403)) > 0
	})
	if got := heard(h, 1400); len(got) != 0 {
		t.Errorf("heard %+v", got)
	}
}

// TestFloodIsReadSlowly: whatever comes, the daemon has a bounded amount of work with it.
func TestFloodIsReadSlowly(t *testing.T) {
	h, r := newHearing(t)
	const perSecond = 50 * 100
	var frames [][]byte
	for i := range 20000 {
		frames = append(frames, r.needed4(600+i%800, outer4))
	}
	before, begun := len(h.all()), time.Now()
	for time.Since(begun) < 300*time.Millisecond {
		r.send("eth0", frames...)
	}
	read, took := len(h.all())-before, time.Since(begun)
	if most := int(took.Seconds()*perSecond) + perSecond/100; read == 0 || read > most {
		t.Errorf("%d were read in %s, want at most %d", read, took, most)
	}
	within(t, "the daemon hearing after the flood", func() bool {
		r.send("eth0", r.needed4(1407, outer4))
		return len(heard(h, 1407)) > 0
	})
	t.Logf("%d of a flood were read in %s", read, took)
}
