// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

var (
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	told   = netip.MustParseAddr("203.0.113.1")
	far    = netip.MustParseAddr("198.51.100.11")
	other  = netip.MustParseAddr("198.51.100.12")
	far6   = netip.MustParseAddr("2001:db8:b::11")
	own    = netip.MustParseAddr("198.51.100.1")
	own6   = netip.MustParseAddr("2001:db8:a::1")
	varied = netip.MustParsePrefix("10.200.0.0/16")
)

// tunnels is a Spec with a TUN server of IPv4 in each service and one of IPv6, and what was seen of them.
func tunnels(tunnel model.Tunnel) (model.Spec, model.Seen) {
	s := spec("192.0.2.10 192.0.2.11", server(far.String(), model.TUN), server(far6.String(), model.TUN), server(other.String(), model.DR))
	for _, service := range s.Services {
		service.Servers[0].Tunnel, service.Servers[1].Tunnel = tunnel, tunnel
	}
	n := network(far.String(), other.String())
	n.Routes[far6] = model.Route{Link: eth0.Index, Gateway: router, Source: own6}
	return s, model.Seen{Network: n}
}

// tooBig is a router's word about a plain tunnel to far.
func tooBig(mtu int) model.TooBig {
	return model.TooBig{Router: told, MTU: mtu, Source: own, Destination: far, Protocol: 4}
}

func TestOnlyOurTunnelsAreHeardOf(t *testing.T) {
	gue := model.Tunnel{Type: model.GUE, Port: 6080}
	spread := model.Tunnel{Source: varied}
	for _, c := range []struct {
		name   string
		tunnel model.Tunnel
		edit   func(*model.TooBig)
		want   bool
	}{
		{"ipip", model.Tunnel{}, func(*model.TooBig) {}, true},
		{"ipv6 in ipv4", model.Tunnel{}, func(s *model.TooBig) { s.Protocol = 41 }, true},
		{"to an IPv6 server", model.Tunnel{}, func(s *model.TooBig) { s.Source, s.Destination = own6, far6 }, true},
		{"gre", model.Tunnel{Type: model.GRE}, func(s *model.TooBig) { s.Protocol = 47 }, true},
		{"gue", gue, func(s *model.TooBig) { s.Protocol, s.Port = 17, 6080 }, true},
		{"a varied source", spread, func(s *model.TooBig) { s.Source = netip.MustParseAddr("10.200.7.8") }, true},
		{"our own source beside a varied one", spread, func(*model.TooBig) {}, true},
		{"another of our addresses", model.Tunnel{}, func(s *model.TooBig) { s.Source = netip.MustParseAddr("192.0.2.1") }, true},
		{"a source that is not ours", model.Tunnel{}, func(s *model.TooBig) { s.Source = netip.MustParseAddr("10.200.7.8") }, false},
		{"gre to an ipip server", model.Tunnel{}, func(s *model.TooBig) { s.Protocol = 47 }, false},
		{"ipip to a gre server", model.Tunnel{Type: model.GRE}, func(*model.TooBig) {}, false},
		{"tcp", model.Tunnel{}, func(s *model.TooBig) { s.Protocol = 6 }, false},
		{"another port", gue, func(s *model.TooBig) { s.Protocol, s.Port = 17, 53 }, false},
		{"a server without a tunnel", model.Tunnel{}, func(s *model.TooBig) { s.Destination = other }, false},
		{"somebody else", model.Tunnel{}, func(s *model.TooBig) { s.Destination = told }, false},
	} {
		s, seen := tunnels(c.tunnel)
		said := tooBig(1400)
		c.edit(&said)
		if got := plan.Judge(s, seen, said, noon); got.Believed != c.want || got.Why != "" {
			t.Errorf("%s: %+v", c.name, got)
		}
		said.MTU = 0
		if got := plan.Judge(s, seen, said, noon); (got.Why != "") != c.want {
			t.Errorf("%s, without an MTU: %+v", c.name, got)
		}
	}
}

func TestWhatNoLinkCanMeanIsNotBelieved(t *testing.T) {
	for _, c := range []struct {
		server netip.Addr
		mtu    int
		why    string // "": it is believed
	}{
		{far, 0, "older than RFC 1191"},
		{far, 68, "no link is narrower than 576"},
		{far, 575, "no link is narrower than 576"},
		{far, 576, ""},
		{far, 8999, ""},
		{far, 9000, "not larger than 9000"},
		{far, 65535, "not larger than 9000"},
		{far6, 0, "older than RFC 1191"},
		{far6, 1279, "no link is narrower than 1280"},
		{far6, 1280, ""},
		{far6, 1500, "not larger than 1500"},
	} {
		s, seen := tunnels(model.Tunnel{})
		said := tooBig(c.mtu)
		if c.server == far6 {
			said.Source, said.Destination = own6, far6
		}
		got := plan.Judge(s, seen, said, noon)
		if got.Believed != (c.why == "") || !strings.Contains(got.Why, c.why) || (got.Why == "") != (c.why == "") {
			t.Errorf("%d to %s: %+v, want %q", c.mtu, c.server, got, c.why)
		}
		if got.Believed && got.Path != (model.PathMTU{MTU: c.mtu, Router: told, Until: noon.Add(10 * time.Minute)}) {
			t.Errorf("%d to %s: %+v", c.mtu, c.server, got.Path)
		}
	}
}

func TestKnownPathOnlyGrowsNarrower(t *testing.T) {
	for _, c := range []struct {
		mtu   int
		after time.Duration
		want  bool
	}{
		{1400, time.Second, false},
		{1400, 5*time.Minute - 1, false},
		{1400, 5 * time.Minute, true}, // its life begins anew
		{1300, time.Second, true},
		{1450, 9 * time.Minute, false},
		{1450, 10 * time.Minute, true}, // 1400 is forgotten
	} {
		s, seen := tunnels(model.Tunnel{})
		seen.PathMTUs = map[model.Addr]model.PathMTU{far: {MTU: 1400, Until: noon.Add(10 * time.Minute)}}
		if got := plan.Judge(s, seen, tooBig(c.mtu), noon.Add(c.after)); got.Believed != c.want || got.Why != "" {
			t.Errorf("%d after %s: %+v", c.mtu, c.after, got)
		}
	}
}

func TestPathMTUNarrowsTunnelsUntilItIsForgotten(t *testing.T) {
	s, seen := tunnels(model.Tunnel{})
	seen.PathMTUs = map[model.Addr]model.PathMTU{
		far:   {MTU: 1400, Until: noon.Add(10 * time.Minute)},
		far6:  {MTU: 1280, Until: noon.Add(time.Minute)},
		other: {MTU: 600, Until: noon.Add(time.Hour)}, // its tunnel was taken from the Spec
	}
	for _, c := range []struct {
		after, wake time.Duration
		want        string
	}{
		{0, time.Minute, "1400 1280 9000"},
		{time.Minute, 10 * time.Minute, "1400 1500 9000"},
		{10*time.Minute - 1, 10 * time.Minute, "1400 1500 9000"},
		{10 * time.Minute, time.Hour, "9000 1500 9000"},
	} {
		want, wake := plan.Make(s, seen, noon.Add(c.after))
		for _, service := range want.Dataplane.Services {
			w := service.Servers
			if got := fmt.Sprint(w[0].MTU, w[1].MTU, w[2].MTU); got != c.want {
				t.Errorf("after %s: %s, want %s", c.after, got, c.want)
			}
		}
		if !wake.Equal(noon.Add(c.wake)) {
			t.Errorf("after %s: the next plan is due at %s", c.after, wake)
		}
	}
	if _, wake := plan.Make(s, seen, noon.Add(time.Hour)); !wake.IsZero() {
		t.Errorf("nothing is known, and a plan is due at %s", wake)
	}
}

func TestLearningForgetsAndKeepsWhatWasHandedOn(t *testing.T) {
	path := func(mtu int, until time.Duration) model.PathMTU {
		return model.PathMTU{MTU: mtu, Until: noon.Add(until)}
	}
	known := map[model.Addr]model.PathMTU{far: path(1400, time.Minute), far6: path(1300, time.Minute), other: path(1300, 0)}
	got := plan.Learn(known, far, path(1200, time.Hour), noon)
	if len(got) != 2 || got[far].MTU != 1200 || got[far6].MTU != 1300 {
		t.Errorf("%v", got)
	}
	if len(known) != 3 || known[far].MTU != 1400 {
		t.Errorf("what others may read was changed: %v", known)
	}
}
