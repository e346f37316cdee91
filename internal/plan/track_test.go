// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// outcome is what became of a virtual router by what it tracks.
type outcome struct {
	Priority                uint8
	Fault, Tracked, Unknown string
}

func outcomes(routers []model.VRRPWant) (out []outcome) {
	for _, r := range routers {
		out = append(out, outcome{r.Priority, r.Fault, r.Tracked, r.Unknown})
	}
	return out
}

func program(path string) model.TrackExec {
	return model.TrackExec{Check: model.Check{Ask: model.AskExec{Path: path}, Interval: time.Second}}
}

func numberIn(path string) model.TrackFile {
	return model.TrackFile{Check: model.Check{Ask: model.AskNumber{Path: path}, Interval: time.Second}}
}

// TestWhatIsTrackedChangesThePriorityOrIsAFault.
func TestWhatIsTrackedChangesThePriorityOrIsAFault(t *testing.T) {
	checked := server("198.51.100.11", model.DR)
	checked.Checks = model.Checks{Of: []model.Check{{Ask: model.AskTCP{}}}}
	s := spec("192.0.2.10", checked)
	web := model.TrackService{Name: "web0", Key: s.Services[0].Key}
	serverKey := s.Services[0].Asks(checked)[0]
	state := func(of model.CheckKey, h model.Health) func(*model.Seen) {
		return func(seen *model.Seen) { seen.Health = map[model.CheckKey]model.Health{of: h} }
	}
	asked := func(of model.Tracked, h model.Health) func(*model.Seen) {
		key, _ := model.Track{Of: of}.Asks()
		return state(key, h)
	}
	down := func(seen *model.Seen) {
		n := network("198.51.100.11")
		n.Links = append([]model.Link{}, n.Links...)
		n.Links[2].Up = false
		seen.Network = n
	}
	says := func(n int) func(*model.Seen) {
		return asked(numberIn("/run/n"), model.Health{State: model.HealthUp, Advice: model.Advice{Given: true, Weight: n}})
	}
	uplink := model.TrackRoute{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("203.0.113.1"), Interface: "eth1", Table: model.MainTable}
	routed := func(there bool) func(*model.Seen) {
		return func(seen *model.Seen) {
			seen.Network = network("198.51.100.11")
			seen.Network.Tracked = map[model.TrackRoute]bool{uplink: there}
		}
	}
	proxy := model.TrackProcess{Name: "haproxy", Quorum: 2, ForkDelay: 5 * time.Second}
	runs := func(count int, enough bool) func(*model.Seen) {
		return func(seen *model.Seen) {
			seen.Processes.Stand = map[model.TrackProcess]model.ProcessStands{proxy: {Count: count, Enough: enough}}
		}
	}
	bad := model.Health{State: model.HealthDown, Reason: "exec: exit code 1, 3 of 3"}
	good := func(*model.Seen) {}
	for _, c := range []struct {
		name string
		of   model.Tracked
		by   int
		seen func(*model.Seen)
		want outcome
	}{
		{"an interface that is up", model.TrackInterface{Name: "eth1"}, 0, good, outcome{Priority: 100}},
		{"one that is down", model.TrackInterface{Name: "eth1"}, 0, down, outcome{100, "interface eth1 is down", "interface eth1 is down", ""}},
		{"one that is missing", model.TrackInterface{Name: "eth7"}, -30, good, outcome{70, "", "interface eth7 is missing (-30)", ""}},
		{"a bonus that it has", model.TrackInterface{Name: "eth1"}, 30, good, outcome{Priority: 130}},
		{"a bonus that it has not", model.TrackInterface{Name: "eth1"}, 30, down, outcome{100, "", "interface eth1 is down (-30)", ""}},
		{"the least priority", model.TrackInterface{Name: "eth7"}, -253, good, outcome{1, "", "interface eth7 is missing (-253)", ""}},
		{"the most", model.TrackInterface{Name: "eth1"}, 253, good, outcome{Priority: 254}},
		{"servers of which nothing is known yet", web, 0, good, outcome{Priority: 100}},
		{"servers that are down", web, -20, state(serverKey, model.Health{State: model.HealthDown}), outcome{80, "", "service web0 has no server that is healthy (-20)", ""}},
		{"servers that are up", web, -20, state(serverKey, model.Health{State: model.HealthUp}), outcome{Priority: 100}},
		{"a program before its first answer", program("/etc/ask"), 0, good, outcome{Priority: 100}},
		{"one that says no", program("/etc/ask"), 0, asked(program("/etc/ask"), bad), outcome{100, "ask: exec: exit code 1, 3 of 3", "ask: exec: exit code 1, 3 of 3", ""}},
		{"one that cannot be run", program("/etc/ask"), -5, asked(program("/etc/ask"), model.Health{State: model.HealthDown, Reason: "no", Unable: "gone"}),
			outcome{95, "", "ask: no (-5)", "gone"}},
		{"no number yet", numberIn("/run/n"), 0, good, outcome{Priority: 100}},
		{"a number", numberIn("/run/n"), 0, says(-40), outcome{60, "", "/run/n says -40 (-40)", ""}},
		{"one that adds", numberIn("/run/n"), 0, says(40), outcome{Priority: 140}},
		{"one that is too large", numberIn("/run/n"), 0, says(1000), outcome{Priority: 254}},
		{"one that leaves nothing", numberIn("/run/n"), 0, says(-254), outcome{100, "/run/n says -254, which no priority can be lowered by",
			"/run/n says -254, which no priority can be lowered by", ""}},
		{"a route before anybody has looked", uplink, 0, good, outcome{Priority: 100}},
		{"one that is there", uplink, 0, routed(true), outcome{Priority: 100}},
		{"one that is gone", uplink, 0, routed(false), outcome{100, "no route 0.0.0.0/0 via 203.0.113.1 dev eth1", "no route 0.0.0.0/0 via 203.0.113.1 dev eth1", ""}},
		{"one that is worth something", uplink, -40, routed(false), outcome{60, "", "no route 0.0.0.0/0 via 203.0.113.1 dev eth1 (-40)", ""}},
		{"a process before anybody has looked", proxy, 0, good, outcome{Priority: 100}},
		{"one that runs", proxy, 0, runs(2, true), outcome{Priority: 100}},
		{"one that is worth something", proxy, 20, runs(2, true), outcome{Priority: 120}},
		{"one too few", proxy, -20, runs(1, false), outcome{80, "", "process haproxy runs 1 times, not 2 (-20)", ""}},
		{"one too few for a moment", proxy, -20, runs(1, true), outcome{Priority: 100}},
		{"enough for a moment", proxy, 0, runs(3, false), outcome{100, "process haproxy runs for less than 5s", "process haproxy runs for less than 5s", ""}},
		{"the only one", model.TrackProcess{Command: "/usr/sbin/bird\x00-f\x00", Quorum: 1}, 0, func(s *model.Seen) {
			s.Processes.Stand = map[model.TrackProcess]model.ProcessStands{{Command: "/usr/sbin/bird\x00-f\x00", Quorum: 1}: {}}
		}, outcome{100, "process /usr/sbin/bird -f does not run", "process /usr/sbin/bird -f does not run", ""}},
		{"processes that are hidden", proxy, 0, func(s *model.Seen) { s.Processes.Hidden = "hidden" }, outcome{100, "", "", "hidden"}},
		{"a path that is not there yet", model.TrackDataplane{}, 0, good, outcome{Priority: 100}},
		{"programs on interfaces", model.TrackDataplane{}, 0, func(s *model.Seen) {
			s.Attachments = []model.Attachment{{Interface: "eth0", Attached: true}, {Interface: "eth1", Attached: true}}
		}, outcome{Priority: 100}},
		{"none on one of them", model.TrackDataplane{}, -9, func(s *model.Seen) {
			s.Attachments = []model.Attachment{{Interface: "eth0", Attached: true}, {Interface: "eth1", Reason: "busy"}}
		}, outcome{91, "", "no packet is balanced on eth1: busy (-9)", ""}},
		{"a full table", model.TrackDataplane{}, -9, func(s *model.Seen) {
			s.TableHigh, s.Attachments = true, []model.Attachment{{Interface: "eth0", Attached: true}}
		}, outcome{91, "", "the connection table is nearly full (-9)", ""}},
	} {
		r := virtualRouter("VI_1", "192.0.2.10/24")
		r.Track = []model.Track{{Of: c.of, Weight: c.by}}
		s.VirtualRouters = []model.VirtualRouter{r}
		seen := model.Seen{Network: network("198.51.100.11")}
		c.seen(&seen)
		want, _ := plan.Make(s, seen, time.Time{})
		if diff := cmp.Diff([]outcome{c.want}, outcomes(want.VRRP)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if n, troubled := len(want.Problems), c.want.Tracked != "" || c.want.Unknown != ""; (n > 0) != troubled {
			t.Errorf("%s: %d problems: %+v", c.name, n, want.Problems)
		}
		if want.VRRP[0].Written != 100 {
			t.Errorf("%s: written is %d", c.name, want.VRRP[0].Written)
		}
	}
}

// TestGroupHasOnePriority, whichever of it tracks something, and what all track counts once.
func TestGroupHasOnePriority(t *testing.T) {
	lost, gone := model.Track{Of: model.TrackInterface{Name: "eth7"}, Weight: -30}, model.Track{Of: model.TrackInterface{Name: "eth8"}, Weight: -7}
	front, back, alone := virtualRouter("front", "192.0.2.10/24"), virtualRouter("back", "192.0.2.11/24"), virtualRouter("alone", "192.0.2.12/24")
	front.Group, back.Group = "pair", "pair"
	front.Track, back.Track = []model.Track{lost, gone}, []model.Track{lost}
	s := spec("192.0.2.10", server("198.51.100.11", model.DR))
	s.VirtualRouters = []model.VirtualRouter{front, back, alone}
	want, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11")}, time.Time{})
	both := outcome{63, "", "interface eth7 is missing (-30); interface eth8 is missing (-7)", ""}
	if diff := cmp.Diff([]outcome{both, both, {Priority: 100}}, outcomes(want.VRRP)); diff != "" {
		t.Error(diff)
	}
}

// TestAFileCountsOnce, however often members of a group read it.
func TestAFileCountsOnce(t *testing.T) {
	often, seldom := numberIn("/run/n"), numberIn("/run/n")
	seldom.Check.Interval = time.Minute
	says := model.Health{State: model.HealthUp, Advice: model.Advice{Given: true, Weight: -40}}
	front, back := virtualRouter("front", "192.0.2.10/24"), virtualRouter("back", "192.0.2.11/24")
	front.Group, back.Group = "pair", "pair"
	front.Track, back.Track = []model.Track{{Of: often}}, []model.Track{{Of: seldom}, {Of: numberIn("/run/other")}}
	s := spec("192.0.2.10", server("198.51.100.11", model.DR))
	s.VirtualRouters = []model.VirtualRouter{front, back}
	health := map[model.CheckKey]model.Health{{Check: often.Check}: says, {Check: seldom.Check}: says, {Check: numberIn("/run/other").Check}: says}
	want, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11"), Health: health}, time.Time{})
	both := outcome{20, "", "/run/n says -40 (-40); /run/other says -40 (-40)", ""}
	if diff := cmp.Diff([]outcome{both, both}, outcomes(want.VRRP)); diff != "" {
		t.Error(diff)
	}
}

// TestWhatIsTrackedIsAsked once, whoever tracks it.
func TestWhatIsTrackedIsAsked(t *testing.T) {
	front, back := virtualRouter("front", "192.0.2.10/24"), virtualRouter("back", "192.0.2.11/24")
	front.Track = []model.Track{{Of: program("/etc/ask")}, {Of: model.TrackDataplane{}}, {Of: numberIn("/run/n")}}
	back.Track = []model.Track{{Of: program("/etc/ask"), Weight: -5}}
	got := plan.Checks(model.Spec{VirtualRouters: []model.VirtualRouter{front, back}})
	want := []model.CheckKey{{Check: program("/etc/ask").Check}, {Check: numberIn("/run/n").Check}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v", got)
	}
}
