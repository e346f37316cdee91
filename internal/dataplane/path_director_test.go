// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// pair is a service of two boxes, and a connection to a server that will leave.
type pair struct {
	*testbed
	talk
	t *testing.T
	f family
}

// pairs are services whose server 1 is a director, too; server 2 has all connections, and server 3 is this host.
func pairs() (want model.DataplaneWant) {
	want.Interfaces = world().Interfaces
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			var servers []model.ServerWant
			for host := range byte(3) {
				server := toServer(f, host+1, webPort(p), model.DR)
				server.Local = host == 2
				if host != 1 {
					server.Weight = 0
				}
				servers = append(servers, server)
			}
			want.Services = append(want.Services, service(f, 10, webPort(p), p, servers...))
		}
	}
	return want
}

func eachPair(t *testing.T, test func(*testing.T, pair)) {
	for _, f := range []family{4, 6} {
		for _, p := range protocols {
			t.Run(fmt.Sprintf("ipv%d %s", f, p), func(t *testing.T) {
				t.Parallel()
				b := pair{newTestbed(t, 1024), talkTo(f, 10, webPort(p), p, 20000), t, f}
				b.apply(t, pairs())
				b.comes(b.talk.open(), dr)
				b.comes(b.more(), dr)
				test(t, b)
				b.compareCounters(t)
				b.compareConnections(t)
			})
		}
	}
}

// comes is for what a client sends, sent for what the other director has sent on.
func (b pair) comes(layers packet.Layers, want verdict) {
	b.t.Helper()
	expect(b.t, b.testbed, front, layers, want)
}

func (b pair) sent(layers packet.Layers, want verdict) {
	b.t.Helper()
	expect(b.t, b.testbed, back, returned(layers, 1), want)
}

// sentInParts: the stack needs all parts of a packet, whichever comes first, and each of them once.
func (b pair) sentInParts(id uint32) {
	b.t.Helper()
	parts := cut(append(b.more(), hundred), id, 32, 64)
	b.sent(parts[1], fragmentHeld)
	b.sent(parts[0], local)
	b.sent(parts[0], fragmentOverlap)
	b.sent(parts[1], local)
	b.sent(parts[2], local)
}

func (b pair) failure() packet.Layers {
	return unreachable(router(b.f), b.service.Addr(), packetOf(b.turned()))
}

// TestDirectorsPacketsReachThisHostWhoeverLeft: another director has chosen it, whatever becomes here of the connection's
// server.
func TestDirectorsPacketsReachThisHostWhoeverLeft(t *testing.T) {
	t.Parallel()
	eachPair(t, func(_ *testing.T, b pair) {
		parts := cut(append(b.more(), hundred), 1, 32, 64)
		b.comes(parts[0], dr)
		for i, policy := range []model.Leaving{model.Drop, model.Reset} {
			b.apply(b.t, changed(pairs(), second(func(w *model.ServerWant) { w.Weight, w.Leaving = 0, policy })))
			b.sent(b.more(), local)
			b.sent(b.failure(), local)
			b.sent(parts[i+1], local)
			b.sentInParts(uint32(i + 2))
			b.comes(b.failure(), serverLeft)
		}
		b.comes(b.more(), serverReset)
	})
}

// TestDirectorsPacketsReachThisHostWhoeverIsGone, as well where this one serves as where only the other one does.
func TestDirectorsPacketsReachThisHostWhoeverIsGone(t *testing.T) {
	t.Parallel()
	eachPair(t, func(_ *testing.T, b pair) {
		for _, serving := range []bool{true, false} {
			b.apply(b.t, changed(pairs(), func(s *model.ServiceWant) {
				s.Serving, s.Servers = serving, []model.ServerWant{s.Servers[0], s.Servers[2]}
			}))
			b.sent(b.failure(), local)
			b.comes(b.failure(), serverGone)
			if b.protocol == model.UDP { // it begins anew
				continue
			}
			b.sent(b.more(), local)
			b.sentInParts(map[bool]uint32{true: 1, false: 2}[serving])
			b.comes(b.more(), serverGone)
		}
		b.apply(b.t, pairs())
		b.sent(b.talk.open(), local)
		b.comes(b.more(), local)
	})
}
