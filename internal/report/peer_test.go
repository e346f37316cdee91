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

var (
	lb2 = netip.MustParseAddr("192.0.2.3")
	lb3 = netip.MustParseAddr("192.0.2.4")
)

// sharing is a director that has shared its connections with lb2 for an hour, which stands so since some time ago.
func sharing(state model.SyncState, ago time.Duration, why string) report.Input {
	in := healthy()
	in.Desired.Sync.Sync = model.Sync{Interface: "eth0", Peers: []model.Addr{lb2}, Port: 8849, KeyFile: "/etc/weir/sync.key"}
	in.Seen.PeerSince = map[model.Addr]time.Time{lb2: now.Add(-time.Hour)}
	in.Seen.Sync.Peers = map[model.Addr]model.SyncPeerSeen{lb2: {State: state, Since: now.Add(-ago), Why: why}}
	return in
}

// others is one whose peer has other services.
func others() report.Input {
	in := sharing(model.SyncReady, time.Hour, "")
	p := in.Seen.Sync.Peers[lb2]
	p.Other = true
	in.Seen.Sync.Peers[lb2] = p
	return in
}

// foreign is one whose peer speaks no version that this one does.
func foreign() report.Input {
	in := sharing(model.SyncSilent, time.Minute, "it speaks other versions (newest 2)")
	p := in.Seen.Sync.Peers[lb2]
	p.Foreign = 2
	in.Seen.Sync.Peers[lb2] = p
	return in
}

func TestPeersSayHowTheyStand(t *testing.T) {
	in := sharing(model.SyncReady, time.Minute, "all slices agree")
	in.Desired.Sync.Peers = append(in.Desired.Sync.Peers, lb3)
	in.Desired.Sync.IPVS = model.IPVSSync{Interface: "eth0", Group: netip.MustParseAddrPort("224.0.0.81:8848")}
	in.Seen.PeerSince[lb3] = now.Add(-time.Second)
	p := in.Seen.Sync.Peers[lb2]
	p.Role = "master"
	in.Seen.Sync.Peers[lb2] = p
	counts := report.SyncCounts{Lag: time.Second, Queue: 2, Sent: 3, Refused: map[string]uint64{"key": 4}, Rejected: map[model.Refusal]uint64{model.RefusedFull: 5}}
	in.Readings.Sync = report.SyncReadings{Peers: map[model.Addr]report.SyncCounts{lb2: counts}, IPVS: report.SyncCounts{Sent: 6}}
	want := []report.Peer{
		{Name: "192.0.2.3", Dialect: report.DialectWeir, State: report.PeerInSync, Since: now.Add(-time.Minute), Why: "all slices agree", Role: "master", Counts: counts},
		{Name: "192.0.2.4", Dialect: report.DialectWeir, State: report.PeerSilent, Since: now.Add(-time.Second)},
		{Name: "224.0.0.81:8848", Dialect: report.DialectIPVS, State: report.PeerOpen, Counts: report.SyncCounts{Sent: 6}},
	}
	if diff := cmp.Diff(want, report.Make(in).Peers); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	in.Seen.Sync.Fault, in.Desired.Sync.IPVSFault = "no socket", "interface eth0 is down"
	for i, p := range report.Make(in).Peers {
		if why := []string{"no socket", "no socket", "interface eth0 is down"}[i]; p.State != report.PeerFault || p.Why != why {
			t.Errorf("%s is %s: %s", p.Name, p.State, p.Why)
		}
	}
}

func TestTroublesWithPeersAreProblems(t *testing.T) {
	const link = "look at the link between the two; `weir sync -o wide` counts what is lost"
	const reach = "look whether weir runs there, has this host among its `peers:`, and is let in by firewalls (udp port 8849)"
	silent := func(why, fix string) []model.Problem {
		return []model.Problem{{What: "director 192.0.2.3 is silent: connections are not shared with it", Why: why, Fix: fix}}
	}
	for _, c := range []struct {
		name   string
		in     report.Input
		lately report.SyncCounts
		want   []model.Problem
	}{
		{"in sync", sharing(model.SyncReady, time.Hour, ""), report.SyncCounts{Refused: map[string]uint64{"key": 9, "seal": 1}, Lost: 7}, nil},
		{"silent for a moment", sharing(model.SyncSilent, 9*time.Second, ""), report.SyncCounts{}, nil},
		{"silent", sharing(model.SyncSilent, 10500*time.Millisecond, ""), report.SyncCounts{}, silent("nothing was heard of it, for 10s", reach)},
		{"silent since", sharing(model.SyncSilent, time.Minute, "its last word was that it ends"), report.SyncCounts{}, silent("its last word was that it ends, for 1m0s", reach)},
		{
			"of another key", sharing(model.SyncSilent, time.Minute, ""), report.SyncCounts{Refused: map[string]uint64{"key": 1200, "seal": 34}},
			silent("what comes from it is sealed with another key: 1,234 datagrams of late", "have the same keys in /etc/weir/sync.key on both directors, and run `weir reload` there"),
		},
		{
			"of another version", sharing(model.SyncSilent, time.Minute, ""), report.SyncCounts{Refused: map[string]uint64{"version": 1}},
			silent("it speaks a version that this one does not", "run the same weir on both"),
		},
		{
			"that speaks other versions", foreign(), report.SyncCounts{Refused: map[string]uint64{"key": 3}},
			silent("it speaks other versions (newest 2), for 1m0s", "run the same weir on both"),
		},
		{"joining", sharing(model.SyncJoining, 59*time.Second, "12 of 256 slices are not here yet"), report.SyncCounts{}, nil},
		{
			"joining for ever", sharing(model.SyncJoining, 90*time.Second, "12 of 256 slices are not here yet"), report.SyncCounts{},
			[]model.Problem{{What: "director 192.0.2.3 is not in sync with this one", Why: "12 of 256 slices are not here yet, for 1m30s", Fix: link}},
		},
		{
			"other services", sharing(model.SyncReady, time.Hour, ""),
			report.SyncCounts{Rejected: map[model.Refusal]uint64{model.RefusedServer: 1000, model.RefusedService: 2, model.RefusedFull: 4, model.RefusedBusy: 5}},
			[]model.Problem{{
				What: "director 192.0.2.3 tells of connections that have no place here: 1,002 of late",
				Why:  "no service here has this address, port and protocol (2); the service has no such server here, or reaches it by another method (1,000)",
				Fix:  "give both directors the same services, servers and forwarding methods, and run `weir reload`",
			}},
		},
		{
			"other services, and no connection yet", others(), report.SyncCounts{},
			[]model.Problem{{
				What: "director 192.0.2.3 has other services or servers than this one",
				Why:  "connections of those that only one of the two has are lost at a takeover",
				Fix:  "give both directors the same services, servers and forwarding methods, and run `weir reload`",
			}},
		},
		{
			"too fast", sharing(model.SyncReady, time.Hour, ""), report.SyncCounts{Dropped: 5000},
			[]model.Problem{{
				What: "director 192.0.2.3 is told of connections late: 5,000 changes of late found no room in the queue",
				Why:  "connections change faster than it, or the link to it, takes that in",
				Fix:  "look at the link and at its CPU; what is missing there is told when slices are compared, within seconds",
			}},
		},
	} {
		c.in.Readings.Sync.Lately = report.SyncLately{lb2: c.lately}
		if diff := cmp.Diff(c.want, report.Make(c.in).Problems); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
		c.in.Seen.Sync.Fault = "no socket" // of which the plan tells
		if got := report.Make(c.in).Problems; len(got) > 0 {
			t.Errorf("%s: without a socket there are problems with a peer: %v", c.name, got)
		}
	}
}

// TestAPeerThatWasNeverHeardIsSilentSinceItIsOne, not since ever.
func TestAPeerThatWasNeverHeardIsSilentSinceItIsOne(t *testing.T) {
	in := sharing(0, 0, "")
	in.Seen.Sync.Peers = nil
	in.Seen.PeerSince[lb2] = now.Add(-5 * time.Second)
	if got := report.Make(in).Problems; len(got) > 0 {
		t.Errorf("problems after 5s: %v", got)
	}
	in.Now = now.Add(6 * time.Second)
	if got := report.Make(in).Problems; len(got) != 1 || got[0].Why != "nothing was heard of it, for 11s" {
		t.Errorf("problems after 11s: %v", got)
	}
}

func TestNewsOfPeers(t *testing.T) {
	at := func(state model.SyncState, since, second int) report.Input {
		in := sharing(state, 0, "so it is")
		in.Now = now.Add(time.Duration(second) * time.Second)
		in.Seen.Sync.Peers[lb2] = model.SyncPeerSeen{State: state, Since: now.Add(time.Duration(since) * time.Second), Why: "so it is"}
		return in
	}
	const silent, joining, ready = model.SyncSilent, model.SyncJoining, model.SyncReady
	all := tellEach(t, "a life", now, []report.Input{
		at(silent, 0, 0), at(joining, 2, 2), at(ready, 4, 4), at(ready, 4, 5), at(joining, 6, 7), at(ready, 8, 8),
		at(silent, 20, 20), at(silent, 20, 30), at(silent, 20, 40), at(joining, 50, 50), at(ready, 55, 55),
		at(joining, 60, 60), at(joining, 60, 120), healthy(), at(silent, 200, 200), at(silent, 200, 210),
	}, []string{
		"", "", "sync_ready 192.0.2.3", "", "", "",
		"", "sync_lost 192.0.2.3", "", "", "sync_ready 192.0.2.3",
		"", "sync_lost 192.0.2.3", "", "", "sync_lost 192.0.2.3",
	})
	if len(all) < 3 {
		t.FailNow()
	}
	if e := all[0]; !e.Time.Equal(now.Add(4*time.Second)) || !e.Since.IsZero() || e.Severity() != model.Info || e.Kind.Begins() {
		t.Errorf("it is there: %+v", e)
	}
	if e := all[1]; !e.Time.Equal(now.Add(30*time.Second)) || e.Reason != "so it is, for 10s" || e.Severity() != model.Warning || !e.Kind.Begins() || !e.Since.IsZero() {
		t.Errorf("it is gone: %+v", e)
	}
	if e := all[2]; !e.Since.Equal(now.Add(30*time.Second)) || !e.Time.Equal(now.Add(55*time.Second)) {
		t.Errorf("it is back: %+v", e)
	}
}

func TestSyncMemoryKnowsWhatWasCountedLately(t *testing.T) {
	var memory report.SyncMemory
	for second := 0; second <= 600; second += 2 {
		n := uint64(min(second, 300)) // nothing more after five minutes
		counts := map[model.Addr]report.SyncCounts{lb2: {
			Queue: 3, Sent: 10 * n, Dropped: n, Refused: map[string]uint64{"key": n}, Rejected: map[model.Refusal]uint64{model.RefusedFull: 2 * n},
		}}
		got := memory.Lately(now.Add(time.Duration(second)*time.Second), counts)[lb2]
		// Lately is from two minutes to ten seconds more.
		least, most := n-min(n, uint64(max(0, second-120))), n-min(n, uint64(max(0, second-130)))
		if got.Dropped < least || got.Dropped > most || got.Sent != 10*got.Dropped || got.Refused["key"] != got.Dropped || got.Rejected[model.RefusedFull] != 2*got.Dropped || got.Queue != 3 {
			t.Fatalf("after %ds: %+v, want %d to %d dropped", second, got, least, most)
		}
	}
	again := map[model.Addr]report.SyncCounts{lb2: {Sent: 4, Refused: map[string]uint64{"key": 1}}, lb3: {Sent: 5}}
	got := memory.Lately(now.Add(602*time.Second), again)
	if got[lb2].Sent != 4 || got[lb2].Refused["key"] != 1 || got[lb3].Sent != 5 {
		t.Errorf("of those that have begun anew: %+v", got)
	}
}

// TestWhoWaitsForConnectionsSaysSo beside why it is a backup.
func TestWhoWaitsForConnectionsSaysSo(t *testing.T) {
	master := netip.MustParseAddr("192.0.2.3")
	for _, c := range []struct {
		seen model.VRRPSeen
		want string
	}{
		{
			model.VRRPSeen{State: model.VRRPBackup, Why: "it has just begun", Master: master, Priority: 50},
			"it has just begun; it takes over when connections are in sync: connections are not in sync with 192.0.2.3 yet",
		},
		{model.VRRPSeen{State: model.VRRPBackup, Why: "it has just begun", Master: master, Priority: 150}, "it has just begun"},
		{model.VRRPSeen{State: model.VRRPBackup, Why: "it has just begun"}, "it has just begun"},
		{model.VRRPSeen{State: model.VRRPMaster, Why: "nobody else is there"}, "nobody else is there"},
	} {
		in := virtual(map[string]model.VRRPSeen{"VI_1": c.seen}, "VI_1")
		in.Desired.VRRP[0].Waits = "when connections are in sync: connections are not in sync with 192.0.2.3 yet"
		if got := report.Make(in).Routers[0].Why; got != c.want {
			t.Errorf("%+v: %s", c.seen, got)
		}
	}
}
