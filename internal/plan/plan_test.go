// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

// The host of these tests has clients on eth0 (2) and servers on eth1 (3).
var (
	eth0 = model.Link{Name: "eth0", Index: 2, MAC: model.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500, Up: true, Prefixes: prefixes("192.0.2.1/24", "2001:db8:a::1/64")}
	eth1 = model.Link{Name: "eth1", Index: 3, MAC: model.MAC{2, 0, 0, 0, 0, 3}, MTU: 9000, Up: true, Prefixes: prefixes("198.51.100.1/24")}
	lo   = model.Link{Name: "lo", Index: 1, MTU: 65536, Up: true, Loopback: true, Prefixes: prefixes("127.0.0.1/8", "::1/128")}

	router = netip.MustParseAddr("192.0.2.254")
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// network is a look at the host; onLink are the servers on eth1, each with a MAC.
func network(onLink ...string) model.Network {
	n := model.Network{
		Links:      []model.Link{lo, eth0, eth1},
		Routes:     map[model.Addr]model.Route{},
		Neighbours: map[model.Hop]model.MAC{},
	}
	for i, s := range onLink {
		a := netip.MustParseAddr(s)
		n.Routes[a] = model.Route{Link: eth1.Index, Source: netip.MustParseAddr("198.51.100.1")}
		n.Neighbours[model.Hop{Link: eth1.Index, Address: a}] = model.MAC{2, 0, 0, 0, 1, byte(i)}
	}
	return n
}

// spec is a service of one protocol for each VIP, with the same servers.
func spec(vips string, servers ...model.Server) model.Spec {
	out := model.Spec{Revision: 7}
	for i, vip := range strings.Fields(vips) {
		out.Services = append(out.Services, model.Service{
			Name:      fmt.Sprintf("web%d", i),
			Key:       model.ServiceKey{Address: netip.MustParseAddr(vip), Port: 80 + uint16(i), Protocol: model.TCP},
			Scheduler: model.RR, Servers: servers,
		})
	}
	return out
}

func server(address string, f model.Forwarding) model.Server {
	return model.Server{Key: model.ServerKey{Address: netip.MustParseAddr(address), Port: 80}, Forwarding: f, Weight: 1}
}

func desired(spec model.Spec, network model.Network) model.Desired {
	want, _ := plan.Make(spec, model.Seen{Network: network}, time.Time{})
	return want
}

func TestVIPGoesWhereItsSubnetIs(t *testing.T) {
	held := network()
	held.Links[2].Prefixes = append(prefixes("203.0.113.9/32"), eth1.Prefixes...)
	for _, c := range []struct {
		name    string
		vips    string
		network model.Network
		want    string
	}{
		{"its subnet", "192.0.2.10", network(), "192.0.2.10 on eth0"},
		{"its subnet, IPv6", "2001:db8:a::10", network(), "2001:db8:a::10 on eth0"},
		{"two on one interface", "192.0.2.10 192.0.2.11", network(), "192.0.2.10 on eth0, 192.0.2.11 on eth0"},
		{"one address, two services", "192.0.2.10 192.0.2.10", network(), "192.0.2.10 on eth0"},
		{"the host's own address", "192.0.2.1", network(), "192.0.2.1 on eth0"},
		{"no subnet", "203.0.113.10", network(), "203.0.113.10 on lo"},
		{"in the loopback's subnet", "127.0.0.9", network(), "127.0.0.9 on lo"},
		{"no subnet, but there already", "203.0.113.9", held, "203.0.113.9 on eth1"},
		{"no network seen", "192.0.2.10", model.Network{}, "192.0.2.10 on lo"},
	} {
		var got []string
		for _, v := range desired(spec(c.vips), c.network).Address.VIPs {
			got = append(got, fmt.Sprintf("%s on %s", v.Address, v.Interface))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

// TestVIPDoesNotCountAsItsOwnSubnet: else it would keep an interface that its subnet has left.
func TestVIPDoesNotCountAsItsOwnSubnet(t *testing.T) {
	n := network()
	n.Links[2].Prefixes = append(prefixes("192.0.2.10/32"), eth1.Prefixes...)
	if got := desired(spec("192.0.2.10"), n).Address.VIPs[0].Interface; got != "eth0" {
		t.Errorf("the VIP is on %s", got)
	}
}

func TestProgramRunsWherePacketsComeIn(t *testing.T) {
	routed := network()
	routed.Routes[netip.MustParseAddr("198.51.100.11")] = model.Route{Link: eth0.Index, Gateway: router}
	own := network()
	own.Routes[netip.MustParseAddr("198.51.100.11")] = model.Route{Link: lo.Index, Local: true}
	named := []model.Interface{{Name: "eth1", XDP: model.XDPGeneric}, {Name: "eth7"}}
	for _, c := range []struct {
		name    string
		vip     string
		network model.Network
		named   []model.Interface
		want    string
	}{
		{"VIP's subnet and servers", "192.0.2.10", network("198.51.100.11"), nil, "eth0 auto, eth1 auto"},
		{"servers behind a router", "192.0.2.10", routed, nil, "eth0 auto"},
		{"no way to the server", "192.0.2.10", network(), nil, "eth0 auto"},
		{"VIP without subnet", "203.0.113.10", network("198.51.100.11"), nil, "eth1 auto"},
		{"the server is this host", "192.0.2.10", own, nil, "eth0 auto"},
		{"the config names them", "192.0.2.10", network("198.51.100.11"), named, "eth1 generic"},
	} {
		s := spec(c.vip, server("198.51.100.11", model.TUN))
		s.Interfaces = c.named
		var got []string
		for _, i := range desired(s, c.network).Dataplane.Interfaces {
			got = append(got, i.Name+" "+i.XDP.String())
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestServerIsReachedByItsNextHop(t *testing.T) {
	a := netip.MustParseAddr("198.51.100.11")
	source := netip.MustParseAddr("192.0.2.1")
	linkLocal := netip.MustParseAddr("fe80::1")
	mac := model.MAC{2, 0, 0, 0, 9, 9}
	for _, c := range []struct {
		name   string
		method model.Forwarding
		route  *model.Route
		want   string
	}{
		{"no route", model.TUN, nil, "link 0 next invalid IP mac 000000000000 mtu 0"},
		{"on the link", model.DR, &model.Route{Link: 3, Source: source}, "link 3 next 198.51.100.11 mac 020000000100 mtu 9000"},
		{"router", model.TUN, &model.Route{Link: 2, Gateway: router, Source: source}, "link 2 next 192.0.2.254 mac 020000000909 mtu 1500"},
		{"link-local router", model.NAT, &model.Route{Link: 2, Gateway: linkLocal}, "link 2 next fe80::1 mac 000000000000 mtu 1500"},
		{"a route with an MTU", model.TUN, &model.Route{Link: 3, MTU: 1400}, "link 3 next 198.51.100.11 mac 020000000100 mtu 1400"},
		{"a route with an MTU beyond the link's", model.TUN, &model.Route{Link: 3, MTU: 9999}, "link 3 next 198.51.100.11 mac 020000000100 mtu 9000"},
		{"router, by DR", model.DR, &model.Route{Link: 2, Gateway: router}, "link 0 next invalid IP mac 000000000000 mtu 0"},
		{"this host", model.NAT, &model.Route{Link: 1, Local: true}, "local"},
		{"a link that has gone since", model.DR, &model.Route{Link: 8}, "link 0 next invalid IP mac 000000000000 mtu 0"},
	} {
		n := network("198.51.100.11")
		n.Neighbours[model.Hop{Link: 2, Address: router}] = mac
		delete(n.Routes, a)
		if c.route != nil {
			n.Routes[a] = *c.route
		}
		w := desired(spec("192.0.2.10", server("198.51.100.11", c.method)), n).Dataplane.Services[0].Servers[0]
		got := fmt.Sprintf("link %d next %s mac %x mtu %d", w.Link, w.Next, w.MAC, w.MTU)
		if w.Local {
			got = "local"
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

func TestNeighboursAreNextHopsOnce(t *testing.T) {
	n := network("198.51.100.11", "198.51.100.12")
	for _, far := range []string{"203.0.113.1", "203.0.113.2"} {
		n.Routes[netip.MustParseAddr(far)] = model.Route{Link: 2, Gateway: router}
	}
	n.Routes[netip.MustParseAddr("192.0.2.1")] = model.Route{Link: 1, Local: true}
	s := spec("192.0.2.10 192.0.2.11", server("198.51.100.12", model.TUN), server("203.0.113.1", model.TUN),
		server("198.51.100.11", model.TUN), server("203.0.113.2", model.TUN), server("192.0.2.1", model.TUN),
		server("203.0.113.99", model.TUN))
	got := fmt.Sprint(desired(s, n).Address.Neighbours)
	if diff := cmp.Diff("[{3 198.51.100.12} {2 192.0.2.254} {3 198.51.100.11}]", got); diff != "" {
		t.Error(diff)
	}
}

func TestForwardingIsForNATOfItsFamily(t *testing.T) {
	for _, c := range []struct {
		vip    string
		method model.Forwarding
		want   string
	}{
		{"192.0.2.10", model.NAT, "[eth0 eth1] []"},
		{"2001:db8:a::10", model.NAT, "[] [eth0 eth1]"},
		{"192.0.2.10", model.DR, "[] []"},
		{"192.0.2.10", model.TUN, "[] []"},
	} {
		want := desired(spec(c.vip, server("198.51.100.11", c.method)), network("198.51.100.11")).Address
		if got := fmt.Sprint(want.Forward4, want.Forward6); got != c.want {
			t.Errorf("%s by %s: forwarding on %s, want %s", c.vip, c.method, got, c.want)
		}
	}
}

func TestPlanNamesWhatTheHostCannotDo(t *testing.T) {
	local := model.Route{Link: 1, Local: true}
	direct := model.Route{Link: 3}
	far := model.Route{Link: 2, Gateway: router}
	eth0Only := []model.Interface{{Name: "eth0"}}
	otherPort := server("198.51.100.11", model.NAT)
	otherPort.Key.Port = 8080
	for _, c := range []struct {
		name   string
		server model.Server
		route  model.Route
		named  []model.Interface
		want   string
	}{
		{"nothing is wrong", otherPort, direct, nil, ""},
		{"this host, its port", server("198.51.100.11", model.NAT), local, nil, ""},
		{"this host, another port", otherPort, local, nil, "let it listen on port 80"},
		{"DR behind a router", server("198.51.100.11", model.DR), far, nil, "use `forwarding: tun`"},
		{"TUN behind a router", server("198.51.100.11", model.TUN), far, nil, ""},
		{"answers come in elsewhere", server("198.51.100.11", model.NAT), direct, eth0Only, "add eth1 to `interfaces:`"},
		{"no answers come in by DR", server("198.51.100.11", model.DR), direct, eth0Only, ""},
	} {
		s, n := spec("192.0.2.10", c.server), network()
		s.Interfaces = c.named
		n.Routes[c.server.Key.Address] = c.route
		var got []string
		for _, p := range desired(s, n).Problems {
			if !strings.HasPrefix(p.What, "service web0, server 198.51.100.11:") || p.Why == "" {
				t.Errorf("%s: %+v names no place or cause", c.name, p)
			}
			got = append(got, p.Fix)
		}
		if text := strings.Join(got, "; "); !strings.HasPrefix(text, c.want) || c.want == "" && text != "" {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

// TestPlanIsTheSameForTheSame: a plan that differed would be applied again and again.
func TestPlanIsTheSameForTheSame(t *testing.T) {
	s := spec("192.0.2.10 192.0.2.11 2001:db8:a::10", server("198.51.100.11", model.NAT), server("198.51.100.12", model.TUN))
	first := desired(s, network("198.51.100.11", "198.51.100.12"))
	if first.Dataplane.Revision != s.Revision {
		t.Errorf("revision %d, want %d", first.Dataplane.Revision, s.Revision)
	}
	addrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	groups := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	nets := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	for range 20 {
		if diff := cmp.Diff(first, desired(s, network("198.51.100.11", "198.51.100.12")), addrs, groups, nets); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestServerWithoutAWayIsLeftOutWhileOthersHaveOne(t *testing.T) {
	both := []model.Server{server("198.51.100.11", model.DR), server("198.51.100.12", model.DR)}
	for _, c := range []struct {
		name      string
		reachable []string
		want      string
	}{
		{"all", []string{"198.51.100.11", "198.51.100.12"}, "1 1"},
		{"one", []string{"198.51.100.12"}, "0 1"},
		{"none, so that a SYN is dropped and not refused", nil, "1 1"},
	} {
		servers := desired(spec("192.0.2.10", both...), network(c.reachable...)).Dataplane.Services[0].Servers
		if got := fmt.Sprint(servers[0].Weight, servers[1].Weight); got != c.want {
			t.Errorf("%s reachable: weights %s, want %s", c.name, got, c.want)
		}
	}
}
