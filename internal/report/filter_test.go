// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
)

func connection(protocol model.Protocol, client, virtual, server, state string) report.Connection {
	return report.Connection{
		Protocol: protocol, Client: netip.MustParseAddrPort(client), Virtual: netip.MustParseAddrPort(virtual),
		Server: netip.MustParseAddrPort(server), State: state,
	}
}

func TestFilterMeansWhatMeetsAllOfIt(t *testing.T) {
	c := connection(model.TCP, "203.0.113.7:40000", "192.0.2.10:80", "198.51.100.11:8080", "ESTABLISHED")
	server := func(port uint16) model.ServerKey {
		return model.ServerKey{Address: netip.MustParseAddr("198.51.100.11"), Port: port}
	}
	for _, test := range []struct {
		name   string
		filter report.Filter
		want   bool
	}{
		{"nothing", report.Filter{}, true},
		{"protocol", report.Filter{Protocol: model.TCP}, true},
		{"another protocol", report.Filter{Protocol: model.UDP}, false},
		{"state", report.Filter{State: "ESTABLISHED"}, true},
		{"another state", report.Filter{State: "CLOSE"}, false},
		{"client", report.Filter{Client: netip.MustParsePrefix("203.0.113.7/32")}, true},
		{"network", report.Filter{Client: netip.MustParsePrefix("203.0.113.0/24")}, true},
		{"network with bits behind its length", report.Filter{Client: netip.MustParsePrefix("203.0.113.9/24")}, true},
		{"another client", report.Filter{Client: netip.MustParsePrefix("203.0.113.8/32")}, false},
		{"network of the other family", report.Filter{Client: netip.MustParsePrefix("::/0")}, false},
		{"server", report.Filter{Server: server(model.AnyPort)}, true},
		{"server's port", report.Filter{Server: server(8080)}, true},
		{"the service's port", report.Filter{Server: server(80)}, false},
		{"another server", report.Filter{Server: model.ServerKey{Address: gateway}}, false},
		{"service", report.Filter{Service: func(report.Connection) bool { return true }}, true},
		{"another service", report.Filter{Service: func(report.Connection) bool { return false }}, false},
		{"one of two", report.Filter{Protocol: model.TCP, State: "CLOSE"}, false},
		{"both", report.Filter{Protocol: model.TCP, State: "ESTABLISHED"}, true},
	} {
		if got := test.filter.Matches(c); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// TestKeptIsListedForWhoeverAsks, and killed with the rest.
func TestKeptIsListedForWhoeverAsks(t *testing.T) {
	kept := connection(model.TCP, "203.0.113.7:40000", "192.0.2.10:80", "198.51.100.11:8080", model.Kept)
	for state, want := range map[string]bool{"": false, model.Kept: true, "CLOSE": false} {
		if got := (report.Filter{State: state}).Lists(kept); got != want {
			t.Errorf("state %q lists it: %v", state, got)
		}
	}
	if !(report.Filter{}).Matches(kept) {
		t.Error("it would not be killed")
	}
}

var restKey = model.ServiceKey{Address: webKey.Address, Protocol: model.TCP}

func TestMoreSpecialServiceHasAConnection(t *testing.T) {
	owners := report.Snapshot{Services: []report.Service{
		{Name: "rest", Key: restKey}, {Name: "web", Key: webKey},
		{Name: "passive", Key: model.ServiceKey{Address: webKey.Address, Port: 3000, Last: 3999, Protocol: model.TCP}},
		{Name: "fetch", Key: model.ServiceKey{Address: webKey.Address, Port: 53, Protocol: model.UDP},
			Also: []model.ServiceKey{{Address: netip.IPv4Unspecified(), Port: 80, Protocol: model.UDP}}},
	}}.Owners()
	for _, test := range []struct {
		protocol model.Protocol
		virtual  string
		want     string
	}{
		{model.TCP, "192.0.2.10:80", "web"},
		{model.TCP, "192.0.2.10:443", "rest"},
		{model.TCP, "192.0.2.11:80", ""},
		{model.UDP, "192.0.2.10:80", "fetch"},
		{model.TCP, "192.0.2.10:3500", "passive"},
		{model.TCP, "192.0.2.10:4000", "rest"},
		{model.UDP, "192.0.2.10:81", ""},
		{model.UDP, "203.0.113.9:80", "fetch"},
		{model.UDP, "[2001:db8::9]:80", ""},
	} {
		owner, found := owners.Of(report.Connection{Protocol: test.protocol, Virtual: netip.MustParseAddrPort(test.virtual)})
		if owner.Name != test.want || found != (test.want != "") {
			t.Errorf("%s %s belongs to %q (%v), want %q", test.protocol, test.virtual, owner.Name, found, test.want)
		}
	}
}

// TestTemplatesOfFTPBelongToIt, though they are for all ports; a connection to no port is nobody's.
func TestTemplatesOfFTPBelongToIt(t *testing.T) {
	ftp := model.ServiceKey{Address: webKey.Address, Port: 21, Protocol: model.TCP}
	virtual := netip.AddrPortFrom(ftp.Address, 0)
	for _, test := range []struct {
		services []report.Service
		state    string
		want     string
	}{
		{[]report.Service{{Name: "ftp", Key: ftp}}, model.Template, "ftp"},
		{[]report.Service{{Name: "ftp", Key: ftp}}, "ESTABLISHED", ""},
		{[]report.Service{{Name: "ftp", Key: ftp}, {Name: "rest", Key: restKey}}, model.Template, "rest"},
		{[]report.Service{{Name: "web", Key: webKey}}, model.Template, ""},
	} {
		owners := report.Snapshot{Services: test.services}.Owners()
		owner, found := owners.Of(report.Connection{Protocol: model.TCP, Virtual: virtual, State: test.state})
		if owner.Name != test.want || found != (test.want != "") {
			t.Errorf("%s of %v belongs to %q (%v), want %q", test.state, test.services, owner.Name, found, test.want)
		}
	}
}

// TestPortsOfAnAnyPortServiceAreOneGroup: else a client that tries them all makes 65,535.
func TestPortsOfAnAnyPortServiceAreOneGroup(t *testing.T) {
	owners := report.Snapshot{Services: []report.Service{{Name: "web", Key: webKey}, {Name: "rest", Key: restKey}}}.Owners()
	totals := report.Totals{}
	for _, c := range []report.Connection{
		connection(model.UDP, "203.0.113.7:1", "192.0.2.10:53", "198.51.100.11:53", "UDP"), // its service is gone
		connection(model.TCP, "203.0.113.7:1", "192.0.2.10:80", "198.51.100.12:8080", "TIME_WAIT"),
		connection(model.TCP, "203.0.113.7:2", "192.0.2.10:80", "198.51.100.12:8080", "ESTABLISHED"),
		connection(model.TCP, "203.0.113.7:3", "192.0.2.10:80", "198.51.100.12:8080", "ESTABLISHED"),
		connection(model.TCP, "203.0.113.7:4", "192.0.2.10:443", "198.51.100.11:443", "ESTABLISHED"),
		connection(model.TCP, "203.0.113.7:5", "192.0.2.10:444", "198.51.100.11:444", "ESTABLISHED"),
	} {
		totals.Add(c, owners)
	}
	type line struct {
		report.Group
		Count uint64
	}
	var got []line
	for _, g := range totals.Groups() {
		got = append(got, line{g, totals[g]})
	}
	first := model.ServerKey{Address: netip.MustParseAddr("198.51.100.11")}
	second := model.ServerKey{Address: netip.MustParseAddr("198.51.100.12"), Port: 8080}
	want := []line{
		{report.Group{Protocol: model.TCP, State: "ESTABLISHED", Server: first}, 2},
		{report.Group{Protocol: model.TCP, State: "ESTABLISHED", Server: second}, 2},
		{report.Group{Protocol: model.TCP, State: "TIME_WAIT", Server: second}, 1},
		{report.Group{Protocol: model.UDP, State: "UDP", Server: first}, 1},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
