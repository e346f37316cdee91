// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// detoursIn are those of a plan, as text.
func detoursIn(s model.Spec, seen model.Seen) (out []string) {
	desired, _ := plan.Make(s, seen, noon)
	for _, w := range desired.Dataplane.Detours {
		text := w.Virtual.String() + " at " + w.Server.String()
		if w.Alias.IsValid() {
			text += fmt.Sprintf(" link %d next %s src %s mtu %d", w.Link, w.Next, w.Source, w.MTU)
		}
		if w.Why != "" {
			text += ": " + w.Why
		}
		out = append(out, text)
	}
	return out
}

func TestDetoursFollowTheWayToTheServer(t *testing.T) {
	one := server("198.51.100.11", model.DR)
	away := model.Route{Link: eth1.Index, Gateway: netip.MustParseAddr("198.51.100.254"), Source: netip.MustParseAddr("198.51.100.1")}
	for _, test := range []struct {
		name   string
		change func(*model.Server, *model.Seen)
		want   string
	}{
		{"dr", func(*model.Server, *model.Seen) {}, "192.0.2.10 at 198.51.100.11 link 3 next 198.51.100.11 src 198.51.100.1 mtu 9000"},
		{"dr by a router", func(_ *model.Server, seen *model.Seen) { seen.Network.Routes[one.Key.Address] = away },
			"192.0.2.10 at 198.51.100.11: there is no way to 198.51.100.11 by dr"},
		{"tun by a router", func(s *model.Server, seen *model.Seen) {
			s.Forwarding, seen.Network.Routes[one.Key.Address] = model.TUN, away
		}, "192.0.2.10 at 198.51.100.11 link 3 next 198.51.100.254 src 198.51.100.1 mtu 8980"},
		{"gue by a narrow way", func(s *model.Server, seen *model.Seen) {
			s.Forwarding, s.Tunnel = model.TUN, model.Tunnel{Type: model.GUE, Port: 6080}
			seen.PathMTUs = map[model.Addr]model.PathMTU{one.Key.Address: {MTU: 1400, Until: noon.Add(time.Minute)}}
		}, "192.0.2.10 at 198.51.100.11 link 3 next 198.51.100.11 src 198.51.100.1 mtu 1368"},
		{"this host", func(_ *model.Server, seen *model.Seen) {
			seen.Network.Routes[one.Key.Address] = model.Route{Link: 1, Local: true}
		}, "192.0.2.10 at 198.51.100.11"},
		{"no route", func(_ *model.Server, seen *model.Seen) { delete(seen.Network.Routes, one.Key.Address) },
			"192.0.2.10 at 198.51.100.11: there is no way to 198.51.100.11 by dr"},
		{"no address of its own", func(_ *model.Server, seen *model.Seen) {
			seen.Network.Routes[one.Key.Address] = model.Route{Link: eth1.Index, Source: netip.MustParseAddr("192.0.2.10")}
		}, "192.0.2.10 at 198.51.100.11: the answers would come to 192.0.2.10, which is a service's: give this host an address of its own towards 198.51.100.11"},
		{"nat", func(s *model.Server, _ *model.Seen) { s.Forwarding = model.NAT }, ""},
		{"asked itself", func(s *model.Server, _ *model.Seen) { *s = directly(*s) }, ""},
	} {
		server, seen := checked(one, false, 0), model.Seen{Network: network("198.51.100.11")}
		test.change(&server, &seen)
		if got := strings.Join(detoursIn(spec("192.0.2.10", server), seen), "\n"); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestDetoursNeedTheirAnswersSeen: where `interfaces` leaves out the one that leads to the server, it says so.
func TestDetoursNeedTheirAnswersSeen(t *testing.T) {
	one := checked(server("198.51.100.11", model.DR), false, 0)
	s, seen := spec("192.0.2.10", one), model.Seen{Network: network("198.51.100.11")}
	s.Interfaces = []model.Interface{{Name: "eth0"}}
	desired, _ := plan.Make(s, seen, noon)
	const why = "its answers come in by eth1, where weir does not run: add eth1 to `interfaces:`"
	if got := desired.Address.Detours; len(got) != 1 || got[0].Why != why || !got[0].Direct || got[0].Alias.IsValid() {
		t.Errorf("%+v", got)
	}
	s.Interfaces = append(s.Interfaces, model.Interface{Name: "eth1"})
	if desired, _ = plan.Make(s, seen, noon); !desired.Address.Detours[0].Alias.IsValid() {
		t.Errorf("%+v", desired.Address.Detours)
	}
}

// TestAliasesStay whatever else is in the config, and no two detours have one.
func TestAliasesStay(t *testing.T) {
	seen := model.Seen{Network: network("198.51.100.11", "198.51.100.12")}
	first, second := checked(server("198.51.100.11", model.DR), false, 0, 81), checked(two, false, 0)
	aliases := func(s model.Spec) map[model.Detour]model.Addr {
		out := map[model.Detour]model.Addr{}
		desired, _ := plan.Make(s, seen, noon)
		for _, w := range desired.Address.Detours {
			if w.Why == "" {
				out[w.Detour] = w.Alias
			}
		}
		return out
	}
	alone, all := aliases(spec("192.0.2.10", first)), aliases(spec("192.0.2.11 192.0.2.10", second, first))
	if len(alone) != 1 || len(all) != 4 {
		t.Fatalf("%v, %v", alone, all)
	}
	within, taken := model.DefaultAliases().V4, []model.Addr{}
	for detour, alias := range all {
		if !within.Contains(alias) || slices.Contains(taken, alias) || alone[detour].IsValid() && alone[detour] != alias {
			t.Errorf("%+v: %s, and alone %s", detour, alias, alone[detour])
		}
		taken = append(taken, alias)
	}
	narrow := spec("192.0.2.11 192.0.2.10", second, first)
	narrow.Aliases.V4 = netip.MustParsePrefix("10.99.0.0/31")
	if got := aliases(narrow); len(got) != 2 || !narrow.Aliases.V4.Contains(slices.MaxFunc(valuesOf(got), model.Addr.Compare)) {
		t.Errorf("in a range of two: %v", got)
	}
	if got := detoursIn(narrow, seen); !strings.HasSuffix(strings.Join(got, "\n"), ": check_aliases: 10.99.0.0/31 has no more room") {
		t.Errorf("%q", got)
	}
}

func valuesOf(m map[model.Detour]model.Addr) (out []model.Addr) {
	for _, a := range m {
		out = append(out, a)
	}
	return out
}
