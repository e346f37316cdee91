// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// TestWhatAServiceSaysReachesTheMaps, whether or not there is a way to the server yet.
func TestWhatAServiceSaysReachesTheMaps(t *testing.T) {
	tunnel := model.Tunnel{Type: model.GUE, Port: 6080, Checksum: true, Source: netip.MustParsePrefix("10.200.0.0/16")}
	near, far := server("198.51.100.11", model.TUN), server("203.0.113.12", model.TUN)
	near.Tunnel, far.Tunnel = tunnel, model.Tunnel{Type: model.GRE}
	s := spec("192.0.2.10", near, far)
	s.Services[0].MSS = 1400
	s.Services[0].Unknown, s.Services[0].HalfOpen = model.PassUnknown, 77
	s.Services[0].Timeouts.FinWait = time.Minute
	s.Services[0].Persistence = model.Persistence{Timeout: time.Hour, Mask: 24, Quiescent: model.ExpireQuiescent}
	got := desired(s, network("198.51.100.11")).Dataplane.Services[0]
	if got.Unknown != model.PassUnknown || got.HalfOpen != 77 {
		t.Errorf("unknown packets: %s, half open: %d; want %s and 77", got.Unknown, got.HalfOpen, model.PassUnknown)
	}
	if got.Timeouts != s.Services[0].Timeouts || got.MSS != 1400 || got.Servers[0].Tunnel != tunnel || got.Servers[1].Tunnel != far.Tunnel {
		t.Errorf("timeouts %+v, mss %d, tunnels %+v and %+v", got.Timeouts, got.MSS, got.Servers[0].Tunnel, got.Servers[1].Tunnel)
	}
	if got.Persistence != s.Services[0].Persistence {
		t.Errorf("persistence %+v", got.Persistence)
	}
}

// TestHalfOpenIsAQuarterOfTheTable, unless it is written, or who comes next would be refused.
func TestHalfOpenIsAQuarterOfTheTable(t *testing.T) {
	dr, nat := server("198.51.100.11", model.DR), server("198.51.100.12", model.NAT)
	for _, row := range []struct {
		name    string
		service model.Service
		want    int
	}{
		{"dr", model.Service{Servers: []model.Server{dr}}, 1000},
		{"nat and dr", model.Service{Servers: []model.Server{nat, dr}}, 0},
		{"nat", model.Service{Servers: []model.Server{nat}}, 0},
		{"no server", model.Service{}, 0},
		{"pass", model.Service{Servers: []model.Server{dr}, Unknown: model.PassUnknown}, 0},
		{"udp", model.Service{Servers: []model.Server{dr}, Key: model.ServiceKey{Protocol: model.UDP}}, 0},
		{"written", model.Service{Servers: []model.Server{dr}, HalfOpen: 7}, 7},
		{"written, nat", model.Service{Servers: []model.Server{nat}, HalfOpen: 7}, 7},
	} {
		s := model.Spec{Services: []model.Service{row.service}, Connections: model.Connections{Size: 4000}}
		if got := desired(s, network()).Dataplane.Services[0].HalfOpen; got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}
