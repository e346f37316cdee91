// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/model"
)

const watched = "bfd: [{name: uplink, interface: eth0, peer: 192.0.2.77}]\n" +
	"vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24], track: [{bfd: uplink}]}]\n" + web

// TestSessionThatGoesDownIsAFaultAtOnce, and one that comes up is none: neither waits for other events.
func TestSessionThatGoesDownIsAFaultAtOnce(t *testing.T) {
	play(t, watched, func(s *stage) {
		s.see(mac, "192.0.2.11")
		if got := s.state.Load().desired.VRRP[0].Waits; got != "when bfd uplink has come up" {
			t.Errorf("it waits %q", got)
		}
		for _, c := range []struct {
			seen  model.BFDSeen
			fault string
		}{
			{model.BFDSeen{State: model.BFDUp}, ""},
			{model.BFDSeen{State: model.BFDDown, Why: "no packet of 192.0.2.77 for 500ms"}, "bfd uplink is down: no packet of 192.0.2.77 for 500ms"},
			{model.BFDSeen{State: model.BFDUp}, ""},
		} {
			began := time.Now()
			s.sessionChanged(bfd.Change{Name: "uplink", Seen: c.seen})
			synctest.Wait()
			want := s.state.Load().desired.VRRP[0]
			if want.Fault != c.fault || want.Waits != "" || time.Since(began) > 0 {
				t.Errorf("%s: after %s it is in fault for %q, and waits %q", c.seen.State, time.Since(began), want.Fault, want.Waits)
			}
		}
	})
}
