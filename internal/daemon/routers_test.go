// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

const fronted = "vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24]}]\n" + web

// turns lets the virtual router front become something, and all be quiet then.
func (s *stage) turns(state model.VRRPState) {
	s.routerChanged(vrrp.Change{Name: "front", Seen: model.VRRPSeen{State: state, Since: time.Now()}})
	synctest.Wait()
}

// stands says of front whether the address is wanted here, services are served, and others may be told that it is not here.
func (s *stage) stands() string {
	synctest.Wait()
	return fmt.Sprintf("address %t, served %t, released %d",
		s.address.last().Routers["front"], s.paths.last().Services[0].Serving, len(s.released.all()))
}

func (s *stage) stand(when, want string) {
	s.t.Helper()
	if got := s.stands(); got != want {
		s.t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// TestOthersAreToldLast: the address goes, then its services end, and then another director may have it.
func TestOthersAreToldLast(t *testing.T) {
	for _, state := range []model.VRRPState{model.VRRPBackup, model.VRRPInit, model.VRRPFault} {
		play(t, fronted, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.stand("nothing is known", "address false, served false, released 0")
			s.turns(model.VRRPMaster)
			s.stand("master", "address true, served true, released 0")
			s.address.meets(host{takes: 50 * time.Millisecond})
			s.paths.meets(host{takes: 50 * time.Millisecond})
			s.turns(state)
			s.stand("at once", "address false, served true, released 0")
			time.Sleep(60 * time.Millisecond)
			s.stand("the address has gone", "address false, served false, released 0")
			time.Sleep(50 * time.Millisecond)
			s.stand("services have ended", "address false, served false, released 1")
			s.see(mac, "192.0.2.11")
			s.stand("once", "address false, served false, released 1")
		})
	}
}

// TestARemovedRouterIsLetGo as one that becomes backup, although the configuration knows it no more. Its address is
// that of a service still.
func TestARemovedRouterIsLetGo(t *testing.T) {
	for name, learns := range map[string]time.Duration{"it ends first": 0, "its address goes first": time.Second} {
		play(t, fronted, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.turns(model.VRRPMaster)
			s.address.meets(host{takes: 50 * time.Millisecond})
			s.write(web)
			if _, err := s.Reload(s.t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(learns)
			s.turns(model.VRRPInit)
			if learns == 0 && len(s.released.all()) > 0 {
				t.Errorf("%s: it is let go of before its address is gone", name)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if !slices.Equal(s.released.all(), []string{"front"}) {
				t.Errorf("%s: let go of are %q", name, s.released.all())
			}
		})
	}
}

// TestAShortReignIsLetGoAtOnce: no address has come.
func TestAShortReignIsLetGoAtOnce(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.paths.meets(host{takes: 50 * time.Millisecond})
		s.turns(model.VRRPMaster)
		s.stand("its services come", "address false, served true, released 0")
		s.turns(model.VRRPBackup)
		time.Sleep(110 * time.Millisecond)
		s.stand("they have gone again", "address false, served false, released 1")
		if slices.ContainsFunc(s.address.all(), func(w model.AddressWant) bool { return w.Routers["front"] }) {
			t.Error("the address was here")
		}
	})
}

// TestNobodyIsToldOfWhatIsNotDone: who waits for it has a bound of his own.
func TestNobodyIsToldOfWhatIsNotDone(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.turns(model.VRRPMaster)
		s.paths.meets(host{err: errors.New("busy")})
		s.turns(model.VRRPBackup)
		time.Sleep(10 * time.Second)
		s.stand("services cannot be ended", "address false, served false, released 0")
		s.paths.meets(host{})
		time.Sleep(10 * time.Second)
		s.stand("they can", "address false, served false, released 1")
		if now := s.state.Load().seen.Applied.Dataplane; strings.Contains(now, "busy") {
			t.Errorf("it says %q still", now)
		}
	})
}

// leases are those of addresses, by their text.
type leases map[string]bool

func (l leases) Leased(a model.Addr) (bool, error) { return l[a.String()], nil }

// TestWhatAnEarlierDaemonHeldIsKnown, by its lease and by its journal.
func TestWhatAnEarlierDaemonHeldIsKnown(t *testing.T) {
	spec := model.Spec{VirtualRouters: []model.VirtualRouter{
		{Name: "front", Interface: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("192.0.2.20/32")}},
		{Name: "back", Interface: "eth1", Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.10/24")}},
		{Name: "six", Interface: "eth2", Addresses: []netip.Prefix{netip.MustParsePrefix("fe80::53/128"), netip.MustParsePrefix("2001:db8::10/64")}},
		{Name: "in", Interface: "eth4", Group: "pair", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.30/24")}},
		{Name: "out", Interface: "eth5", Group: "pair", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.31/24")}},
		{Name: "local", Interface: "eth3", Addresses: []netip.Prefix{netip.MustParsePrefix("fe80::53/128")}},
	}}
	put := func(link string, addresses ...string) (out []model.VIP) {
		for _, a := range addresses {
			out = append(out, model.VIP{Address: netip.MustParseAddr(a), Interface: link, Bits: 24})
		}
		return out
	}
	for _, c := range []struct {
		name         string
		leases       leases
		put          []model.VIP
		master, held string
	}{
		{"nothing", nil, nil, "[]", "[]"},
		{"master until a moment ago", leases{"192.0.2.10": true, "192.0.2.20": true}, put("eth0", "192.0.2.10", "192.0.2.20"), "[front]", "[front]"},
		{"its addresses were there before weir", leases{"192.0.2.10": true, "192.0.2.20": true}, nil, "[front]", "[front]"},
		{"the lease is over", nil, put("eth0", "192.0.2.10", "192.0.2.20"), "[]", "[front]"},
		{"one address is left", nil, put("eth0", "192.0.2.20"), "[]", "[front]"},
		{"it is on another link", nil, put("eth1", "192.0.2.20"), "[]", "[]"},
		{"the link-local address of two has no lease", leases{"2001:db8::10": true}, put("eth2", "fe80::53"), "[six]", "[six]"},
		{"it alone says nothing", leases{"fe80::53": true}, put("eth3", "fe80::53"), "[]", "[local]"},
		{"all of a group", leases{"192.0.2.30": true, "192.0.2.31": true}, nil, "[in out]", "[in out]"},
		{"a part of a group", leases{"192.0.2.30": true}, put("eth4", "192.0.2.30"), "[]", "[in]"},
		{"one of two", leases{"198.51.100.10": true}, append(put("eth0", "192.0.2.10"), put("eth1", "198.51.100.10")...), "[back]", "[back front]"},
	} {
		var seen model.Seen
		if err := recall(&seen, spec, c.leases, c.put, time.Time{}); err != nil {
			t.Error(err)
		}
		master := fmt.Sprint(slices.Sorted(maps.Keys(seen.VRRP)))
		if held := fmt.Sprint(slices.Sorted(maps.Keys(seen.Held))); master != c.master || held != c.held {
			t.Errorf("%s: master of %s, holds those of %s, want %s and %s", c.name, master, held, c.master, c.held)
		}
		for name := range seen.Held {
			if _, ceased := seen.Ceased[name]; ceased == (seen.VRRP[name].State == model.VRRPMaster) {
				t.Errorf("%s: %s is master or has ceased to be, not both: %v, %v", c.name, name, seen.VRRP[name], seen.Ceased)
			}
		}
	}
}

func TestWhenItWasMasterLastIsKnown(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var got map[string]time.Time
	was := model.VRRPSeen{}
	for i, c := range []struct {
		state model.VRRPState
		want  time.Time
	}{
		{model.VRRPBackup, time.Time{}},
		{model.VRRPMaster, time.Time{}},
		{model.VRRPBackup, at.Add(2 * time.Second)},
		{model.VRRPFault, at.Add(2 * time.Second)},
		{model.VRRPMaster, at.Add(2 * time.Second)},
		{model.VRRPFault, at.Add(5 * time.Second)},
	} {
		is := model.VRRPSeen{State: c.state, Since: at.Add(time.Duration(i) * time.Second)}
		got = ceased(got, "front", was, is)
		if was = is; !got["front"].Equal(c.want) {
			t.Errorf("step %d, %s: ceased at %v, want %v", i, c.state, got["front"], c.want)
		}
	}
}

// TestAnAddressOfAnEarlierDaemonGoesBeforeItsServices, and where it cannot be taken away they stay.
func TestAnAddressOfAnEarlierDaemonGoesBeforeItsServices(t *testing.T) {
	play(t, fronted, func(s *stage) {
		file := filepath.Join(filepath.Dir(s.options.Config), "host.json")
		hadPut(s.t, file, "192.0.2.10/24")
		var err error
		if s.journal, err = address.OpenJournal(file); err != nil {
			t.Fatal(err)
		}
		s.tellNow(func(seen *model.Seen) { err = recall(seen, s.spec, leases{}, s.journal.VIPs(), time.Now()) })
		s.turns(model.VRRPBackup)
		s.see(mac, "192.0.2.11")
		s.stand("the address cannot be taken away", "address false, served true, released 0")
		s.address.meets(host{does: func() { err = errors.Join(err, s.journal.Restore()) }})
		time.Sleep(time.Minute) // the same is applied again
		s.stand("it is gone", "address false, served false, released 1")
		if err != nil {
			t.Error(err)
		}
	})
}

// TestAnAddressThatStaysKeepsItsRouter from being let go of, also when the configuration knows that no more.
func TestAnAddressThatStaysKeepsItsRouter(t *testing.T) {
	d := &daemon{spec: model.Spec{VirtualRouters: []model.VirtualRouter{
		{Name: "front", Interface: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}},
		{Name: "back", Interface: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.20/24")}},
	}}}
	wide := model.VIP{Address: netip.MustParseAddr("192.0.2.20"), Interface: "eth0", Bits: 24}
	single := model.VIP{Address: netip.MustParseAddr("192.0.2.30"), Interface: "eth0"}
	want := model.AddressWant{VIPs: []model.VIP{wide, single}, Routers: map[string]bool{"back": true}}
	put := []model.VIP{wide, {Address: single.Address, Interface: "eth0", Bits: 32}}
	front := model.VIP{Address: netip.MustParseAddr("192.0.2.10"), Interface: "eth0", Bits: 24}
	before := map[string]bool{"front": true, "removed": true}
	for _, c := range []struct {
		name string
		put  []model.VIP
		want string
	}{
		{"all that is unwanted is gone", put, "[back]"},
		{"one is not", append(slices.Clone(put), front), "[back front removed]"},
	} {
		if got := fmt.Sprint(slices.Sorted(maps.Keys(d.holding(want, c.put, before)))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if len(want.Routers) != 1 {
		t.Error("what is shared with readers was changed")
	}
}

// TestAStopWaitsUntilNothingIsThere, but not for ever.
func TestAStopWaitsUntilNothingIsThere(t *testing.T) {
	for _, c := range []struct {
		name        string
		takes       time.Duration // for the address to go
		least, most time.Duration
		want        string
	}{
		{"soon", 20 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, "address false, served false, released 1"},
		{"a busy host", 2 * time.Second, 2 * time.Second, 2100 * time.Millisecond, "address false, served false, released 1"},
		{"too long", 10 * time.Second, partingWithin, partingWithin, "address false, served true, released 0"},
	} {
		play(t, fronted, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.turns(model.VRRPMaster)
			s.address.meets(host{takes: c.takes})
			ctx, cancel := context.WithTimeout(s.t.Context(), partingWithin)
			defer cancel()
			start := time.Now()
			s.routerChanged(vrrp.Change{Name: "front", Seen: model.VRRPSeen{State: model.VRRPInit, Since: start}})
			s.awaitGone(ctx, nil)
			if took := time.Since(start); took < c.least || took > c.most {
				t.Errorf("%s: it took %s, want %s to %s", c.name, took, c.least, c.most)
			}
			s.stand(c.name, c.want)
		})
	}
}

// TestAStopBeforeTheyHaveBegunLeavesNoAddress: an earlier daemon was master, and no virtual router says that it is none.
func TestAStopBeforeTheyHaveBegunLeavesNoAddress(t *testing.T) {
	for _, planned := range []bool{false, true} {
		play(t, fronted, func(s *stage) {
			var err error
			s.tellNow(func(seen *model.Seen) {
				err = recall(seen, s.spec, leases{"192.0.2.10": true}, nil, time.Now())
			})
			if planned {
				s.see(mac, "192.0.2.11")
				s.stand("it is master still", "address true, served true, released 0")
				s.vrrp = vrrp.NewRunner(nil, s.log) // nothing is to begin
			}
			ctx, stop := context.WithCancel(s.t.Context())
			stop()
			start, took := time.Now(), time.Duration(0)
			go func() {
				err = errors.Join(err, s.runRouters(ctx))
				took = time.Since(start)
			}()
			if !planned {
				s.see(mac, "192.0.2.11")
			}
			time.Sleep(partingWithin)
			s.stand("it has ended", "address false, served false, released 0")
			if err != nil || took > 100*time.Millisecond {
				t.Errorf("it ended after %s, %v", took, err)
			}
		})
	}
}

// TestAStopBeforeTheyHaveBegunTellsWhatIsLeftOfThePriority, as each other turn does.
func TestAStopBeforeTheyHaveBegunTellsWhatIsLeftOfThePriority(t *testing.T) {
	const tracking = "vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24], track: [{route: 0.0.0.0/0, weight: -30}]}]\n" + web
	play(t, tracking, func(s *stage) {
		s.see(mac, "192.0.2.11")
		network := s.state.Load().seen.Network
		network.Tracked = map[model.TrackRoute]bool{s.spec.TrackedRoutes()[0]: false}
		s.networkSeen(network)
		var err error
		s.tellNow(func(seen *model.Seen) {
			err = recall(seen, s.spec, leases{"192.0.2.10": true}, nil, time.Now())
		})
		synctest.Wait()
		s.vrrp = vrrp.NewRunner(nil, s.log) // nothing is to begin
		ctx, stop := context.WithCancel(s.t.Context())
		stop()
		err = errors.Join(err, s.runRouters(ctx))
		var told []string
		for _, e := range s.state.Load().past {
			told = append(told, fmt.Sprint(e.Kind, " ", e.Priority))
		}
		if diff := cmp.Diff([]string{"vrrp_master 70", "vrrp_stop 70"}, told); diff != "" || err != nil {
			t.Errorf("%s%v", diff, err)
		}
	})
}

// TestAStopWaitsForNothingThatIsNotThere, although no plan was made yet.
func TestAStopWaitsForNothingThatIsNotThere(t *testing.T) {
	play(t, web, func(s *stage) {
		ctx, stop := context.WithCancel(s.t.Context())
		stop()
		start := time.Now()
		if err := s.runRouters(ctx); err != nil || time.Since(start) > 0 {
			t.Errorf("it ended after %s, %v", time.Since(start), err)
		}
	})
}

// TestNoTurnIsLost, although several come before one plan, or while it is made.
func TestNoTurnIsLost(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		var want []model.EventKind
		for range 50 {
			s.routerChanged(vrrp.Change{Name: "front", Seen: model.VRRPSeen{State: model.VRRPMaster, Since: time.Now()}})
			s.routerChanged(vrrp.Change{Name: "front", Seen: model.VRRPSeen{State: model.VRRPBackup, Since: time.Now()}})
			want = append(want, model.VRRPToMaster, model.VRRPToBackup)
		}
		time.Sleep(time.Second)
		if got := s.happened(); !slices.Equal(got, want) {
			t.Errorf("%d are told, want %d: %q", len(got), len(want), got)
		}
	})
}

// happened are the events that were told.
func (s *stage) happened() (out []model.EventKind) {
	for _, e := range s.state.Load().past {
		out = append(out, e.Kind)
	}
	return out
}

// TestTheEndIsTold before all else ends, also where nothing of a virtual router is here, and whether a plan comes before
// the stop or after it.
func TestTheEndIsTold(t *testing.T) {
	for range 50 {
		play(t, fronted, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.turns(model.VRRPBackup)
			ctx, stop := context.WithCancel(s.t.Context())
			stop()
			busy, still, told := make(chan struct{}), make(chan struct{}), ""
			s.tellNow(func(*model.Seen) { <-busy })
			go s.routerChanged(vrrp.Change{Name: "front", Seen: model.VRRPSeen{Since: time.Now(), Why: "weir stops"}, Over: true})
			synctest.Wait()
			go func() {
				err := s.runRouters(ctx)
				told = fmt.Sprint(s.happened(), err)
			}()
			synctest.Wait()
			go s.tellNow(func(*model.Seen) { <-still }) // before its plan, mostly
			synctest.Wait()
			close(busy)
			synctest.Wait()
			close(still)
			time.Sleep(partingWithin)
			if want := "[vrrp_backup vrrp_stop] <nil>"; told != want {
				t.Errorf("told is %s, want %s", told, want)
			}
		})
	}
}

// TestAStopThatWaitsMakesNoPlans: a plan may take longer than what it waits for.
func TestAStopThatWaitsMakesNoPlans(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.turns(model.VRRPMaster)
		s.address.meets(host{takes: 2 * time.Second})
		s.turns(model.VRRPInit)
		planned := make(chan *state, 2)
		for _, at := range []time.Duration{time.Second, 1500 * time.Millisecond} {
			time.AfterFunc(at, func() { planned <- s.state.Load() })
		}
		s.awaitGone(s.t.Context(), nil)
		if first, second := <-planned, <-planned; first != second {
			t.Error("it plans while it waits")
		}
	})
}

// TestAStopBelievesNoPlanOfBefore: an address may have come since.
func TestAStopBelievesNoPlanOfBefore(t *testing.T) {
	play(t, fronted, func(s *stage) {
		s.see(mac, "192.0.2.11")
		const later = 100 * time.Millisecond
		start := time.Now()
		time.AfterFunc(later, func() { s.tell(func(*model.Seen) {}) })
		if s.awaitGone(s.t.Context(), s.state.Load()); time.Since(start) < later {
			t.Errorf("it ended after %s", time.Since(start))
		}
	})
}

// TestVirtualRoutersEndFirst, whoever fails, and whoever hangs.
func TestVirtualRoutersEndFirst(t *testing.T) {
	broken := errors.New("netlink: receive: no memory")
	fails := func(context.Context) error { return broken }
	waits := func(ctx context.Context) error { <-ctx.Done(); return nil }
	for _, c := range []struct {
		name    string
		routers time.Duration // until they have ended
		part    func(context.Context) error
		within  time.Duration // of the failure, or of the stop after a second
		want    error
	}{
		{"a part fails", time.Second, fails, time.Second, broken},
		{"the daemon is stopped", time.Second, waits, 2 * time.Second, nil},
		{"a part fails on which they wait", time.Hour, fails, partingWithin, broken},
		{"it is stopped, and they hang", time.Hour, waits, time.Second + partingWithin, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			running, end := context.WithCancel(t.Context())
			defer end()
			start, ended := time.Now(), time.Duration(0)
			routers := func(ctx context.Context) error {
				<-ctx.Done()
				select {
				case <-time.After(c.routers):
				case <-running.Done():
				}
				return nil
			}
			other := func(ctx context.Context) error {
				<-ctx.Done()
				ended = time.Since(start)
				return nil
			}
			if err := together(ctx, running, end, routers, c.part, other); err != c.want {
				t.Errorf("%s: it ended as %v, want %v", c.name, err, c.want)
			}
			if ended != c.within {
				t.Errorf("%s: all else ended after %s, want %s", c.name, ended, c.within)
			}
		})
	}
}

func TestAllEndsWithVirtualRoutersThatFail(t *testing.T) {
	broken := errors.New("vrrp front: too many open files")
	running, end := context.WithCancel(t.Context())
	err := together(t.Context(), running, end, func(context.Context) error { return broken },
		func(ctx context.Context) error { <-ctx.Done(); return nil })
	if err != broken {
		t.Errorf("%v, want %v", err, broken)
	}
}

// TestKeysOfVirtualRoutersAreReadAgainWithEachRevision, and until they can be; who has had some goes on with them.
func TestKeysOfVirtualRoutersAreReadAgainWithEachRevision(t *testing.T) {
	var followed []string
	ring := &keyring{follow: func(wants []vrrp.Want) {
		for _, w := range wants {
			followed = append(followed, fmt.Sprint(w.Name, " ", w.Keys, " ", w.Fault != ""))
		}
	}}
	file := filepath.Join(t.TempDir(), "vrrp.key")
	wants := []model.VRRPWant{{VirtualRouter: model.VirtualRouter{Name: "plain"}},
		{VirtualRouter: model.VirtualRouter{Name: "front", Auth: model.VRRPAuth{KeyFile: file}}, Revision: 1}}
	write := func(id int) {
		t.Helper()
		key := strings.Repeat(fmt.Sprintf("%02x", id), 31) + "ff"
		if err := os.WriteFile(file, []byte(fmt.Sprint(id, " ", key)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(what string, expected ...string) {
		t.Helper()
		followed = nil
		if err := ring.Apply(t.Context(), slices.Clone(wants)); err != nil {
			followed = append(followed, "error")
		}
		if diff := cmp.Diff(expected, followed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	run("there is no file", "plain [] false", "front [] true", "error")
	run("still none", "plain [] false", "front [] true", "error")
	write(7)
	run("there is one", "plain [] false", "front [key 7] false")
	write(8)
	run("nobody has reloaded")
	wants[1].Source = netip.MustParseAddr("192.0.2.2")
	run("something else is wanted", "plain [] false", "front [key 7] false")
	wants[1].Revision = 2
	run("reloaded", "plain [] false", "front [key 8] false")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	wants[1].Revision = 3
	run("others can read it", "plain [] false", "front [key 8] false", "error")
	write(9)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	run("mended", "plain [] false", "front [key 9] false")
}
