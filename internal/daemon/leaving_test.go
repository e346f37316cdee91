// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

var (
	webKey  = model.ServiceKey{Address: netip.MustParseAddr("192.0.2.10"), Port: 80, Protocol: model.TCP}
	leaver  = model.ServerKey{Address: netip.MustParseAddr("192.0.2.11"), Port: 80}
	instead = strings.Replace(web, "192.0.2.11:80", "192.0.2.12:80", 1)
)

// kernel is what the kernel would say of servers; it belongs to the bubble of the story.
type kernel map[model.ServiceServer]dataplane.Remaining

func (m kernel) put(r dataplane.Remaining) {
	m[model.ServiceServer{Service: webKey, Server: leaver}] = r
}

// replaced plays a story that begins when the only server was replaced by another one.
func replaced(t *testing.T, text string, story func(*stage, kernel)) {
	play(t, web, func(s *stage) {
		m := kernel{}
		m.put(dataplane.Remaining{Connections: 5}) // it is not told yet
		go s.watchLeft(s.running, func() (map[model.ServiceServer]dataplane.Remaining, error) { return m, nil })
		s.see(mac, "192.0.2.11")
		s.reload(text)
		s.see(mac, "192.0.2.11", "192.0.2.12")
		story(s, m)
	})
}

func (s *stage) reload(text string) {
	s.t.Helper()
	s.write(text)
	if _, err := s.Reload(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// fate is what the path was last told about the server that left; -1: nothing.
func (s *stage) fate() int {
	synctest.Wait()
	for _, server := range s.paths.wants[len(s.paths.wants)-1].Services[0].Servers {
		if server.Key == leaver {
			return int(server.Leaving)
		}
	}
	return -1
}

func (s *stage) expectFate(want int) {
	s.t.Helper()
	time.Sleep(3 * time.Second)
	if got := s.fate(); got != want {
		s.t.Errorf("the server's fate is %d, want %d", got, want)
	}
}

func TestServerLeavesUntilItsLastConnectionHasEnded(t *testing.T) {
	replaced(t, instead, func(s *stage, m kernel) {
		m.put(dataplane.Remaining{})
		s.expectFate(int(model.Drain))
		m.put(dataplane.Remaining{Leaving: true, Connections: 5})
		time.Sleep(2 * time.Hour)
		s.expectFate(int(model.Drain))
		m.put(dataplane.Remaining{Leaving: true})
		s.expectFate(-1)
		if left := s.state.Load().seen.Left; len(left) != 0 {
			t.Errorf("not forgotten: %+v", left)
		}
	})
}

func TestServerThatComesBackStays(t *testing.T) {
	replaced(t, instead, func(s *stage, m kernel) {
		m.put(dataplane.Remaining{Leaving: true, Connections: 5})
		s.expectFate(int(model.Drain))
		s.reload(web)
		s.expectFate(0)
		m.put(dataplane.Remaining{})
		s.expectFate(0)
	})
}

func TestDrainEndsInTime(t *testing.T) {
	limited := strings.Replace(instead, "scheduler: rr", "scheduler: rr\n    leaving: {for: 1h}", 1)
	replaced(t, limited, func(s *stage, m kernel) {
		m.put(dataplane.Remaining{Leaving: true, Connections: 5})
		time.Sleep(59 * time.Minute)
		s.expectFate(int(model.Drain))
		time.Sleep(time.Minute)
		s.expectFate(int(model.Reset))
		m.put(dataplane.Remaining{Leaving: true})
		s.expectFate(-1)
	})
}

// TestServerThatTheMapsNeverHadIsForgotten: it came and went before they were told.
func TestServerThatTheMapsNeverHadIsForgotten(t *testing.T) {
	replaced(t, instead, func(s *stage, m kernel) {
		s.expectFate(int(model.Drain))
		clear(m)
		s.expectFate(-1)
	})
}

// TestNewPolicyHoldsForWhoHasLeft: a reload changes it, too.
func TestNewPolicyHoldsForWhoHasLeft(t *testing.T) {
	replaced(t, instead, func(s *stage, m kernel) {
		m.put(dataplane.Remaining{Leaving: true, Connections: 5})
		s.reload(strings.Replace(instead, "scheduler: rr", "scheduler: rr\n    leaving: reset", 1))
		s.expectFate(int(model.Reset))
	})
}
