// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/config"
	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/connsync/ipvs"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/notify"
	"github.com/weir-lb/weir/internal/process"
	"github.com/weir-lb/weir/internal/reconcile"
	"github.com/weir-lb/weir/internal/vrrp"
)

const web = `
services:
  - name: web
    address: 192.0.2.10:80
    protocol: tcp
    scheduler: rr
    forwarding: dr
    check: off
    servers: [{address: 192.0.2.11:80}]
`

// target remembers what it was told.
type target[W any] struct {
	mu    sync.Mutex
	wants []W
	host
}

// host is what a target meets.
type host struct {
	takes time.Duration // to apply
	does  func()        // what happens meanwhile; nil: nothing
	err   error
}

func (t *target[W]) Apply(ctx context.Context, want W) error {
	on := t.told(want)
	select {
	case <-time.After(on.takes):
	case <-ctx.Done():
	}
	if on.does != nil {
		on.does()
	}
	return on.err
}

func (t *target[W]) told(want W) host {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wants = append(t.wants, want)
	return t.host
}

// meets is what it will meet from now on.
func (t *target[W]) meets(h host) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.host = h
}

// all is what it was told.
func (t *target[W]) all() []W {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.wants)
}

// last is what it was told last.
func (t *target[W]) last() W {
	all := t.all()
	return all[len(all)-1]
}

// stage is a daemon without a kernel: only the owner and the two loops run.
type stage struct {
	*daemon
	t        *testing.T
	paths    target[model.DataplaneWant]
	address  target[model.AddressWant]
	sharing  target[sharing]
	released target[string] // virtual routers whose addresses nobody reaches here any more
	stop     context.CancelFunc
}

// play runs a story of the owner in fake time, from the configuration that it starts with.
func play(t *testing.T, text string, story func(*stage)) {
	file := filepath.Join(t.TempDir(), "weir.yaml")
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t}
		s.daemon = &daemon{
			options:   Options{Config: file, RunDir: "/run/weir"},
			log:       slog.New(slog.DiscardHandler),
			path:      &dataplane.Dataplane{},
			observer:  address.NewObserver(slog.New(slog.DiscardHandler)),
			claims:    address.NewClaimObserver(slog.New(slog.DiscardHandler)),
			monitor:   health.NewMonitor(nil, slog.New(slog.DiscardHandler)),
			processes: process.NewWatcher(slog.New(slog.DiscardHandler)),
			notifier:  notify.New(slog.New(slog.DiscardHandler)),
			began:     time.Now(),
			events:    make(chan event),
			urgent:    make(chan event),
			edits:     make(chan edit),
			pulses:    make(chan chan<- pulse),
			vrrp:      vrrp.NewRunner(func(string, time.Duration) error { return nil }, slog.New(slog.DiscardHandler)),
			release:   func(router string) { s.released.told(router) },
			parting:   map[string]bool{},
			bfd:       bfd.NewRunner(slog.New(slog.DiscardHandler)),
			peers:     connsync.New(nil, slog.New(slog.DiscardHandler)),
			lvs:       ipvs.NewRunner(nil, slog.New(slog.DiscardHandler)),
		}
		journal, err := address.OpenJournal(filepath.Join(filepath.Dir(file), "host.json"))
		if err != nil {
			t.Fatal(err)
		}
		s.journal = journal
		s.toPath = reconcile.NewLoop("dataplane", &s.paths, s.pathDone, s.log)
		s.toAddress = reconcile.NewLoop("address", &s.address, s.addressDone, s.log)
		s.toPeers = reconcile.NewLoop("sync", &s.sharing, s.sharingDone(), s.log)
		s.toRouters = reconcile.NewLoop("vrrp", &keyring{follow: s.vrrp.Follow}, func([]model.VRRPWant, error) {}, s.log)
		s.write(text)
		spec, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		s.spec = spec
		s.spec.Revision = 1
		ctx, cancel := context.WithCancel(s.t.Context())
		s.running, s.stop = ctx, cancel
		go s.own(ctx)
		go s.toPath.Run(ctx)
		go s.toAddress.Run(ctx)
		go s.toPeers.Run(ctx)
		go s.toRouters.Run(ctx)
		story(s)
		s.stop()
		synctest.Wait() // nobody hangs when the daemon ends
	})
}

// hadPut writes a journal that an earlier daemon has left: it has put an address on a link that is gone since.
func hadPut(t *testing.T, file, prefix string) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		err = os.WriteFile(file, fmt.Appendf(nil, `{"version": 1, "boot": %q, "changes": [{"kind": "address", "link": "eth0", "index": 2147483647, "prefix": %q}]}`,
			strings.TrimSpace(string(boot)), prefix), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.options.Config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// see lets the owner see a host with eth0, and time pass until all is quiet.
func (s *stage) see(mac model.MAC, following ...string) {
	server := netip.MustParseAddr("192.0.2.11")
	n := model.Network{
		Links: []model.Link{{
			Name: "eth0", Index: 2, MAC: model.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500, Up: true,
			Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")},
		}},
		Routes:     map[model.Addr]model.Route{server: {Link: 2}},
		Neighbours: map[model.Hop]model.MAC{{Link: 2, Address: server}: mac},
	}
	for _, a := range following {
		n.Following = append(n.Following, netip.MustParseAddr(a))
	}
	s.networkSeen(n)
	time.Sleep(time.Second)
	synctest.Wait()
}

// applied compares how often the targets were told something, and the revision that is in the maps.
func (s *stage) applied(paths, addresses int, revision uint64) {
	s.t.Helper()
	synctest.Wait()
	if len(s.paths.wants) != paths || len(s.address.wants) != addresses {
		s.t.Errorf("the path was told %d times, addresses %d times, want %d and %d", len(s.paths.wants), len(s.address.wants), paths, addresses)
	}
	if got := s.state.Load(); got != nil && got.seen.Applied.Revision != revision {
		s.t.Errorf("revision %d is applied, want %d", got.seen.Applied.Revision, revision)
	}
}

var mac = model.MAC{2, 0, 0, 0, 0, 3}

func TestNothingIsToldBeforeTheNetworkIsKnown(t *testing.T) {
	play(t, web, func(s *stage) {
		time.Sleep(time.Minute)
		s.applied(0, 0, 0)
		if _, err := s.Snapshot(s.t.Context()); !errors.Is(err, ErrStarting) {
			t.Errorf("snapshot: %v", err)
		}
		if _, err := s.Reload(s.t.Context()); !errors.Is(err, ErrStarting) {
			t.Errorf("reload: %v", err)
		}
		s.see(mac) // a look that has not asked for the server's route yet
		s.applied(0, 0, 0)
		s.see(mac, "192.0.2.11")
		s.applied(1, 1, 1)
	})
}

func TestTargetsAreToldWhatDiffers(t *testing.T) {
	play(t, web, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.see(mac, "192.0.2.11")
		s.applied(1, 1, 1)
		s.see(model.MAC{2, 0, 0, 0, 0, 9}, "192.0.2.11") // no matter to addresses
		s.applied(2, 1, 1)
		if got := s.paths.wants[1].Services[0].Servers[0].MAC; got[5] != 9 {
			t.Errorf("the server's MAC is %x", got)
		}
	})
}

func TestReloadBecomesARevision(t *testing.T) {
	play(t, web, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.write(strings.Replace(web, "rr", "wrr", 1))
		if revision, err := s.Reload(s.t.Context()); err != nil || revision != 2 {
			t.Fatal(revision, err)
		}
		if got := s.state.Load().desired.Dataplane.Revision; got != 2 {
			t.Errorf("revision 2 was answered, and everybody reads of %d", got)
		}
		time.Sleep(time.Second)
		s.applied(2, 1, 2)
		if got := s.paths.wants[1].Services[0].Scheduler; got != model.WRR {
			t.Errorf("the scheduler is %s", got)
		}
	})
}

func TestRefusedReloadChangesNothing(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a mistake":                {strings.Replace(web, "scheduler", "sheduler", 1), "weir.yaml:6:5"},
		"an interface that is not": {"interfaces: [{name: eth0}, {name: eth9}]" + web, "interface eth9: there is no such interface"},
		"another socket":           {"api: {unix: /run/other.sock}" + web, "restart it"},
	} {
		play(t, web, func(s *stage) {
			s.see(mac, "192.0.2.11")
			s.write(c.text)
			if _, err := s.Reload(s.t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			time.Sleep(time.Second)
			s.applied(1, 1, 1)
		})
	}
}

// TestVanishedInterfaceIsNoReasonToRefuseAReload: it was there when it was named.
func TestVanishedInterfaceIsNoReasonToRefuseAReload(t *testing.T) {
	play(t, "interfaces: [{name: eth0}, {name: eth9}]"+web, func(s *stage) {
		s.see(mac, "192.0.2.11")
		if _, err := s.Reload(s.t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestReloadDoesNotWaitForADaemonThatEnded(t *testing.T) {
	play(t, web, func(s *stage) {
		s.see(mac, "192.0.2.11")
		s.stop()
		synctest.Wait()
		if _, err := s.Reload(s.t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("reload: %v", err)
		}
	})
}

// TestRoutesThatAreMissingAreToldApart from what else is wrong with addresses.
func TestRoutesThatAreMissingAreToldApart(t *testing.T) {
	route := model.RouteWant{Router: "front", VirtualRoute: model.VirtualRoute{To: netip.MustParsePrefix("0.0.0.0/0")}}
	missing, busy := address.Unrouted{route: {Why: "taken", Taken: true}}, errors.New("busy")
	for _, c := range []struct {
		err      error
		unrouted int
		says     string
	}{
		{nil, 0, ""},
		{busy, 0, "busy"},
		{missing, 1, ""},
		{errors.Join(missing), 1, ""},
		{errors.Join(busy, errors.Join(errors.New("gone"), missing)), 1, "busy\ngone"},
	} {
		unrouted, other := apart(c.err)
		if len(unrouted) != c.unrouted || text(other) != c.says {
			t.Errorf("%v: %v, %v", c.err, unrouted, other)
		}
	}
}

// TestRouteThatIsLostIsAProblem until it is back, although nobody has applied anything.
func TestRouteThatIsLostIsAProblem(t *testing.T) {
	play(t, web, func(s *stage) {
		s.see(mac, "192.0.2.11")
		time.Sleep(time.Second)
		route := model.RouteWant{Router: "front", VirtualRoute: model.VirtualRoute{To: netip.MustParsePrefix("0.0.0.0/0")}}
		for _, c := range []struct {
			err  error
			want int
		}{
			{address.Unrouted{route: {Why: "taken", Taken: true}}, 1},
			{errors.New("nobody can look"), 1},
			{nil, 0},
		} {
			s.routesMended(c.err)
			time.Sleep(longBurst)
			synctest.Wait()
			if now := s.state.Load(); len(now.seen.Unrouted) != c.want || len(now.desired.Problems) < c.want {
				t.Errorf("%v: missing are %v", c.err, now.seen.Unrouted)
			}
		}
	})
}

// TestRouteThatIsTrackedIsUrgent: nothing else is waited for when it goes.
func TestRouteThatIsTrackedIsUrgent(t *testing.T) {
	const tracking = "vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24], track: [{route: 0.0.0.0/0}]}]\n" + web
	play(t, tracking, func(s *stage) {
		s.see(mac, "192.0.2.11")
		network := s.state.Load().seen.Network
		for _, there := range []bool{true, false} {
			network.Tracked = map[model.TrackRoute]bool{s.spec.TrackedRoutes()[0]: there}
			start := time.Now()
			s.networkSeen(network)
			synctest.Wait()
			if fault := s.state.Load().desired.VRRP[0].Fault; (fault == "") != there || time.Since(start) > 0 {
				t.Errorf("there: %t, the fault is %q after %s", there, fault, time.Since(start))
			}
		}
	})
}

// TestProcessesThatAreTrackedAreUrgent where it matters whether there are enough of them, and not how many there are.
func TestProcessesThatAreTrackedAreUrgent(t *testing.T) {
	const tracking = "vrrp: [{name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24], track: [{process: haproxy}]}]\n" + web
	play(t, tracking, func(s *stage) {
		s.see(mac, "192.0.2.11")
		of := s.spec.TrackedProcesses()[0]
		for _, c := range []struct {
			stands model.ProcessStands
			fault  bool
			urgent bool
		}{
			{model.ProcessStands{Count: 1, Enough: true}, false, true},
			{model.ProcessStands{Count: 2, Enough: true}, false, false},
			{model.ProcessStands{Count: 0}, true, true},
			{model.ProcessStands{Count: 1, Enough: true}, false, true},
		} {
			s.processesSeen(model.Processes{Stand: map[model.TrackProcess]model.ProcessStands{of: c.stands}})
			synctest.Wait()
			known := func() bool { return s.state.Load().seen.Processes.Stand[of] == c.stands }
			if known() != c.urgent {
				t.Errorf("%+v: it is known at once: %t", c.stands, known())
			}
			time.Sleep(longBurst)
			synctest.Wait()
			if fault := s.state.Load().desired.VRRP[0].Fault; !known() || (fault != "") != c.fault {
				t.Errorf("%+v: the fault is %q", c.stands, fault)
			}
		}
		hidden := model.Processes{Hidden: "they are", Stand: s.state.Load().seen.Processes.Stand}
		s.processesSeen(hidden)
		synctest.Wait()
		if s.state.Load().seen.Processes.Hidden == "" {
			t.Error("it is not known at once that they are hidden")
		}
	})
}
