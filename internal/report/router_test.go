// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// virtual is a director in virtual routers of these names, as it sees them.
func virtual(seen map[string]model.VRRPSeen, names ...string) report.Input {
	in := healthy()
	in.Seen.VRRP = seen
	for _, name := range names {
		in.Desired.VRRP = append(in.Desired.VRRP, model.VRRPWant{Link: 2, VirtualRouter: model.VirtualRouter{
			Name: name, Interface: "eth0", ID: 51, Version: model.VRRP3, Priority: 100, Advertise: 100 * time.Millisecond,
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}}})
	}
	return in
}

func states(states ...model.VRRPState) map[string]model.VRRPSeen {
	out := map[string]model.VRRPSeen{}
	for i, s := range states {
		out[string(rune('a'+i))] = model.VRRPSeen{State: s}
	}
	return out
}

func TestRoleIsThatOfAllVirtualRouters(t *testing.T) {
	const master, backup, fault = model.VRRPMaster, model.VRRPBackup, model.VRRPFault
	for _, c := range []struct {
		seen  map[string]model.VRRPSeen
		names []string
		want  report.Role
	}{
		{nil, nil, report.Single},
		{states(), []string{"a"}, report.Backup},
		{states(master), []string{"a"}, report.Master},
		{states(master, master), []string{"a", "b"}, report.Master},
		{states(backup, backup), []string{"a", "b"}, report.Backup},
		{states(master, backup), []string{"a", "b"}, report.Mixed},
		{states(fault, master), []string{"a", "b"}, report.Mixed},
		{states(fault), []string{"a"}, report.Backup},
		{states(master), nil, report.Single}, // none is wanted any more
	} {
		if got := report.Make(virtual(c.seen, c.names...)).Role; got != c.want {
			t.Errorf("%v: %s, want %s", c.seen, got, c.want)
		}
	}
}

func TestRoutersSayHowTheyStand(t *testing.T) {
	in := virtual(map[string]model.VRRPSeen{"VI_1": {
		State: model.VRRPBackup, Since: now, Why: "192.0.2.2 advertises 200", Master: netip.MustParseAddr("192.0.2.2"), Priority: 200, Silent: "eth1 brings nothing", Held: "no witness answers", Conflict: "who?",
	}}, "VI_1")
	in.Desired.VRRP[0].Written, in.Desired.VRRP[0].Tracked, in.Desired.VRRP[0].Group = 150, "eth1 is down (-50)", "pair"
	in.Readings.Mastered = map[string]uint64{"VI_1": 5}
	in.Readings.VRRP = map[string]report.PacketCounts{"VI_1": {Sent: 1, Unsent: 4, Received: 2, Discarded: map[string]uint64{"ttl": 3}}}
	want := []report.Router{{
		Name: "VI_1", Interface: "eth0", ID: 51, Version: model.VRRP3, Advertise: 100 * time.Millisecond, State: model.VRRPBackup, Since: now,
		Why: "192.0.2.2 advertises 200; eth1 brings nothing", Priority: 100, Written: 150, Tracked: "eth1 is down (-50)", Group: "pair", Master: netip.MustParseAddr("192.0.2.2"), MasterPriority: 200,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}, Silent: "eth1 brings nothing", Held: "no witness answers", Conflict: "who?", Mastered: 5,
		Counts: report.PacketCounts{Sent: 1, Unsent: 4, Received: 2, Discarded: map[string]uint64{"ttl": 3}},
	}}
	same := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, report.Make(in).Routers, same); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestABackupStarvesNobody: what it does not serve, another one does.
func TestABackupStarvesNobody(t *testing.T) {
	in := virtual(states(model.VRRPBackup), "a")
	for i := range in.Desired.Dataplane.Services[0].Servers {
		in.Desired.Dataplane.Services[0].Servers[i].Weight = 0
		in.Spec.Services[0].Servers[i].Weight = 0
	}
	if got := report.Make(in).Problems; len(got) != 1 {
		t.Fatalf("%d problems, want one that no server takes connections: %v", len(got), got)
	}
	in.Desired.Dataplane.Services[0].Serving = false
	if got := report.Make(in).Problems; len(got) != 0 {
		t.Errorf("problems of a backup: %v", got)
	}
}

func TestNewsOfVirtualRouters(t *testing.T) {
	at := func(state model.VRRPState, second int) report.Input {
		seen := model.VRRPSeen{State: state, Since: now.Add(time.Duration(second) * time.Second), Why: "so it is"}
		in := virtual(map[string]model.VRRPSeen{"VI_1": seen}, "VI_1")
		in.Now = seen.Since.Add(time.Millisecond)
		return in
	}
	conflict := at(model.VRRPMaster, 20)
	conflict.Seen.VRRP["VI_1"] = model.VRRPSeen{State: model.VRRPMaster, Since: conflict.Now, Conflict: "192.0.2.9 advertises"}
	gone := healthy()
	gone.Turns = []model.VRRPTurn{{Name: "VI_1", Priority: 100, Seen: model.VRRPSeen{Since: now.Add(25 * time.Second), Why: "it is not configured any more"}, Over: true}}
	all := tellEach(t, "a life", now, []report.Input{
		virtual(nil, "VI_1"), at(model.VRRPInit, 0), at(model.VRRPBackup, 1), at(model.VRRPBackup, 1), at(model.VRRPMaster, 5),
		at(model.VRRPFault, 7), at(model.VRRPBackup, 9), at(model.VRRPMaster, 12), conflict, conflict, at(model.VRRPMaster, 12), gone, at(model.VRRPMaster, 30),
	}, []string{
		"", "", "vrrp_backup VI_1", "", "vrrp_master VI_1",
		"vrrp_fault VI_1", "vrrp_backup VI_1", "vrrp_master VI_1", "vrrp_conflict_begin VI_1", "", "vrrp_conflict_end VI_1", "vrrp_stop VI_1", "vrrp_master VI_1",
	})
	if e := all[0]; !e.Since.IsZero() || e.Was != model.VRRPInit || e.Severity() != model.Info {
		t.Errorf("it begins: %+v", e)
	}
	e := all[1]
	if !e.Time.Equal(now.Add(5*time.Second)) || !e.Since.Equal(now.Add(time.Second)) || e.Was != model.VRRPBackup || e.Reason != "so it is" || e.Priority != 100 || e.Severity() != model.Warning {
		t.Errorf("it takes over: %+v", e)
	}
	if e := all[5]; e.Reason != "192.0.2.9 advertises" || e.Severity() != model.Critical || !e.Time.Equal(conflict.Now) {
		t.Errorf("it is in conflict: %+v", e)
	}
	if e := all[6]; !e.Since.Equal(conflict.Now) {
		t.Errorf("the conflict is over: %+v", e)
	}
	if e := all[7]; e.Was != model.VRRPMaster || !e.Since.Equal(now.Add(12*time.Second)) || !e.Time.Equal(now.Add(25*time.Second)) || e.Priority != 100 || e.Severity() != model.Warning {
		t.Errorf("it ends: %+v", e)
	}
}

// TestEachTurnIsTold, however many there were between two plans, and also of a virtual router that nobody wants any more.
func TestEachTurnIsTold(t *testing.T) {
	turn := func(name string, second int, state model.VRRPState) model.VRRPTurn {
		return model.VRRPTurn{Name: name, Priority: 100, Seen: model.VRRPSeen{State: state, Since: now.Add(time.Duration(second) * time.Second), Why: "so it is"}}
	}
	over := func(turn model.VRRPTurn) model.VRRPTurn { turn.Over = true; return turn }
	const master, backup, fault, none = model.VRRPMaster, model.VRRPBackup, model.VRRPFault, model.VRRPInit
	at := func(turns ...model.VRRPTurn) report.Input {
		in := virtual(map[string]model.VRRPSeen{}, "a", "b")
		in.Turns = turns
		for _, turn := range turns {
			in.Seen.VRRP[turn.Name] = turn.Seen
		}
		return in
	}
	removed := healthy()
	later := removed
	later.Turns = []model.VRRPTurn{over(turn("a", 30, none))}
	began := at(turn("a", 0, backup), turn("b", 0, backup))
	still := began
	still.Turns = nil
	all := tellEach(t, "rises and yields", now, []report.Input{
		began, at(turn("a", 1, master), turn("b", 1, master), turn("a", 2, backup), turn("b", 2, backup)), still, removed, later, later,
	}, []string{
		"vrrp_backup a, vrrp_backup b", "vrrp_master a, vrrp_master b, vrrp_backup a, vrrp_backup b", "", "", "vrrp_stop a", "",
	})
	if e := all[4]; e.Was != master || !e.Since.Equal(now.Add(time.Second)) || !e.Time.Equal(now.Add(2*time.Second)) {
		t.Errorf("it yields: %+v", e)
	}
	if e := all[6]; e.Was != backup || !e.Since.Equal(now.Add(2*time.Second)) {
		t.Errorf("it ends: %+v", e)
	}
	tellEach(t, "it becomes another one", now, []report.Input{began, at(over(turn("a", 3, none)), turn("a", 4, backup))},
		[]string{"vrrp_backup a, vrrp_backup b", "vrrp_stop a, vrrp_backup a"})
	tellEach(t, "it has not begun", now, []report.Input{at(turn("a", 0, none)), at(over(turn("a", 1, none)))}, []string{"", ""})
	all = tellEach(t, "a fault is over before it may begin", now, []report.Input{at(turn("a", 0, fault)), at(turn("a", 1, none)), at(turn("a", 5, backup))},
		[]string{"vrrp_fault a", "", "vrrp_backup a"})
	if e := all[1]; e.Was != fault || !e.Since.Equal(now) {
		t.Errorf("it begins at last: %+v", e)
	}
}

// TestAGroupIsToldWithItsLast that becomes so, and not again where only a part of it was something else meanwhile.
func TestAGroupIsToldWithItsLast(t *testing.T) {
	const master, backup, fault, none = model.VRRPMaster, model.VRRPBackup, model.VRRPFault, model.VRRPInit
	at := func(turns ...model.VRRPTurn) report.Input {
		in := virtual(map[string]model.VRRPSeen{}, "a", "b", "c")
		in.Desired.VRRP[0].Group, in.Desired.VRRP[2].Group = "pair", "pair"
		in.Turns = turns
		return in
	}
	turn := func(name string, state model.VRRPState) model.VRRPTurn {
		return model.VRRPTurn{Name: name, Seen: model.VRRPSeen{State: state, Since: now}, Over: state == none}
	}
	var told report.Told
	for i, c := range []struct {
		in   report.Input
		want string
	}{
		{at(turn("a", backup), turn("b", backup), turn("c", backup)), "vrrp_backup a, vrrp_backup b, vrrp_backup c of pair"},
		{at(turn("b", master), turn("a", master)), "vrrp_master b, vrrp_master a"},
		{at(turn("a", backup)), "vrrp_backup a"},
		{at(turn("c", master), turn("a", master), turn("a", fault), turn("c", fault)), "vrrp_master c, vrrp_master a of pair, vrrp_fault a, vrrp_fault c of pair"},
		{at(turn("c", none), turn("b", none), turn("a", none)), "vrrp_stop c, vrrp_stop b, vrrp_stop a of pair"},
	} {
		for _, turn := range c.in.Turns {
			c.in.Seen.VRRP[turn.Name] = turn.Seen
		}
		for name, of := range told.Routers {
			if _, turned := c.in.Seen.VRRP[name]; !turned {
				c.in.Seen.VRRP[name] = model.VRRPSeen{State: of.State, Since: of.Since}
			}
		}
		var events []model.Event
		events, told = report.News(told, c.in, now)
		got := []string{}
		for _, e := range events {
			text := string(e.Kind) + " " + e.Router
			if e.Group != "" {
				text += " of " + e.Group
			}
			got = append(got, text)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("step %d: %q, want %q", i, text, c.want)
		}
	}
}

// TestNewsOfWhatKeepsAVirtualRouterFromTwoMasters: it is told once, and when it is over.
func TestNewsOfWhatKeepsAVirtualRouterFromTwoMasters(t *testing.T) {
	at := func(seen model.VRRPSeen) report.Input {
		seen.State, seen.Since = model.VRRPBackup, now
		return virtual(map[string]model.VRRPSeen{"VI_1": seen}, "VI_1")
	}
	all := tellEach(t, "a night", now, []report.Input{
		at(model.VRRPSeen{}), at(model.VRRPSeen{Silent: "eth1 brings nothing"}), at(model.VRRPSeen{Silent: "eth1 brings nothing; no witness answers"}),
		at(model.VRRPSeen{Held: "no witness answers"}), at(model.VRRPSeen{Held: "somebody answers"}), at(model.VRRPSeen{}),
	}, []string{
		"vrrp_backup VI_1", "vrrp_silent_begin VI_1", "", "vrrp_held_begin VI_1, vrrp_silent_end VI_1", "", "vrrp_held_end VI_1",
	})
	if e := all[1]; e.Reason != "eth1 brings nothing" || e.Severity() != model.Warning {
		t.Errorf("%+v", e)
	}
	if e := all[2]; e.Reason != "no witness answers" || e.Severity() != model.Critical {
		t.Errorf("%+v", e)
	}
}
