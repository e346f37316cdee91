// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// tunnel is web with a server behind a tunnel.
func tunnel() string { return strings.Replace(web, "forwarding: dr", "forwarding: tun", 1) }

// needed is a router's word about a tunnel of the stage's host to its server.
func needed(mtu int) model.TooBig {
	return model.TooBig{
		Router:      netip.MustParseAddr("198.51.100.1"),
		MTU:         mtu,
		Source:      netip.MustParseAddr("192.0.2.1"),
		Destination: netip.MustParseAddr("192.0.2.11"),
		Protocol:    4,
	}
}

// mtu is what the path was told last of the server.
func (s *stage) mtu() int {
	s.t.Helper()
	synctest.Wait()
	return s.paths.wants[len(s.paths.wants)-1].Services[0].Servers[0].MTU
}

// plans is how often the path was told something.
func (s *stage) plans() int {
	synctest.Wait()
	return len(s.paths.wants)
}

func (s *stage) wantMTU(want int) {
	s.t.Helper()
	if got := s.mtu(); got != want {
		s.t.Errorf("the server's MTU is %d, want %d", got, want)
	}
}

func TestPathMTULowersAServersMTUForTenMinutes(t *testing.T) {
	play(t, tunnel(), func(s *stage) {
		s.tooBig(needed(1400)) // nothing is known of the network yet
		s.see(mac, "192.0.2.11")
		s.wantMTU(1500)
		s.tooBig(needed(1400))
		time.Sleep(time.Second)
		s.wantMTU(1400)
		s.tooBig(needed(1450)) // no router makes it wider
		s.tooBig(needed(500))
		s.tooBig(needed(0))
		time.Sleep(time.Second)
		s.wantMTU(1400)
		s.see(mac, "192.0.2.11") // another look at the network, another plan
		s.wantMTU(1400)
		time.Sleep(10*time.Minute - 4*time.Second)
		s.wantMTU(1400)
		time.Sleep(2 * time.Second)
		s.wantMTU(1500)
	})
}

func TestPathMTUIsForgottenWithItsTunnel(t *testing.T) {
	play(t, tunnel(), func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.tooBig(needed(1400))
		time.Sleep(time.Second)
		s.wantMTU(1400)
		s.write(web) // by direct routing
		if _, err := s.Reload(s.t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.wantMTU(1500)
	})
}

// TestFloodOfPathMTUsMakesFewPlansAndFewLines, and does not keep the owner from planning.
func TestFloodOfPathMTUsMakesFewPlansAndFewLines(t *testing.T) {
	play(t, tunnel(), func(s *stage) {
		var log bytes.Buffer
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		s.see(mac, "192.0.2.11")
		before := s.plans()
		for mtu := 1499; mtu > 999; mtu-- { // each one is news, one a millisecond
			s.tooBig(needed(mtu))
			time.Sleep(time.Millisecond)
		}
		if plans := s.plans() - before; plans < 10 || plans > 51 {
			t.Errorf("%d plans within half a second", plans)
		}
		time.Sleep(time.Second)
		s.wantMTU(1000)
		for range 1000 { // none of these is
			s.tooBig(needed(1000))
			s.tooBig(needed(68))
		}
		before = s.plans()
		time.Sleep(time.Second)
		s.applied(before, 1, 1)
		if lines := strings.Count(log.String(), "\n"); lines != quotaLines {
			t.Errorf("%d lines in the log:\n%s", lines, log.String())
		}
		time.Sleep(quotaPeriod)
		s.tooBig(needed(0))
		synctest.Wait()
		if want := "why=\"it does not say how large"; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "not_logged=1490") {
			t.Errorf("the log does not say %s:\n%s", want, log.String())
		}
	})
}
