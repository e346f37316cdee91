// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

var uplink = model.BFDSession{Name: "uplink", Interface: "eth1", Peer: netip.MustParseAddr("198.51.100.77"), Interval: 100 * time.Millisecond, Multiplier: 5}

// tracked is a Spec with a virtual router that tracks a session.
func tracked(session model.BFDSession, weight int) model.Spec {
	s := spec("192.0.2.10", server("198.51.100.11", model.DR))
	r := virtualRouter("VI_1", "192.0.2.10/24")
	r.Track, r.Preempt = []model.Track{{Of: model.TrackBFD{Name: session.Name}, Weight: weight}}, true
	s.VirtualRouters, s.BFD = []model.VirtualRouter{r}, []model.BFDSession{session}
	return s
}

// TestSessionDecides has a row for each way in which a session that is tracked may stand.
func TestSessionDecides(t *testing.T) {
	const begins, ends = "when bfd uplink has come up", ""
	down := model.BFDSeen{State: model.BFDDown, Why: "no packet of 198.51.100.77 for 500ms"}
	for _, c := range []struct {
		name   string
		weight int
		seen   *model.BFDSeen
		want   outcome
		waits  string
	}{
		{"before anything was told of it", 0, nil, outcome{Priority: 100}, begins},
		{"one that has just begun", 0, &model.BFDSeen{Begins: true}, outcome{Priority: 100}, begins},
		{"one that has just begun, and is heard", -30, &model.BFDSeen{State: model.BFDInit, Begins: true}, outcome{Priority: 100}, begins},
		{"one that is up", 0, &model.BFDSeen{State: model.BFDUp}, outcome{Priority: 100}, ends},
		{"one that is up, and adds", 30, &model.BFDSeen{State: model.BFDUp}, outcome{Priority: 130}, ends},
		{"one that is down", 0, &down, outcome{100, "bfd uplink is down: no packet of 198.51.100.77 for 500ms", "bfd uplink is down: no packet of 198.51.100.77 for 500ms", ""}, ends},
		{"one that is down, and takes off", -30, &down, outcome{70, "", "bfd uplink is down: no packet of 198.51.100.77 for 500ms (-30)", ""}, ends},
		{"one that was up, and is heard again", -30, &model.BFDSeen{State: model.BFDInit, Why: "heard"}, outcome{70, "", "bfd uplink is not up: heard (-30)", ""}, ends},
		{"one that the peer has switched off", -30, &model.BFDSeen{Off: true, Why: "198.51.100.77 has switched it off"}, outcome{Priority: 100}, ends},
		{"one that the peer has switched on again", 0, &model.BFDSeen{State: model.BFDInit, Begins: true, Why: "heard"}, outcome{Priority: 100}, begins},
		{"one that has not come up since", 0, &model.BFDSeen{State: model.BFDInit, Why: "heard"}, outcome{100, "bfd uplink is not up: heard", "bfd uplink is not up: heard", ""}, ends},
	} {
		seen := model.Seen{Network: network("198.51.100.11")}
		if c.seen != nil {
			seen.BFD = map[string]model.BFDSeen{"uplink": *c.seen}
		}
		want, _ := plan.Make(tracked(uplink, c.weight), seen, time.Time{})
		if diff := cmp.Diff([]outcome{c.want}, outcomes(want.VRRP)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if got := want.VRRP[0]; got.Waits != c.waits || got.Preempt != (c.waits == "") {
			t.Errorf("%s: preempt %t, waits %q", c.name, got.Preempt, got.Waits)
		}
	}
}

// TestSessionsInterfaceDecides: what is known of it needs no packet, and it says where packets come from.
func TestSessionsInterfaceDecides(t *testing.T) {
	with := func(peer string) func(*model.BFDSession) {
		return func(s *model.BFDSession) { s.Peer = netip.MustParseAddr(peer) }
	}
	addresses := func(l *model.Link) {
		l.Prefixes = append(slices.Clone(l.Prefixes), netip.MustParsePrefix("203.0.113.1/24"), netip.MustParsePrefix("2001:db8::2/64"), netip.MustParsePrefix("fe80::2/64"))
	}
	for _, c := range []struct {
		name          string
		session       func(*model.BFDSession)
		link          func(*model.Link)
		source, fault string
	}{
		{"a peer that is this host", with("198.51.100.1"), addresses, "198.51.100.1", "peer 198.51.100.1 is an address of this host"},
		{"an address in the peer's network", func(*model.BFDSession) {}, addresses, "198.51.100.1", ""},
		{"a second network of the interface", with("203.0.113.77"), addresses, "203.0.113.1", ""},
		{"no network that the peer is in", with("10.9.9.9"), addresses, "198.51.100.1", ""},
		{"IPv6", with("2001:db8::1"), addresses, "2001:db8::2", ""},
		{"on the link alone", with("fe80::1"), addresses, "fe80::2", ""},
		{"none of the family", with("2001:db8::1"), func(*model.Link) {}, "invalid IP", "interface eth1 has no address of its own to reach 2001:db8::1 from"},
		{"a source of somebody else", func(s *model.BFDSession) { s.Source = netip.MustParseAddr("198.51.100.99") }, addresses, "198.51.100.99", "source 198.51.100.99 is no address of this host"},
		{"no interface", func(s *model.BFDSession) { s.Interface = "eth7" }, addresses, "invalid IP", "interface eth7 is missing"},
		{"one that is down", func(*model.BFDSession) {}, func(l *model.Link) { l.Up = false }, "invalid IP", "interface eth1 is down"},
	} {
		session := uplink
		c.session(&session)
		n := network("198.51.100.11")
		n.Links = slices.Clone(n.Links)
		i := slices.IndexFunc(n.Links, func(l model.Link) bool { return l.Name == "eth1" })
		n.Links[i].Prefixes = []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}
		c.link(&n.Links[i])
		want, _ := plan.Make(tracked(session, 0), model.Seen{Network: n, BFD: map[string]model.BFDSeen{"uplink": {State: model.BFDUp}}}, time.Time{})
		if got := want.BFD[0]; got.Source.String() != c.source || got.Fault != c.fault {
			t.Errorf("%s: from %s, %q", c.name, got.Source, got.Fault)
		}
		fault := ""
		if c.fault != "" {
			fault = "bfd uplink: " + c.fault
		}
		if got := want.VRRP[0].Fault; got != fault {
			t.Errorf("%s: the virtual router is in fault for %q, not %q", c.name, got, fault)
		}
	}
}

// TestSessionsThatAreMissedAreProblems, each with a way out.
func TestSessionsThatAreMissedAreProblems(t *testing.T) {
	for _, c := range []struct {
		seen model.BFDSeen
		want string
	}{
		{model.BFDSeen{Begins: true}, ""},
		{model.BFDSeen{State: model.BFDUp}, ""},
		{model.BFDSeen{State: model.BFDDown, Why: "no packet of 198.51.100.77 has come"}, "bfd uplink is down: no packet of 198.51.100.77 has come: look at 198.51.100.77, which must have 198.51.100.1 for its peer, one hop away on eth1, and let UDP port 3784 in on both (firewall)"},
		{model.BFDSeen{State: model.BFDInit, Why: "heard"}, "bfd uplink is not up: heard: look at 198.51.100.77, which must have 198.51.100.1 for its peer, one hop away on eth1, and let UDP port 3784 in on both (firewall)"},
		{model.BFDSeen{Off: true, Why: "198.51.100.77 has switched it off"}, "bfd uplink watches nobody: 198.51.100.77 has switched it off: switch it on again at 198.51.100.77; until then what tracks it takes it for well"},
		{model.BFDSeen{State: model.BFDUp, Unsaid: "operation not permitted"}, "bfd uplink cannot send: operation not permitted: let UDP to port 3784 out (firewall), and correct `peer:`; weir tries again by itself"},
	} {
		s := tracked(uplink, 0)
		s.VirtualRouters = nil
		want, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11"), BFD: map[string]model.BFDSeen{"uplink": c.seen}}, time.Time{})
		got := ""
		for _, p := range want.Problems {
			got += strings.Join([]string{p.What, p.Why, p.Fix}, ": ")
		}
		if got != c.want {
			t.Errorf("%+v: %q", c.seen, got)
		}
	}
}

// TestSessionThatGoesIsForgotten: another one of its name knows nothing.
func TestSessionThatGoesIsForgotten(t *testing.T) {
	seen := model.Seen{Network: network("198.51.100.11"), BFD: map[string]model.BFDSeen{"uplink": {Why: "stays"}, "old": {Why: "goes"}}}
	want, _ := plan.Make(tracked(uplink, 0), seen, time.Time{})
	if got := plan.Remember(seen, want, time.Time{}).BFD; len(got) != 1 || got["uplink"].Why != "stays" {
		t.Errorf("%+v", got)
	}
}
