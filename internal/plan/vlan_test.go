// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

// The host of these tests has eth0 without addresses, its VLAN devices eth0.10 for clients and
// eth0.20 for servers, and eth1.
var (
	trunk  = model.Link{Name: "eth0", Index: 2, MAC: model.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500, Up: true}
	vlan10 = model.Link{Name: "eth0.10", Index: 10, Parent: 2, VLAN: 10, MAC: model.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500, Up: true, Prefixes: prefixes("192.0.2.1/24")}
	vlan20 = model.Link{Name: "eth0.20", Index: 20, Parent: 2, VLAN: 20, MAC: model.MAC{2, 0, 0, 0, 0, 20}, MTU: 1400, Up: true, Prefixes: prefixes("203.0.113.1/24")}
)

func tagged() model.Network {
	a := netip.MustParseAddr("203.0.113.11")
	return model.Network{
		Links:      []model.Link{lo, trunk, eth1, vlan10, vlan20},
		Routes:     map[model.Addr]model.Route{a: {Link: 20, Source: netip.MustParseAddr("203.0.113.1")}},
		Neighbours: map[model.Hop]model.MAC{{Link: 20, Address: a}: {2, 0, 0, 0, 1, 1}},
	}
}

// taggedSpec has a VIP in eth0.10's subnet and a server in eth0.20's.
func taggedSpec(named ...model.Interface) model.Spec {
	s := spec("192.0.2.10", server("203.0.113.11", model.DR))
	s.Interfaces = named
	return s
}

func interfacesOf(want model.Desired) string {
	var out []string
	for _, i := range want.Dataplane.Interfaces {
		text := i.Name + " " + i.XDP.String()
		if i.Parent != 0 {
			text += fmt.Sprintf(" %d/%d", i.Parent, i.VLAN)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestVLANDeviceIsBalancedOnItsParent(t *testing.T) {
	auto := func(name string) model.Interface { return model.Interface{Name: name} }
	for _, c := range []struct {
		name  string
		named []model.Interface
		want  string
		off   string
	}{
		{"by default", nil, "eth0 auto, eth0.10 auto 2/10, eth0.20 auto 2/20", "[eth0]"},
		{"the config names one", []model.Interface{{Name: "eth0.10", XDP: model.XDPGeneric}}, "eth0 generic, eth0.10 generic 2/10", "[eth0]"},
		{"the parent has a mode of its own", []model.Interface{{Name: "eth0", XDP: model.XDPNative}, auto("eth0.10")}, "eth0 native, eth0.10 auto 2/10", "[eth0]"},
		{"a later one has a mode", []model.Interface{auto("eth0.10"), {Name: "eth0.20", XDP: model.XDPGeneric}}, "eth0 generic, eth0.10 auto 2/10, eth0.20 generic 2/20", "[eth0]"},
		{"the parent alone", []model.Interface{auto("eth0")}, "eth0 auto", "[]"},
		{"another interface", []model.Interface{auto("eth1")}, "eth1 auto", "[]"},
	} {
		want := desired(taggedSpec(c.named...), tagged())
		if got := interfacesOf(want); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := fmt.Sprint(want.Address.RxVLANOff); got != c.off {
			t.Errorf("%s: rx-vlan-offload is off on %s, want %s", c.name, got, c.off)
		}
		if len(want.Problems) != 0 {
			t.Errorf("%s: %v", c.name, want.Problems)
		}
	}
}

func TestServerInAVLANIsReachedByTheParent(t *testing.T) {
	want := desired(taggedSpec(), tagged())
	w := want.Dataplane.Services[0].Servers[0]
	got := fmt.Sprintf("link %d vlan %d from %x to %x mtu %d", w.Link, w.VLAN, w.SourceMAC, w.MAC, w.MTU)
	if got != "link 2 vlan 20 from 020000000014 to 020000000101 mtu 1400" {
		t.Error(got)
	}
	if got := fmt.Sprint(want.Address.Neighbours); got != "[{20 203.0.113.11}]" {
		t.Errorf("neighbours are kept on %s, want on the VLAN device", got)
	}
	if got := fmt.Sprint(want.Address.VIPs); got != "[{192.0.2.10 eth0.10 [0 0 0 0 0 0] 0}]" {
		t.Errorf("the VIP is on %s", got)
	}
}

func TestNATForwardsOnParentAndVLANDevice(t *testing.T) {
	s := taggedSpec()
	s.Services[0].Servers[0].Forwarding = model.NAT
	if got := fmt.Sprint(desired(s, tagged()).Address.Forward4); got != "[eth0 eth0.10 eth0.20]" {
		t.Errorf("forwarding on %s", got)
	}
}

func TestVLANDeviceThatCannotBeBalancedIsAProblem(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(vlan10, vlan20 *model.Link)
		named []model.Interface
		want  string // interfaces
		what  string
		why   string
	}{
		{"QinQ", func(_, inner *model.Link) { inner.Parent = 10 }, nil, "eth0 auto, eth0.10 auto 2/10", "eth0.20", "two tags (QinQ)"},
		{"parent in another namespace", func(_, v *model.Link) { v.Parent = model.ElsewhereParent }, nil, "eth0 auto, eth0.10 auto 2/10", "eth0.20", "not in this network namespace"},
		{"802.1ad", func(_, v *model.Link) { v.VLAN = 0 }, nil, "eth0 auto, eth0.10 auto 2/10", "eth0.20", "none of 802.1Q"},
		{"it only leads to a server", func(_, v *model.Link) { v.VLAN = 0 }, []model.Interface{{Name: "eth0.10"}}, "eth0 auto, eth0.10 auto 2/10", "eth0.20", "none of 802.1Q"},
		{"all of them", func(a, b *model.Link) { a.VLAN, b.VLAN = 0, 10 }, []model.Interface{{Name: "eth0.10"}}, "", "eth0.10", "none of 802.1Q"},
		{
			"two modes for one program", func(_, _ *model.Link) {},
			[]model.Interface{{Name: "eth0.10", XDP: model.XDPNative}, {Name: "eth0.20", XDP: model.XDPGeneric}},
			"eth0 native, eth0.10 native 2/10, eth0.20 generic 2/20", "eth0.20", "`xdp: native`, not generic",
		},
	} {
		n := tagged()
		c.edit(&n.Links[3], &n.Links[4])
		want := desired(taggedSpec(c.named...), n)
		if got := interfacesOf(want); got != c.want {
			t.Errorf("%s: interfaces %q, want %q", c.name, got, c.want)
		}
		if len(want.Problems) != 1 {
			t.Errorf("%s: %v", c.name, want.Problems)
			continue
		}
		if p := want.Problems[0]; p.What != "interface "+c.what || !strings.Contains(p.Why, c.why) || p.Fix == "" {
			t.Errorf("%s: %+v", c.name, p)
		}
		way := want.Dataplane.Services[0].Servers[0].Link != 0
		if leadsThere := strings.Contains(c.why, "xdp") || c.what == "eth0.10"; way != leadsThere {
			t.Errorf("%s: there is a way to the server: %t", c.name, way)
		}
	}
}
