// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/plan"
)

func virtualRouter(name string, addresses ...string) model.VirtualRouter {
	return model.VirtualRouter{Name: name, Interface: "eth0", ID: 51, Version: model.VRRP3, Priority: 100,
		Advertise: time.Second, Addresses: prefixes(addresses...)}
}

func inState(name string, s model.VRRPState) map[string]model.VRRPSeen {
	return map[string]model.VRRPSeen{name: {State: s}}
}

// mastered are those that are master: the data plane serves their services already.
func mastered(seen map[string]model.VRRPSeen) map[string]bool {
	out := map[string]bool{}
	for name, s := range seen {
		out[name] = s.State == model.VRRPMaster
	}
	return out
}

// withRouters plans two services, the first of which has an address of the router VI_1.
func withRouters(seen map[string]model.VRRPSeen, routers ...model.VirtualRouter) model.Desired {
	s := spec("192.0.2.10 192.0.2.11", server("198.51.100.11", model.DR))
	s.VirtualRouters = routers
	want, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11"), VRRP: seen, Balanced: mastered(seen)}, time.Time{})
	return want
}

// TestOnlyTheMasterHoldsAndServes the addresses of a virtual router; what is in none is as without.
func TestOnlyTheMasterHoldsAndServes(t *testing.T) {
	const without = "192.0.2.11 on eth0"
	r := virtualRouter("VI_1", "192.0.2.10/24", "192.0.2.254/32")
	down := r
	down.Interface = "eth7"
	for _, c := range []struct {
		name   string
		router model.VirtualRouter
		seen   map[string]model.VRRPSeen
		want   string
		serves string
	}{
		{"nothing is known yet", r, nil, without, "false true"},
		{"init", r, inState("VI_1", model.VRRPInit), without, "false true"},
		{"backup", r, inState("VI_1", model.VRRPBackup), without, "false true"},
		{"fault", r, inState("VI_1", model.VRRPFault), without, "false true"},
		{"another one is master", r, inState("VI_2", model.VRRPMaster), without, "false true"},
		{"its interface has just gone", down, inState("VI_1", model.VRRPMaster), without, "false true"},
		{"master", r, inState("VI_1", model.VRRPMaster), without + ", 192.0.2.10/24 on eth0, 192.0.2.254 on eth0", "true true"},
	} {
		got := withRouters(c.seen, c.router)
		var vips, serves []string
		for _, v := range got.Address.VIPs {
			text := v.Address.String()
			if v.Bits > 0 {
				text += fmt.Sprint("/", v.Bits)
			}
			vips = append(vips, text+" on "+v.Interface)
		}
		for _, s := range got.Dataplane.Services {
			serves = append(serves, fmt.Sprint(s.Serving))
		}
		if diff := cmp.Diff(c.want+"; "+c.serves, strings.Join(vips, ", ")+"; "+strings.Join(serves, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestServicesAreThereWhereverTheAddressIs: they begin before it comes and end after it is gone.
func TestServicesAreThereWhereverTheAddressIs(t *testing.T) {
	s := spec("192.0.2.10", server("198.51.100.11", model.DR))
	s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", "192.0.2.10/24")}
	yes, last := map[string]bool{"VI_1": true}, time.Unix(1000, 0)
	down := network("198.51.100.11")
	down.Links = nil
	lost, _ := plan.Make(s, model.Seen{Network: down, VRRP: inState("VI_1", model.VRRPMaster), Ceased: map[string]time.Time{"VI_1": last}}, time.Time{})
	if lost.Dataplane.Services[0].Serving || len(lost.Dataplane.Ceased) > 0 {
		t.Errorf("a master without its interface: serving %t, and it was master last at %v", lost.Dataplane.Services[0].Serving, lost.Dataplane.Ceased)
	}
	for _, c := range []struct {
		name           string
		state          model.VRRPState
		balanced, held map[string]bool
		holds, serves  bool
	}{
		{"master a moment ago", model.VRRPMaster, nil, nil, false, true},
		{"served", model.VRRPMaster, yes, nil, true, true},
		{"held", model.VRRPMaster, yes, yes, true, true},
		{"backup a moment ago", model.VRRPBackup, yes, yes, false, true},
		{"the address is gone", model.VRRPBackup, yes, nil, false, false},
	} {
		seen := model.Seen{Network: network("198.51.100.11"), VRRP: inState("VI_1", c.state), Balanced: c.balanced, Held: c.held, Ceased: map[string]time.Time{"VI_1": last}}
		want, _ := plan.Make(s, seen, time.Time{})
		if at, told := want.Dataplane.Ceased["VI_1"]; told != (c.state == model.VRRPBackup && !c.serves) || told && at != last {
			t.Errorf("%s: of when it was master last the path knows %v", c.name, at)
		}
		if holds, serves := want.Address.Routers["VI_1"], want.Dataplane.Services[0].Serving; holds != c.holds || serves != c.serves {
			t.Errorf("%s: it holds the address: %t, serves: %t", c.name, holds, serves)
		}
		if holds := len(want.Address.VIPs) > 0; holds != c.holds {
			t.Errorf("%s: it holds %v", c.name, want.Address.VIPs)
		}
	}
}

// TestClosedAddressesAreOpenForTheirServices, whoever is master: there is no moment at which an address is here without.
func TestClosedAddressesAreOpenForTheirServices(t *testing.T) {
	r, other := virtualRouter("VI_1", "192.0.2.10/24", "192.0.2.254/32"), virtualRouter("VI_2", "192.0.2.11/32")
	r.Closed = true
	s := spec("192.0.2.10 192.0.2.11", server("198.51.100.11", model.DR))
	s.VirtualRouters = []model.VirtualRouter{r, other}
	first := s.Services[0].Key
	want := []model.ClosedAddress{{Address: first.Address, Services: []model.ServiceKey{first}}, {Address: netip.MustParseAddr("192.0.2.254")}}
	for _, state := range []model.VRRPState{model.VRRPBackup, model.VRRPMaster, model.VRRPFault} {
		got, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11"), VRRP: inState("VI_1", state)}, time.Time{})
		if diff := cmp.Diff(want, got.Address.Closed, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", state, diff)
		}
	}
}

// TestVirtualMACIsTheMasters: its interface takes frames to it, and the addresses are there, without their network. The
// interface does not answer for them on a backup either.
func TestVirtualMACIsTheMasters(t *testing.T) {
	r, last, plain := virtualRouter("VI_1", "192.0.2.10/24"), virtualRouter("VI_255", "192.0.2.30/32"), virtualRouter("VI_2", "192.0.2.20/24")
	r.VirtualMAC, last.VirtualMAC, last.ID, plain.ID = true, true, 255, 52
	far := r
	far.Addresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.99/24")}
	addr, first, second := netip.MustParseAddr, model.MAC{0, 0, 0x5e, 0, 1, 51}, model.MAC{0, 0, 0x5e, 0, 1, 255}
	for _, c := range []struct {
		name  string
		state model.VRRPState
		vips  []model.VIP
		macs  []model.MAC
	}{
		{"backup", model.VRRPBackup, nil, nil},
		{"master", model.VRRPMaster, []model.VIP{{Address: addr("192.0.2.10"), Interface: "eth0", MAC: first}, {Address: addr("192.0.2.30"), Interface: "eth0", MAC: second},
			{Address: addr("192.0.2.20"), Interface: "eth0", Bits: 24}}, []model.MAC{first, second}},
	} {
		seen := map[string]model.VRRPSeen{"VI_1": {State: c.state}, "VI_255": {State: c.state}, "VI_2": {State: c.state}}
		got := withRouters(seen, r, last, plain)
		vips := slices.DeleteFunc(got.Address.VIPs, func(v model.VIP) bool { return v.Address == addr("192.0.2.11") }) // in no virtual router
		if diff := cmp.Diff(c.vips, vips, cmp.Comparer(func(a, b model.VIP) bool { return a == b })); len(vips)+len(c.vips) > 0 && diff != "" {
			t.Errorf("%s: addresses (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff([]string{"eth0"}, got.Address.OwnARP); diff != "" {
			t.Errorf("%s: for its own addresses alone answers (-want +got):\n%s", c.name, diff)
		}
		for _, i := range got.Dataplane.Interfaces {
			var want []model.MAC
			if i.Name == "eth0" {
				want = c.macs
			}
			if diff := cmp.Diff(want, i.VirtualMACs); diff != "" {
				t.Errorf("%s: frames that %s takes (-want +got):\n%s", c.name, i.Name, diff)
			}
		}
	}
	problems := withRouters(inState("VI_1", model.VRRPMaster), far).Problems
	if len(problems) != 1 || !strings.HasPrefix(problems[0].Fix, "correct it, or give eth0 an address in its network: with `mac: virtual`") {
		t.Errorf("an address in no network of its interface: %+v", problems)
	}
}

// TestAHandoverIsNotOverBeforeItIsDone: what is only on its way is taken for what does more harm.
func TestAHandoverIsNotOverBeforeItIsDone(t *testing.T) {
	yes, no := map[string]bool{"VI_1": true}, map[string]bool{}
	with := func(balanced, held map[string]bool) (out model.Desired) {
		out.Dataplane.Routers, out.Address.Routers = balanced, held
		return out
	}
	for _, c := range []struct {
		name           string
		seen           model.Seen
		desired        model.Desired
		balanced, held bool
	}{
		{"services come", model.Seen{}, with(yes, no), false, false},
		{"the address comes", model.Seen{Balanced: yes}, with(yes, yes), true, true},
		{"the address goes", model.Seen{Balanced: yes, Held: yes}, with(yes, no), true, true},
		{"services go", model.Seen{Balanced: yes, Held: no}, with(no, no), false, false},
	} {
		got := plan.Remember(c.seen, c.desired, time.Time{})
		if got.Balanced["VI_1"] != c.balanced || got.Held["VI_1"] != c.held {
			t.Errorf("%s: balanced %v, held %v", c.name, got.Balanced, got.Held)
		}
	}
	if !yes["VI_1"] || len(no) > 0 {
		t.Error("what is shared with readers was changed")
	}
}

// TestABackupIsReady: but for addresses and for serving, it has all that the master has.
func TestABackupIsReady(t *testing.T) {
	r := virtualRouter("VI_1", "192.0.2.10/24")
	backup, master := withRouters(inState("VI_1", model.VRRPBackup), r), withRouters(inState("VI_1", model.VRRPMaster), r)
	if backup.Dataplane.Services[0].Serving || !master.Dataplane.Services[0].Serving {
		t.Fatal("the backup serves, or the master does not")
	}
	backup.Address.VIPs, backup.Dataplane.Services[0].Serving = master.Address.VIPs, true
	backup.Address.Routers, backup.Dataplane.Routers = master.Address.Routers, master.Dataplane.Routers
	same := cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})
	if diff := cmp.Diff(master, backup, same); diff != "" {
		t.Errorf("(-master +backup)\n%s", diff)
	}
}

// TestTheProgramIsWhereTheMasterWillBe, although no network of the interface has the address.
func TestTheProgramIsWhereTheMasterWillBe(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"203.0.113.10/24", "eth0 eth1"},
		{"203.0.113.99/24", "eth1"}, // no service has it
	} {
		s := spec("203.0.113.10", server("198.51.100.11", model.DR))
		s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", c.address)}
		var got []string
		for _, i := range desired(s, network("198.51.100.11")).Dataplane.Interfaces {
			got = append(got, i.Name)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: on %q, want %q", c.address, text, c.want)
		}
	}
}

// TestServiceLingers: clients have not heard of the new master yet, who may not be there before its skew is over.
func TestServiceLingers(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	s := spec("192.0.2.10", server("198.51.100.11", model.DR), server("198.51.100.12", model.DR))
	s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", "192.0.2.10/24")}
	away, local := network("198.51.100.11", "198.51.100.12"), network("198.51.100.11", "198.51.100.12")
	local.Routes[netip.MustParseAddr("198.51.100.12")] = model.Route{Link: 1, Local: true}
	for _, c := range []struct {
		name    string
		network model.Network
		state   model.VRRPState
		ago     time.Duration // since it was master last; 0: it never was
		want    string
		next    time.Duration // from now
	}{
		{"master", away, model.VRRPMaster, 5 * time.Second, "serves", 5 * time.Second},
		{"backup from the start", away, model.VRRPBackup, 0, "", 0},
		{"backup since a moment ago", away, model.VRRPBackup, time.Millisecond, "lingers", 9999 * time.Millisecond},
		{"just long enough", away, model.VRRPBackup, 10 * time.Second, "", 0},
		{"a server is this host", local, model.VRRPBackup, time.Millisecond, "lingers", 9999 * time.Millisecond},
		{"fault", away, model.VRRPFault, time.Second, "lingers", 9 * time.Second},
	} {
		seen := model.Seen{Network: c.network, VRRP: inState("VI_1", c.state), Ceased: map[string]time.Time{}}
		if c.ago > 0 {
			seen.Ceased["VI_1"] = now.Add(-c.ago)
		}
		desired, next := plan.Make(s, seen, now)
		got := ""
		switch service := desired.Dataplane.Services[0]; {
		case service.Serving:
			got = "serves"
		case service.Lingers:
			got = "lingers"
		}
		if got != c.want {
			t.Errorf("%s: it %q, want %q", c.name, got, c.want)
		}
		if c.next == 0 && !next.IsZero() || c.next > 0 && !next.Equal(now.Add(c.next)) {
			t.Errorf("%s: next at %v, want %v", c.name, next, now.Add(c.next))
		}
	}
}

// TestWhatBeginsWhereAServiceLingers goes by hash only where the new master would do the same with its next packet.
func TestWhatBeginsWhereAServiceLingers(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	here, away := network("198.51.100.11"), network("198.51.100.11")
	here.Routes[netip.MustParseAddr("198.51.100.11")] = model.Route{Link: 1, Local: true}
	for name, c := range map[string]struct {
		change  func(*model.Service)
		network model.Network
		want    model.Unknown
	}{
		"load is dealt out":           {func(s *model.Service) { s.Scheduler = model.WLC }, away, 0},
		"by itself":                   {func(s *model.Service) { s.Unknown = model.PassUnknown }, away, model.PassUnknown},
		"one server is meant":         {func(s *model.Service) { s.Scheduler = model.FO }, away, model.PassUnknown},
		"the client's server":         {func(s *model.Service) { s.Scheduler = model.SH }, away, model.PassUnknown},
		"the client's server, here":   {func(s *model.Service) { s.Scheduler = model.SH }, here, 0},
		"persistence":                 {func(s *model.Service) { s.Persistence.Timeout = time.Minute }, away, model.PassUnknown},
		"datagrams that begin a flow": {func(s *model.Service) { s.Key.Protocol = model.UDP }, away, model.PassUnknown},
		"datagrams that do not":       {func(s *model.Service) { s.Key.Protocol, s.OnePacket = model.UDP, true }, away, 0},
	} {
		s := spec("192.0.2.10", server("198.51.100.11", model.DR))
		s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", "192.0.2.10/24")}
		s.Services[0].Scheduler = model.RR
		c.change(&s.Services[0])
		seen := model.Seen{Network: c.network, VRRP: inState("VI_1", model.VRRPBackup), Ceased: map[string]time.Time{"VI_1": now.Add(-time.Second)}}
		besideLVS := s
		besideLVS.Sync.IPVS.Interface = "eth0"
		desired, _ := plan.Make(besideLVS, seen, now)
		local := c.network.Routes[s.Services[0].Servers[0].Key.Address].Local
		if passes := desired.Dataplane.Services[0].Unknown == model.PassUnknown; passes == local {
			t.Errorf("%s, beside a director of LVS: unknown packets pass: %t", name, passes)
		}
		desired, _ = plan.Make(s, seen, now)
		if got := desired.Dataplane.Services[0]; got.Unknown != c.want || !got.Lingers {
			t.Errorf("%s: unknown packets %q, want %q; lingers: %t", name, got.Unknown, c.want, got.Lingers)
		}
		seen.Ceased = nil
		desired, _ = plan.Make(s, seen, now)
		if got := desired.Dataplane.Services[0]; got.Unknown != s.Services[0].Unknown || got.Lingers {
			t.Errorf("%s, later: unknown packets %q, want %q; lingers: %t", name, got.Unknown, s.Services[0].Unknown, got.Lingers)
		}
	}
}

// TestServesOnlyWhenMasterOfAllItsAddresses: half a service would answer clients of the other half's master.
func TestServesOnlyWhenMasterOfAllItsAddresses(t *testing.T) {
	s := spec("192.0.2.10")
	also := s.Services[0].Key
	also.Address = netip.MustParseAddr("192.0.2.11")
	s.Services[0].Also = []model.ServiceKey{also}
	s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", "192.0.2.10/32"), virtualRouter("VI_2", "192.0.2.11/32")}
	for _, c := range []struct {
		second model.VRRPState
		want   bool
	}{{model.VRRPBackup, false}, {model.VRRPMaster, true}} {
		seen := model.Seen{Network: network(), VRRP: map[string]model.VRRPSeen{"VI_1": {State: model.VRRPMaster}, "VI_2": {State: c.second}}}
		got, _ := plan.Make(s, seen, time.Time{})
		if serves := got.Dataplane.Services[0].Serving; serves != c.want {
			t.Errorf("with %s of the second address: serving %v", c.second, serves)
		}
	}
}

// TestServicesOfAnyDestinationLeaveVirtualAddressesAlone, those too that are not here yet.
func TestServicesOfAnyDestinationLeaveVirtualAddressesAlone(t *testing.T) {
	s := spec("0.0.0.0")
	s.VirtualRouters = []model.VirtualRouter{virtualRouter("VI_1", "192.0.2.254/24")}
	got := desired(s, network()).Dataplane
	if !slices.Contains(got.Own, netip.MustParseAddr("192.0.2.254")) || !got.Services[0].Serving {
		t.Errorf("own addresses %v, serving %v", got.Own, got.Services[0].Serving)
	}
}

// TestRouterSaysWhyItCannotTakePart: virtual addresses are no sources, but of their owner.
func TestRouterSaysWhyItCannotTakePart(t *testing.T) {
	bare, silent := network(), network()
	bare.Links[1].Prefixes = prefixes("192.0.2.10/24", "192.0.2.99/24", "2001:db8:a::1/64", "fe80::99/64")
	silent.Links[1].Up = false
	good := network()
	good.Links[1].Prefixes = append(prefixes("fe80::1/64"), eth0.Prefixes...)
	v4, v6 := virtualRouter("VI_1", "192.0.2.99/24"), virtualRouter("VI_6", "fe80::99/64", "2001:db8:a::99/64")
	owner, nowhere, named, strange := v4, v4, v4, v4
	owner.Priority, nowhere.Interface = 255, "eth7"
	again, alone := network(), network() // the interface's own address was removed, and added again
	again.Links[1].Prefixes = prefixes("192.0.2.98/24", "192.0.2.10/24", "fe80::98/64", "192.0.2.99/24", "2001:db8:a::1/64", "192.0.2.7/24", "fe80::7/64", "192.0.2.8/24")
	alone.Links[1].Prefixes = prefixes("192.0.2.98/24", "fe80::98/64")
	peered, lonely, apart := v6, v6, v6
	peered.Peers = []model.Addr{netip.MustParseAddr("2001:db8:a::2")}
	lonely.Peers, apart.Peers = []model.Addr{netip.MustParseAddr("fe80::2")}, []model.Addr{netip.MustParseAddr("2001:db8:77::2")}
	named.Source, strange.Source = netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	for _, c := range []struct {
		name    string
		router  model.VirtualRouter
		network model.Network
		link    int
		source  string
		want    string
	}{
		{"IPv4", v4, good, 2, "192.0.2.1", ""},
		{"IPv6", v6, good, 2, "fe80::1", ""},
		{"missing", nowhere, good, 0, "", "interface eth7 is missing"},
		{"down", v4, silent, 2, "", "interface eth0 is down"},
		{"virtual IPv4 addresses only", v4, bare, 2, "", "interface eth0 has no IPv4 address of its own to send adverts from"},
		{"virtual link-local address only", v6, bare, 2, "", "interface eth0 has no link-local address to send adverts from"},
		{"virtual addresses of another only", v4, alone, 2, "", "interface eth0 has no IPv4 address of its own to send adverts from"},
		{"virtual link-local address of another only", v6, alone, 2, "", "interface eth0 has no link-local address to send adverts from"},
		{"behind virtual addresses", v4, again, 2, "192.0.2.7", ""},
		{"behind virtual link-local addresses", v6, again, 2, "fe80::7", ""},
		{"the owner", owner, bare, 2, "192.0.2.99", ""},
		{"the owner with another address", owner, again, 2, "192.0.2.7", ""},
		{"to a peer in a network of its own", peered, again, 2, "2001:db8:a::1", ""},
		{"to a link-local peer", lonely, again, 2, "fe80::7", ""},
		{"to a peer in no network of its own", apart, again, 2, "", "interface eth0 has no address in a network with 2001:db8:77::2"},
		{"a source of another interface", named, bare, 2, "198.51.100.1", ""},
		{"a source of another host", strange, good, 2, "198.51.100.2", "source 198.51.100.2 is no address of this host"},
	} {
		s := spec("192.0.2.10")
		s.VirtualRouters = []model.VirtualRouter{c.router, virtualRouter("VI_2", "192.0.2.98/24"), virtualRouter("VI_62", "fe80::98/64")}
		got := desired(s, c.network).VRRP[0]
		if got.Fault != c.want || got.Link != c.link || got.Name != c.router.Name {
			t.Errorf("%s: link %d, fault %q; want %d, %q", c.name, got.Link, got.Fault, c.link, c.want)
		}
		if got.Source.IsValid() != (c.source != "") || got.Source.IsValid() && got.Source.String() != c.source {
			t.Errorf("%s: from %s, want %q", c.name, got.Source, c.source)
		}
	}
}

func TestProblemsOfVirtualRouters(t *testing.T) {
	good, far, own, nowhere := virtualRouter("VI_1", "192.0.2.99/32"), virtualRouter("VI_1", "203.0.113.99/32"),
		virtualRouter("VI_1", "203.0.113.99/24"), virtualRouter("VI_1", "192.0.2.99/32")
	nowhere.Interface = "eth7"
	owner, unheard, heard, six := good, virtualRouter("VI_1", "192.0.2.1/24"), virtualRouter("VI_1", "192.0.2.1/24"), virtualRouter("VI_1", "2001:db8:a::1/64")
	owner.Priority, unheard.Priority, heard.Priority, six.Priority = 255, 255, 255, 255
	heard.Source, six.Source = netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:a::1")
	for _, c := range []struct {
		name   string
		router model.VirtualRouter
		seen   model.VRRPSeen
		want   string
	}{
		{"well", good, model.VRRPSeen{State: model.VRRPMaster}, ""},
		{"no interface", nowhere, model.VRRPSeen{}, "virtual router VI_1 is in fault: interface eth7 is missing"},
		{"what only it knows", good, model.VRRPSeen{State: model.VRRPFault, Why: "no socket"}, "virtual router VI_1 is in fault: no socket"},
		{"mute", good, model.VRRPSeen{State: model.VRRPBackup, Unsaid: "not permitted"}, "virtual router VI_1 cannot advertise: not permitted"},
		{"conflict", good, model.VRRPSeen{Conflict: "192.0.2.9 advertises"}, "virtual router VI_1 is in conflict: 192.0.2.9 advertises"},
		{"held back", good, model.VRRPSeen{Held: "no witness answers"}, "virtual router VI_1 does not take over from a master who is silent: no witness answers"},
		{"a silent path", good, model.VRRPSeen{Silent: "eth1 brings no advert"}, "virtual router VI_1 is less guarded against two masters than it should be: eth1 brings no advert"},
		{"outside", far, model.VRRPSeen{}, "virtual router VI_1: address 203.0.113.99: no network of eth0 has it: nobody there asks for it, and only a route leads to it"},
		{"with its network", own, model.VRRPSeen{}, ""},
		{"an owner with an address beside it", owner, model.VRRPSeen{}, ""},
		{"an owner that has no other", unheard, model.VRRPSeen{}, "virtual router VI_1 advertises from a virtual address: whoever takes over has 192.0.2.1, too, and does not hear what comes from there: both are master when this director is back"},
		{"an owner that advertises from elsewhere", heard, model.VRRPSeen{}, ""},
		{"an owner of IPv6, which is heard", six, model.VRRPSeen{}, ""},
	} {
		var got []string
		for _, p := range withRouters(map[string]model.VRRPSeen{"VI_1": c.seen}, c.router).Problems {
			if p.Fix == "" {
				t.Errorf("%s: %+v names no way out", c.name, p)
			}
			got = append(got, p.What+": "+p.Why)
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

// TestRoutesAreWhereTheAddressesAre: a master has them as soon as it may hold the addresses, on its interface unless
// another one is written, and what is in their way is told with a way out.
func TestRoutesAreWhereTheAddressesAre(t *testing.T) {
	r := virtualRouter("VI_1", "192.0.2.10/24")
	every := model.VirtualRoute{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.1"), Table: model.MainTable}
	other := model.VirtualRoute{To: netip.MustParsePrefix("203.0.113.0/24"), Interface: "eth1", Metric: 7, Table: 100}
	r.Routes = []model.VirtualRoute{every, other}
	every.Interface = "eth0"
	both := []model.RouteWant{{VirtualRoute: every, Router: "VI_1"}, {VirtualRoute: other, Router: "VI_1"}}
	for state, want := range map[model.VRRPState][]model.RouteWant{model.VRRPBackup: nil, model.VRRPFault: nil, model.VRRPMaster: both} {
		if diff := cmp.Diff(want, withRouters(inState("VI_1", state), r).Address.Routes, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
	}
	s := spec("192.0.2.10", server("198.51.100.11", model.DR))
	s.VirtualRouters = []model.VirtualRouter{r}
	desired, _ := plan.Make(s, model.Seen{Network: network("198.51.100.11"), Unrouted: map[model.RouteWant]model.RouteTrouble{
		both[0]: {Why: "this host has one: by static", Taken: true}, both[1]: {Why: "network is unreachable"},
	}}, time.Time{})
	want := []model.Problem{
		{What: "virtual router VI_1: route 0.0.0.0/0 via 192.0.2.1 dev eth0 is not there", Why: "this host has one: by static",
			Fix: "remove that one (ip route del), or write another `metric:` beside that of VI_1"},
		{What: "virtual router VI_1: route 203.0.113.0/24 dev eth1 table 100 metric 7 is not there", Why: "network is unreachable",
			Fix: "correct `routes:` of VI_1: its next hop must be in a network of its interface; weir tries again by itself"},
	}
	if diff := cmp.Diff(want, desired.Problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPathsHaveTheAddressInTheNetworkOfTheirPeer: whoever is elsewhere is not reached with a TTL of 255. None of them is
// needed, so one that cannot be used is no fault.
func TestPathsHaveTheAddressInTheNetworkOfTheirPeer(t *testing.T) {
	on := network()
	on.Links = append(on.Links, model.Link{Index: 7, Name: "cross", Up: true, Prefixes: prefixes("203.0.113.2/24", "10.9.0.2/24", "fe80::2/64")},
		model.Link{Index: 8, Name: "dark"})
	path := func(link, peer, source string) model.VRRPPath {
		p := model.VRRPPath{Interface: link, Peer: netip.MustParseAddr(peer), Director: netip.MustParseAddr("192.0.2.3")}
		if source != "" {
			p.Source = netip.MustParseAddr(source)
		}
		return p
	}
	for _, c := range []struct {
		name   string
		path   model.VRRPPath
		link   int
		source string
		fault  string
	}{
		{"behind another address", path("cross", "10.9.0.3", ""), 7, "10.9.0.2", ""},
		{"IPv6", path("cross", "fe80::3", ""), 7, "fe80::2", ""},
		{"its source", path("cross", "10.9.0.3", "203.0.113.2"), 7, "203.0.113.2", ""},
		{"no network", path("cross", "10.8.0.3", ""), 7, "invalid IP", "interface cross has no address in a network with 10.8.0.3"},
		{"a source of another host", path("cross", "10.9.0.3", "10.9.0.4"), 7, "10.9.0.4", "source 10.9.0.4 is no address of this host"},
		{"down", path("dark", "10.9.0.3", ""), 8, "invalid IP", "interface dark is down"},
		{"missing", path("eth7", "10.9.0.3", ""), 0, "invalid IP", "interface eth7 is missing"},
	} {
		s := spec("192.0.2.10")
		r := virtualRouter("VI_1", "192.0.2.99/24")
		r.Paths = []model.VRRPPath{c.path}
		s.VirtualRouters = []model.VirtualRouter{r}
		got := desired(s, on).VRRP[0]
		if way := got.Ways[0]; got.Fault != "" || way.Link != c.link || way.Source.String() != c.source || way.Fault != c.fault {
			t.Errorf("%s: %+v, and %q", c.name, way, got.Fault)
		}
	}
}
