// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// TestMapsTellWhatWasWanted: all that a daemon must know of servers that its config does not name.
func TestMapsTellWhatWasWanted(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	b.apply(t, world())
	got := map[model.ServiceServer]model.Server{}
	services, err := b.path.Services()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, server := range s.Servers {
			got[model.ServiceServer{Service: s.Key, Server: server.Key}] = server
		}
	}
	want := map[model.ServiceServer]model.Server{}
	for _, s := range world().Services {
		for _, w := range s.Servers {
			tunnel := w.Tunnel
			tunnel.Source = asMapped(tunnel.Source)
			want[model.ServiceServer{Service: s.Key, Server: w.Key}] = model.Server{Key: w.Key, Forwarding: w.Forwarding, Tunnel: tunnel, Weight: w.Weight}
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(model.ServerKey{}, model.ServiceKey{}, model.Tunnel{}, model.ServiceServer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// asMapped is as much of a prefix as the path knows: 32 bits of an address vary at most, and none is none.
func asMapped(p netip.Prefix) netip.Prefix {
	if !p.IsValid() || p.IsSingleIP() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(p.Addr(), max(p.Bits(), p.Addr().BitLen()-32))
}

func (d departure) remaining() dataplane.Remaining {
	d.t.Helper()
	all, err := d.path.Remaining()
	if err != nil {
		d.t.Fatal(err)
	}
	service := model.ServiceKey{Address: d.service.Addr(), Port: d.service.Port(), Protocol: d.protocol}
	server := model.ServerKey{Address: d.server(2).Addr(), Port: d.server(2).Port()}
	r, ok := all[model.ServiceServer{Service: service, Server: server}]
	if !ok {
		d.t.Errorf("server 2 is not in the maps")
	}
	return r
}

func TestRemainingConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	eachDeparture(t, func(t *testing.T, d departure) {
		expectRemaining := func(want dataplane.Remaining) {
			t.Helper()
			if got := d.remaining(); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		half := d.another(21000)
		d.goesTo(2, half.open())
		expectRemaining(dataplane.Remaining{Connections: 2})
		d.leave(model.Drain)
		expectRemaining(dataplane.Remaining{Leaving: true, Connections: 2})
		d.leave(model.Reset)
		d.ends(d.more(), serverReset)
		expectRemaining(dataplane.Remaining{Leaving: true, Connections: 1})
		d.ends(half.more(), serverReset)
		expectRemaining(dataplane.Remaining{Leaving: true})
	})
}

// TestServerThatNeverCameDoesNotLeave: nobody has a connection to it, and it takes nobody's place.
func TestServerThatNeverCameDoesNotLeave(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := changed(small(model.DR), func(s *model.ServiceWant) {
		never := toServer(4, 3, 80, model.DR)
		never.Weight, never.Leaving = 0, model.Drain
		s.Servers = append(s.Servers, never)
	})
	var err error
	b.do(func() { err = b.path.Apply(context.Background(), want) })
	all, readErr := b.path.Remaining()
	if err != nil || readErr != nil || len(all) != 4 {
		t.Errorf("%d servers (%v, %v), want 4", len(all), err, readErr)
	}
}

// TestServerThatIsDownFromTheFirstHasItsPlace: the service has it, unlike one that leaves.
func TestServerThatIsDownFromTheFirstHasItsPlace(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, 64)
	want := changed(small(model.DR), func(s *model.ServiceWant) {
		down := toServer(4, 3, 80, model.DR)
		down.Weight, down.Leaving, down.Absent = 0, model.Reset, true
		s.Servers = append(s.Servers, down)
	})
	var err error
	b.do(func() { err = b.path.Apply(context.Background(), want) })
	all, readErr := b.path.Remaining()
	if err != nil || readErr != nil || len(all) != 6 {
		t.Errorf("%d servers (%v, %v), want 6", len(all), err, readErr)
	}
}

// TestRestartKeepsWhoIsLeaving, and who comes back then has its connections still.
func TestRestartKeepsWhoIsLeaving(t *testing.T) {
	t.Parallel()
	for policy, v := range map[model.Leaving]verdict{model.Drain: dr, model.Drop: serverLeft} {
		l := newLife(t, model.DR)
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Weight, w.Leaving = 0, policy })))
		l.restart(t, 64)
		expect(t, l.testbed, front, l.tcp.more(), v)
		l.apply(t, changed(l.want, second(func(w *model.ServerWant) { w.Weight, w.Leaving = 0, policy })))
		expect(t, l.testbed, front, l.tcp.more(), v)
		l.apply(t, l.want)
		l.goesTo(t, l.tcp, 2)
		expect(t, l.testbed, front, l.tcp.ask(packet.FIN), dr)
	}
}
