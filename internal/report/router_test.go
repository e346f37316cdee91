// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
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
	in.Readings.VRRP = map[string]report.PacketCounts{"VI_1": {Sent: 1, Unsent: 4, Received: 2, Discarded: map[string]uint64{"ttl": 3}}}
	want := []report.Router{{
		Name: "VI_1", Interface: "eth0", ID: 51, Version: model.VRRP3, Advertise: 100 * time.Millisecond, State: model.VRRPBackup, Since: now,
		Why: "192.0.2.2 advertises 200; eth1 brings nothing", Priority: 100, Written: 150, Tracked: "eth1 is down (-50)", Group: "pair", Master: netip.MustParseAddr("192.0.2.2"), MasterPriority: 200,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}, Silent: "eth1 brings nothing", Held: "no witness answers", Conflict: "who?",
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
	all := tellEach(t, "a life", now, []report.Input{
		virtual(nil, "VI_1"), at(model.VRRPInit, 0), at(model.VRRPBackup, 1), at(model.VRRPBackup, 1), at(model.VRRPMaster, 5),
		at(model.VRRPFault, 7), at(model.VRRPBackup, 9), at(model.VRRPMaster, 12), conflict, conflict, at(model.VRRPMaster, 12), gone, at(model.VRRPMaster, 30),
	}, []string{
		"", "", "vrrp_backup VI_1", "", "vrrp_master VI_1",
		"vrrp_fault VI_1", "vrrp_backup VI_1", "vrrp_master VI_1", "vrrp_conflict_begin VI_1", "", "vrrp_conflict_end VI_1", "", "vrrp_master VI_1",
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
