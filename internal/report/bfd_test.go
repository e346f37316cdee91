// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// TestSessionsAreThoseOfThePlan, in its order, with what was seen and counted of each; what is nobody's stands apart.
func TestSessionsAreThoseOfThePlan(t *testing.T) {
	peer, own, since := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)
	counts := report.PacketCounts{Sent: 1, Unsent: 2, Received: 3, Discarded: map[string]uint64{"ttl": 4}}
	in := report.Input{
		Desired: model.Desired{BFD: []model.BFDWant{
			{BFDSession: model.BFDSession{Name: "new", Interface: "eth1", Peer: peer}},
			{BFDSession: model.BFDSession{Name: "uplink", Interface: "eth0", Peer: peer, Source: own}},
		}},
		Seen: model.Seen{BFD: map[string]model.BFDSeen{
			"uplink": {State: model.BFDUp, Since: since, Why: "heard", Interval: time.Second, Detects: 3 * time.Second}, "old": {State: model.BFDUp},
		}},
		Readings: report.Readings{BFD: report.BFDReadings{Sessions: map[string]report.PacketCounts{"uplink": counts, "old": counts}, Strangers: map[string]uint64{"session": 5}}},
	}
	got := report.Make(in)
	want := []report.Session{
		{Name: "new", Interface: "eth1", Peer: peer},
		{Name: "uplink", Interface: "eth0", Peer: peer, Source: own, State: model.BFDUp, Since: since, Why: "heard", Interval: time.Second, Detects: 3 * time.Second, Counts: counts},
	}
	if diff := cmp.Diff(want, got.Sessions, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint64{"session": 5}, got.Strangers); diff != "" {
		t.Error(diff)
	}
	got.Strangers["session"], got.Sessions[1].Counts.Discarded["ttl"] = 0, 0
	if in.Readings.BFD.Strangers["session"] != 5 || counts.Discarded["ttl"] != 4 {
		t.Error("a snapshot shares maps with what is counted")
	}
}
