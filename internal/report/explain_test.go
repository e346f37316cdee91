// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

// asked is a flow to a port of the address of healthy's service.
func asked(port uint16, p model.Protocol) model.Flow {
	return model.Flow{
		Protocol: p, Client: netip.MustParseAddrPort("203.0.113.7:40000"), Virtual: netip.AddrPortFrom(webKey.Address, port),
	}
}

func TestExplanationHasTheNamesOfThings(t *testing.T) {
	e := model.Explanation{
		Flow: asked(80, model.TCP), Service: &webKey,
		New:        &model.Way{Verdict: "dr", Server: &first, Hop: model.NextHop{Link: 2}},
		Stray:      &model.Way{Verdict: "unknown_connection"},
		Connection: &model.Known{State: "TIME_WAIT", Packet: model.Way{Verdict: "nat_in", Server: &second, Hop: model.NextHop{Link: 2}}},
		Servers:    []model.Candidate{{Key: second}, {Key: first}},
	}
	got := report.Explain(healthy(), e)
	if got.Service != "web" || got.New.Interface != "eth0" || got.Connection.Packet.Interface != "eth0" || got.Stray.Interface != "" {
		t.Errorf("%+v", got)
	}
	if got.Servers[0].Key != first || got.Servers[1].Key != second {
		t.Errorf("not in the order of the configuration: %+v", got.Servers)
	}
	if e.New = nil; report.Explain(healthy(), e).New != nil {
		t.Error("a way came from nowhere")
	}
}

func TestServerThatIsPassedOverSaysWhy(t *testing.T) {
	for _, row := range []struct {
		passed model.Passed
		change func(*report.Input)
		want   string
	}{
		{0, func(*report.Input) {}, ""},
		{model.PassedWeight, func(in *report.Input) { in.Spec.Services[0].Servers[0].Weight = 0 }, "weight 0"},
		{model.PassedWeight, func(in *report.Input) {
			server := &in.Spec.Services[0].Servers[0]
			server.Checks.Of = []model.Check{{Ask: model.AskTCP{}}}
			in.Seen.Health = map[model.CheckKey]model.Health{in.Spec.Services[0].Asks(*server)[0]: {State: model.HealthUp, Advice: model.Advice{Given: true, Says: "agent says drain"}}}
		}, "weight 0 of 2: agent says drain"},
		{model.PassedFull, func(in *report.Input) {
			in.Spec.Services[0].Servers[0].Thresholds.Upper = 9
			in.Readings.Servers[model.ServiceServer{Service: webKey, Server: first}] = report.ServerReading{Full: true}
		}, "full: upper threshold 9; open again below three quarters of it"},
		{model.PassedUnreachable, func(in *report.Input) {
			in.Desired.Dataplane.Services[0].Servers[0].MAC = model.MAC{}
		}, "unreachable: no answer to ARP for 198.51.100.11 on eth0"},
		{model.PassedUnreachable, func(*report.Input) {}, "unreachable"}, // it came back this moment
	} {
		in := healthy()
		row.change(&in)
		e := model.Explanation{Flow: asked(80, model.TCP), Service: &webKey, New: &model.Way{}, Servers: []model.Candidate{{Key: first, Passed: row.passed}}}
		if got := report.Explain(in, e).Servers[0].Reason; got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}

func TestServerThatLeavesIsExplainedLast(t *testing.T) {
	e := model.Explanation{
		Flow: asked(80, model.TCP), Service: &webKey, New: &model.Way{},
		Servers: []model.Candidate{{Key: second, Passed: model.PassedLeaving}, {Key: first}},
	}
	got := report.Explain(departed(model.Drain), e).Servers
	if got[1].Key != second || got[1].Reason != "leaving: removed, 5 connections live on" {
		t.Errorf("%+v", got)
	}
}

func TestNoServiceSaysWhichAreNear(t *testing.T) {
	key := func(port uint16, p model.Protocol) model.ServiceKey {
		return model.ServiceKey{Address: webKey.Address, Port: port, Protocol: p}
	}
	for _, row := range []struct {
		others []model.ServiceKey
		port   uint16
		want   string
	}{
		{nil, 81, "no service has the address 192.0.2.10"},
		{[]model.ServiceKey{webKey}, 81, "192.0.2.10 has no service at tcp port 81; it has web (tcp 192.0.2.10:80)"},
		{[]model.ServiceKey{webKey, key(53, model.UDP)}, 81, "192.0.2.10 has no service at tcp port 81; it has web (tcp 192.0.2.10:80), (udp 192.0.2.10:53)"},
		{[]model.ServiceKey{key(1, model.UDP), key(2, model.UDP), key(3, model.UDP), key(4, model.UDP), key(5, model.UDP), key(6, model.UDP)}, 81,
			"192.0.2.10 has no service at tcp port 81; it has (udp 192.0.2.10:1), (udp 192.0.2.10:2), (udp 192.0.2.10:3), (udp 192.0.2.10:4) and 2 more"},
		{nil, 80, "service web (tcp 192.0.2.10:80) is not in the maps; `weir status` says why"},
	} {
		e := model.Explanation{Flow: asked(row.port, model.TCP), Others: row.others, New: &model.Way{Verdict: "no_service"}}
		if got := report.Explain(healthy(), e); got.New.Reason != row.want || got.Service != "" {
			t.Errorf("%q, want %q", got.New.Reason, row.want)
		}
	}
	// A service that is being removed has no way yet for what begins.
	e := model.Explanation{Flow: asked(81, model.TCP), Connection: &model.Known{State: "ESTABLISHED"}}
	if got := report.Explain(healthy(), e); got.New != nil || got.Connection.State != "ESTABLISHED" {
		t.Errorf("%+v", got)
	}
}
