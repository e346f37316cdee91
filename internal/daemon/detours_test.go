// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"maps"
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// TestAWayIsKnownWhenBothTargetsHaveMadeIt, or when one of them cannot.
func TestAWayIsKnownWhenBothTargetsHaveMadeIt(t *testing.T) {
	key := model.Detour{Virtual: netip.MustParseAddr("192.0.2.10"), Server: netip.MustParseAddr("192.0.2.11"), Forwarding: model.DR}
	alias, other := netip.MustParseAddr("198.19.0.1"), netip.MustParseAddr("198.19.0.2")
	made := []model.DetourWant{{Detour: key, Alias: alias}}
	for _, test := range []struct {
		name    string
		path    []model.DetourWant
		trouble string
		address []model.DetourWant
		blocked map[model.Detour]string
		want    model.DetourWay // zero: not known yet
	}{
		{"nobody has", nil, "", nil, nil, model.DetourWay{}},
		{"the path alone", made, "", nil, nil, model.DetourWay{}},
		{"the other alone", nil, "", made, nil, model.DetourWay{}},
		{"both", made, "", made, nil, model.DetourWay{To: alias}},
		{"each another alias", []model.DetourWant{{Detour: key, Alias: other}}, "", made, nil, model.DetourWay{}},
		{"the path cannot", nil, "full", made, nil, model.DetourWay{Why: "full", To: key.Server}},
		{"the other cannot", made, "", made, map[model.Detour]string{key: "no clsact"}, model.DetourWay{Why: "no clsact", To: key.Server}},
		{"there is none", nil, "", []model.DetourWant{{Detour: key, Why: "no way"}}, nil, model.DetourWay{Why: "no way"}},
		{"there is one to the server alone", nil, "", []model.DetourWant{{Detour: key, Why: "no room", Direct: true}}, nil, model.DetourWay{Why: "no room", To: key.Server}},
		{"this host", nil, "", []model.DetourWant{{Detour: key}}, nil, model.DetourWay{To: key.Virtual}},
	} {
		d := detours{address: test.address, blocked: test.blocked}
		d.pathTold(test.path, test.trouble)
		want := map[model.Detour]model.DetourWay{}
		if test.want != (model.DetourWay{}) {
			want[key] = test.want
		}
		if got := d.ways(); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", test.name, got, want)
		}
	}
}
