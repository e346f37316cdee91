// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// departed is healthy without its second server, which leaves.
func departed(policy model.Leaving) report.Input {
	in := healthy()
	servers := in.Spec.Services[0].Servers
	in.Spec.Services[0].Servers = servers[:1]
	in.Seen.Left = []model.Left{{Service: webKey, Server: servers[1], Since: now.Add(-time.Minute)}}
	want := &in.Desired.Dataplane.Services[0].Servers[1]
	want.Weight, want.Leaving = 0, policy
	return in
}

func TestServerThatLeavesSaysWhatBecomesOfItsConnections(t *testing.T) {
	for _, test := range []struct {
		policy      model.Leaving
		of          model.Departure
		connections uint64
		want        string
	}{
		{model.Drain, model.Departure{}, 12, "removed, 12 connections live on"},
		{model.Drain, model.Departure{}, 1, "removed, 1 connection lives on"},
		{model.Drain, model.Departure{}, 0, "removed, 0 connections live on"},
		{model.Drain, model.Departure{For: time.Hour}, 1234, "removed, 1,234 connections live on, until 2026-01-02T04:03:05Z"},
		{model.Reset, model.Departure{For: time.Hour}, 12, "removed, 12 connections are reset at their next packet"},
		{model.Drop, model.Departure{}, 12, "removed, 12 connections wait for it"},
	} {
		in := departed(test.policy)
		in.Spec.Services[0].Leaving = test.of
		in.Readings.Servers[model.ServiceServer{Service: webKey, Server: second}] = report.ServerReading{Active: test.connections}
		got := report.Make(in)
		if s := got.Servers[1]; s.State != report.Leaving || s.Reason != test.want || s.Weight != 0 || s.Key != second {
			t.Errorf("%s (%s), want %s", s.State, s.Reason, test.want)
		}
		if s := got.Services[0]; s.Servers != 1 || s.Up != 1 || s.Active != 2+test.connections {
			t.Errorf("%d of %d are up, active %d", s.Up, s.Servers, s.Active)
		}
	}
}

func TestServerThatLeavesIsNoProblem(t *testing.T) {
	in := departed(model.Drain)
	in.Desired.Dataplane.Services[0].Servers[1].MAC = model.MAC{} // nor when it is dead
	if got := report.Make(in).Problems; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestServerThatLeavesServesNobody: a service that has no other one takes no connections.
func TestServerThatLeavesServesNobody(t *testing.T) {
	in := departed(model.Drain)
	in.Spec.Services[0].Servers = nil
	got := report.Make(in).Problems
	if len(got) != 1 || got[0].Why != "it has no server" {
		t.Errorf("%+v", got)
	}
	in = departed(model.Drain)
	in.Spec.Services[0].Servers[0].Weight = 0
	if got := report.Make(in).Problems; len(got) != 1 || got[0].Why != "the weight of every server is 0" {
		t.Errorf("%+v", got)
	}
}

// TestServerThatHasJustLeftIsNotShownYet: what becomes of its connections is not planned.
func TestServerThatHasJustLeftIsNotShownYet(t *testing.T) {
	in := departed(0)
	if got := report.Make(in).Servers; len(got) != 1 {
		t.Errorf("%+v", got)
	}
}
