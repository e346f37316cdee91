// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

const fronted = "vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24]}]\n" + web

// turns lets the virtual router front become something, and all be quiet then.
func (s *stage) turns(state model.VRRPState) {
	s.routerChanged(vrrp.Change{Name: "front", Seen: model.VRRPSeen{State: state, Since: time.Now()}})
	synctest.Wait()
}

// stands says of front whether the address is wanted here, services are served, and others may be told that it is not here.
func (s *stage) stands() string {
	synctest.Wait()
	addresses, paths := s.address.wants[len(s.address.wants)-1], s.paths.wants[len(s.paths.wants)-1]
	return fmt.Sprintf("address %t, served %t, released %d",
		addresses.Routers["front"], paths.Services[0].Serving, len(s.released))
}

func (s *stage) stand(when, want string) {
	s.t.Helper()
	if got := s.stands(); got != want {
		s.t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// TestOthersAreToldLast: the address goes, then its services end, and then another director may have it.
func TestOthersAreToldLast(t *testing.T) {
	for _, state := range []model.VRRPState{model.VRRPBackup, model.VRRPInit, model.VRRPFault} {
		play(t, fronted, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.stand("nothing is known", "address false, served false, released 0")
			s.turns(model.VRRPMaster)
			s.stand("master", "address true, served true, released 0")
			s.address.takes, s.paths.takes = 50*time.Millisecond, 50*time.Millisecond
			s.turns(state)
			s.stand("at once", "address false, served true, released 0")
			time.Sleep(60 * time.Millisecond)
			s.stand("the address has gone", "address false, served false, released 0")
			time.Sleep(50 * time.Millisecond)
			s.stand("services have ended", "address false, served false, released 1")
			s.see(mac, "192.0.2.11")
			s.stand("once", "address false, served false, released 1")
		})
	}
}

// TestARemovedRouterIsLetGo as one that becomes backup, although the configuration knows it no more. Its address is
// that of a service still.
func TestARemovedRouterIsLetGo(t *testing.T) {
	for name, learns := range map[string]time.Duration{"it ends first": 0, "its address goes first": time.Second} {
		play(t, fronted, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.turns(model.VRRPMaster)
			s.address.takes = 50 * time.Millisecond
			s.write(web)
			if _, err := s.Reload(s.t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(learns)
			s.turns(model.VRRPInit)
			if learns == 0 && len(s.released) > 0 {
				t.Errorf("%s: it is let go of before its address is gone", name)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if !slices.Equal(s.released, []string{"front"}) {
				t.Errorf("%s: let go of are %q", name, s.released)
			}
		})
	}
}

// TestAShortReignIsLetGoAtOnce: no address has come.
func TestAShortReignIsLetGoAtOnce(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.paths.takes = 50 * time.Millisecond
		s.turns(model.VRRPMaster)
		s.stand("its services come", "address false, served true, released 0")
		s.turns(model.VRRPBackup)
		time.Sleep(110 * time.Millisecond)
		s.stand("they have gone again", "address false, served false, released 1")
		if slices.ContainsFunc(s.address.wants, func(w model.AddressWant) bool { return w.Routers["front"] }) {
			t.Error("the address was here")
		}
	})
}

// TestNobodyIsToldOfWhatIsNotDone: who waits for it has a bound of his own.
func TestNobodyIsToldOfWhatIsNotDone(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.turns(model.VRRPMaster)
		s.paths.err = errors.New("busy")
		s.turns(model.VRRPBackup)
		time.Sleep(10 * time.Second)
		s.stand("services cannot be ended", "address false, served false, released 0")
		s.paths.err = nil
		time.Sleep(10 * time.Second)
		s.stand("they can", "address false, served false, released 1")
		if now := s.state.Load().seen.Applied.Dataplane; strings.Contains(now, "busy") {
			t.Errorf("it says %q still", now)
		}
	})
}
