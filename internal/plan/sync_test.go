// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

var (
	lb2 = netip.MustParseAddr("192.0.2.3")
	lb3 = netip.MustParseAddr("192.0.2.4")
)

// shared is one service that moves with a virtual router, and shares its connections with these directors.
func shared(peers ...model.Addr) model.Spec {
	s := spec("192.0.2.10", server("198.51.100.11", model.DR))
	r := virtualRouter("VI_1", "192.0.2.10/24")
	r.Preempt = true
	s.VirtualRouters = []model.VirtualRouter{r}
	s.Sync = model.Sync{Interface: "eth0", Peers: peers, Port: 8849, KeyFile: "/etc/weir/sync.key"}
	return s
}

// host is a daemon's memory in a time of its own: plans are made when they are due, and when something is seen.
type host struct {
	t    *testing.T
	spec model.Spec
	seen model.Seen
	now  time.Time
	next time.Time
	log  []string
}

func newHost(t *testing.T, spec model.Spec) *host {
	h := &host{t: t, spec: spec, now: noon, seen: model.Seen{Network: network("198.51.100.11"), Sync: model.SyncSeen{Peers: map[model.Addr]model.SyncPeerSeen{}}}}
	h.plan()
	return h
}

func (h *host) plan() {
	var want model.Desired
	want, h.next = plan.Make(h.spec, h.seen, h.now)
	h.seen = plan.Remember(h.seen, want, h.now)
	line := fmt.Sprintf("preempts %t", want.VRRP[0].Preempt)
	if want.VRRP[0].Waits != "" {
		line += ": " + want.VRRP[0].Waits
	}
	if n := len(h.log); n == 0 || h.log[n-1][len("15:04:05 "):] != line {
		h.log = append(h.log, h.now.Format(time.TimeOnly)+" "+line)
	}
}

func (h *host) pass(d time.Duration) *host {
	for end := h.now.Add(d); ; h.plan() {
		if h.next.IsZero() || h.next.After(end) {
			h.now = end
			return h
		}
		h.now = h.next
	}
}

func (h *host) sees(peer model.Addr, s model.SyncState) *host {
	h.seen.Sync.Peers[peer] = model.SyncPeerSeen{State: s, Since: h.now}
	h.plan()
	return h
}

func (h *host) reads(want ...string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.log); diff != "" {
		h.t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNobodyTakesOverBeforeHeHasTheConnections(t *testing.T) {
	newHost(t, shared(lb2)).pass(time.Second).sees(lb2, model.SyncJoining).pass(10*time.Minute).sees(lb2, model.SyncReady).pass(time.Minute).reads(
		"12:00:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:00:01 preempts false: when connections are in sync: connections are not in sync with 192.0.2.3 yet",
		"12:10:01 preempts true")
}

func TestWhoSaysNothingIsWaitedForNotForLong(t *testing.T) {
	newHost(t, shared(lb2)).pass(time.Hour).reads(
		"12:00:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:00:30 preempts true")
	newHost(t, shared(lb2)).sees(lb2, model.SyncReady).pass(time.Minute).sees(lb2, model.SyncSilent).pass(time.Hour).reads(
		"12:00:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:00:00 preempts true",
		"12:01:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:01:30 preempts true")
}

func TestAllPeersAreWaitedFor(t *testing.T) {
	newHost(t, shared(lb2, lb3)).pass(time.Second).sees(lb3, model.SyncReady).pass(20*time.Second).sees(lb2, model.SyncJoining).
		pass(time.Minute).sees(lb2, model.SyncReady).reads(
		"12:00:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:00:21 preempts false: when connections are in sync: connections are not in sync with 192.0.2.3 yet",
		"12:01:21 preempts true")
}

func TestAPeerThatIsAddedIsWaitedForFromThenOn(t *testing.T) {
	h := newHost(t, shared(lb2)).sees(lb2, model.SyncReady).pass(time.Hour)
	h.spec = shared(lb2, lb3)
	h.plan()
	h.pass(time.Hour)
	h.spec = shared(lb2)
	h.plan()
	h.spec = shared(lb2, lb3)
	h.plan()
	h.pass(time.Hour).reads(
		"12:00:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:00:00 preempts true",
		"13:00:00 preempts false: when connections are in sync: 192.0.2.4 is silent, and waited for 30s",
		"13:00:30 preempts true",
		"14:00:00 preempts false: when connections are in sync: 192.0.2.4 is silent, and waited for 30s",
		"14:00:30 preempts true")
}

// TestWhoIsNoPeerAnyMoreIsForgotten, and so is how it stood, when it is one again.
func TestWhoIsNoPeerAnyMoreIsForgotten(t *testing.T) {
	h := newHost(t, shared(lb2, lb3)).sees(lb2, model.SyncReady).sees(lb3, model.SyncReady)
	published := h.seen.Sync.Peers
	h.spec = shared(lb2)
	h.plan()
	if got := h.seen.Sync.Peers; len(got) != 1 || got[lb2].State != model.SyncReady || len(published) != 2 {
		t.Errorf("it is known how these stand: %v; readers have %v", got, published)
	}
	h.spec = shared(lb2, lb3)
	h.plan()
	h.pass(time.Minute).reads(
		"12:00:00 preempts false: when connections are in sync: 192.0.2.3 is silent, and waited for 30s",
		"12:00:00 preempts false: when connections are in sync: 192.0.2.4 is silent, and waited for 30s",
		"12:00:00 preempts true",
		"12:00:00 preempts false: when connections are in sync: 192.0.2.4 is silent, and waited for 30s",
		"12:00:30 preempts true")
}

// TestWaitingIsForThosePreempting: who does not anyway needs no reason, and who has the addresses for his own no leave.
func TestWaitingIsForThosePreempting(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*model.Spec)
		want   string
	}{
		{"preempt: false", func(s *model.Spec) { s.VirtualRouters[0].Preempt = false }, "12:00:00 preempts false"},
		{"owner", func(s *model.Spec) { s.VirtualRouters[0].Priority = 255 }, "12:00:00 preempts true"},
		{"no peers", func(s *model.Spec) { s.Sync = model.Sync{} }, "12:00:00 preempts true"},
		{"directors of LVS alone", func(s *model.Spec) { s.Sync = model.Sync{IPVS: model.IPVSSync{Interface: "eth0"}} }, "12:00:00 preempts true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := shared(lb2)
			c.change(&s)
			newHost(t, s).pass(time.Hour).reads(c.want)
		})
	}
}

// TestPlansAreMadeWhenPeopleAreToBeToldOfAPeer, although nothing else happens.
func TestPlansAreMadeWhenPeopleAreToBeToldOfAPeer(t *testing.T) {
	h := newHost(t, shared(lb2))
	if want := noon.Add(model.SyncSilence); !h.next.Equal(want) {
		t.Errorf("the next plan is at %s, want %s", h.next, want)
	}
	if h.sees(lb2, model.SyncJoining); !h.next.Equal(noon.Add(model.SyncJoin)) {
		t.Errorf("the next plan is at %s, want a minute later", h.next)
	}
	if h.sees(lb2, model.SyncReady); !h.next.IsZero() {
		t.Errorf("the next plan is at %s, want none", h.next)
	}
}

func TestSyncIsWantedAsItIsWritten(t *testing.T) {
	both := shared(lb2).Sync
	both.IPVS = model.IPVSSync{Interface: "eth1", Send: true}
	change := func(c func(*model.Sync)) model.Sync {
		s := both
		c(&s)
		return s
	}
	missing := change(func(s *model.Sync) { s.Interface, s.IPVS.Interface = "eth7", "eth8" })
	here := change(func(s *model.Sync) { s.Peers = []model.Addr{lb2, eth1.Prefixes[0].Addr()} })
	source := change(func(s *model.Sync) { s.Source = lb3 })
	for _, c := range []struct {
		sync model.Sync
		seen model.SyncSeen
		want model.SyncWant
		why  []string
	}{
		{model.Sync{}, model.SyncSeen{}, model.SyncWant{}, nil},
		{both, model.SyncSeen{}, model.SyncWant{Sync: both, Link: 2, IPVSLink: 3}, nil},
		{both, model.SyncSeen{Fault: "it is in use", IPVSFault: "no group"}, model.SyncWant{Sync: both, Link: 2, IPVSLink: 3}, []string{"it is in use", "no group"}},
		{
			missing, model.SyncSeen{Fault: "another reason"},
			model.SyncWant{Sync: missing, Fault: "interface eth7 is missing", IPVSFault: "interface eth8 is missing"},
			[]string{"interface eth7 is missing", "interface eth8 is missing"},
		},
		{
			here, model.SyncSeen{}, model.SyncWant{Sync: here, Link: 2, IPVSLink: 3, Fault: "peer 198.51.100.1 is an address of this host"},
			[]string{"peer 198.51.100.1 is an address of this host"},
		},
		{
			source, model.SyncSeen{}, model.SyncWant{Sync: source, Link: 2, IPVSLink: 3, Fault: "source 192.0.2.4 is no address of this host"},
			[]string{"source 192.0.2.4 is no address of this host"},
		},
	} {
		s := shared()
		s.Sync, c.want.Revision = c.sync, s.Revision
		got, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11"), Sync: c.seen}, noon)
		if diff := cmp.Diff(c.want, got.Sync, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		var why []string
		for _, p := range got.Problems {
			if p.What == "connections are not shared with other directors" || p.What == "connections are not shared with directors of LVS" {
				why = append(why, p.Why)
			}
		}
		if diff := cmp.Diff(c.why, why); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
	}
}

// TestWhoOutranksWaitsUntilServicesAreLeft: one that takes over from a director who lives serves when that one has told all
// and left, by its own word, or after a second.
func TestWhoOutranksWaitsUntilServicesAreLeft(t *testing.T) {
	outranks := model.VRRPSeen{State: model.VRRPMaster, Since: noon, Outranks: true}
	says := func(role string) model.SyncPeerSeen {
		return model.SyncPeerSeen{State: model.SyncReady, Since: noon.Add(-time.Minute), Role: role, RoleSince: noon.Add(-time.Minute)}
	}
	lately := func(p model.SyncPeerSeen) model.SyncPeerSeen {
		p.RoleSince = noon.Add(time.Millisecond)
		return p
	}
	for _, c := range []struct {
		what   string
		turn   model.VRRPSeen
		peer   model.SyncPeerSeen
		at     time.Duration
		change func(*model.Spec, *model.Seen)
		waits  bool
	}{
		{"it serves", outranks, says("master"), 0, nil, true},
		{"it serves for long", outranks, says("master"), time.Second - 1, nil, true},
		{"it does not leave", outranks, says("master"), time.Second, nil, false},
		{"it has left", outranks, lately(says("backup")), 2 * time.Millisecond, nil, false},
		{"it did not serve", outranks, says("backup"), 0, nil, false},
		{"it goes on with another one", outranks, lately(says("mixed")), 2 * time.Millisecond, second, false},
		{"it has both still", outranks, says("master"), 2 * time.Millisecond, second, true},
		{"it had others before", outranks, says("mixed"), 2 * time.Millisecond, second, true},
		{"it has left, and a third one has another one", outranks, lately(says("backup")), 2 * time.Millisecond, third, false},
		{"it has not, and a third one has another one", outranks, says("backup"), 2 * time.Millisecond, third, true},
		{"it has left the one, and both are wanted", outranks, lately(says("mixed")), 2 * time.Millisecond, both, true},
		{"it is dead", model.VRRPSeen{State: model.VRRPMaster, Since: noon}, says("master"), 0, nil, false},
		{"it has not told all", outranks, model.SyncPeerSeen{State: model.SyncJoining, Role: "master"}, 0, nil, false},
		{"it says nothing", outranks, model.SyncPeerSeen{}, 0, nil, false},
		{"the first advert has brought the MAC here", outranks, says("master"), 0, func(s *model.Spec, _ *model.Seen) { s.VirtualRouters[0].VirtualMAC = true }, false},
		{"it is served here already", outranks, says("master"), 0, func(_ *model.Spec, seen *model.Seen) { seen.Balanced = map[string]bool{"VI_1": true} }, false},
	} {
		s := shared(lb2)
		seen := model.Seen{Network: network("198.51.100.11"), VRRP: map[string]model.VRRPSeen{"VI_1": c.turn},
			Sync: model.SyncSeen{Peers: map[model.Addr]model.SyncPeerSeen{lb2: c.peer}}}
		if c.change != nil {
			c.change(&s, &seen)
		}
		want, next := plan.Make(s, seen, noon.Add(c.at))
		if got := !want.Dataplane.Routers["VI_1"]; got != c.waits {
			t.Errorf("%s: it waits: %t", c.what, got)
		}
		if end := noon.Add(time.Second); c.waits && !next.Equal(end) {
			t.Errorf("%s: the next plan is due at %s, not %s", c.what, next, end)
		}
	}
}

// second is a virtual router besides, of which the other director stays master.
func second(s *model.Spec, seen *model.Seen) {
	s.VirtualRouters = append(s.VirtualRouters, virtualRouter("VI_2", "192.0.2.20/24"))
	seen.VRRP["VI_2"] = model.VRRPSeen{State: model.VRRPBackup, Since: noon}
}

// third is a director that is master of the second one, and stays it.
func third(s *model.Spec, seen *model.Seen) {
	second(s, seen)
	s.Sync.Peers = append(s.Sync.Peers, lb3)
	seen.Sync.Peers[lb3] = model.SyncPeerSeen{State: model.SyncReady, Role: "mixed", RoleSince: noon.Add(-time.Minute)}
}

// both are taken over at the same time.
func both(s *model.Spec, seen *model.Seen) {
	second(s, seen)
	seen.VRRP["VI_2"] = seen.VRRP["VI_1"]
}
