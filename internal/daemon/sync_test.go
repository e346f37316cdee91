// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/connsync/ipvs"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

// witness is the path and the peers of a handover, and writes down who was told what, and when.
type witness struct {
	log    []string
	failed error // of the path
}

func (w *witness) Apply(context.Context, model.DataplaneWant) error {
	w.log = append(w.log, "apply")
	return w.failed
}

func (w *witness) Serve(r connsync.Role) { w.log = append(w.log, "serve as "+r.String()) }

func (w *witness) Flush(ctx context.Context, within time.Duration) error {
	w.log = append(w.log, "flush")
	if end, bounded := ctx.Deadline(); !bounded || within <= 0 || time.Until(end) < within {
		w.log = append(w.log, "without an end")
	}
	return errors.New("a peer does not answer")
}

func served(serving ...bool) (want model.DataplaneWant) {
	for i, is := range serving {
		want.Services = append(want.Services, model.ServiceWant{Serving: is,
			Key: model.ServiceKey{Protocol: model.TCP, Address: netip.MustParseAddr("192.0.2.10"), Port: uint16(i + 1)}})
	}
	return want
}

// TestPeersKnowAllBeforeAServiceIsLeft, and what they told before one is served: while the path still serves it there is
// somebody to ask what has changed.
func TestPeersKnowAllBeforeAServiceIsLeft(t *testing.T) {
	w := &witness{}
	h := &handover{path: w, peers: w, use: func(ipvs.Marks) {}, log: slog.New(slog.DiscardHandler)}
	busy := errors.New("busy")
	for _, step := range []struct {
		want   model.DataplaneWant
		failed error
		does   string
	}{
		{served(false, false), nil, "apply, serve as backup"},
		{served(true, true), nil, "serve as master, apply"},
		{served(true, true), nil, "apply"},
		{served(true, false), nil, "flush, serve as mixed, apply"},
		{served(false, false), busy, "flush, apply"},
		{served(false, false), nil, "flush, apply, serve as backup"}, // until then it may have been served
		{served(false, false), nil, "apply"},
		{served(true), nil, "serve as master, apply"},
		{served(), nil, "apply, serve as backup"}, // it is not there any more: nobody takes it over
	} {
		w.log, w.failed = nil, step.failed
		if err := h.Apply(t.Context(), step.want); !errors.Is(err, step.failed) {
			t.Errorf("the path says %v, and it says %v", step.failed, err)
		}
		if got := strings.Join(w.log, ", "); got != step.does {
			t.Errorf("got  %s\nwant %s", got, step.does)
		}
	}
}

// slow is a peer that has all after a while.
type slow time.Duration

func (slow) Serve(connsync.Role) {}

func (s slow) Flush(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case <-time.After(time.Duration(s)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestABusyPeerIsWaitedFor, since what it has not got is lost: as long as nobody takes over, and no longer.
func TestABusyPeerIsWaitedFor(t *testing.T) {
	for _, of := range []struct {
		what  string
		peer  time.Duration
		knows bool
	}{
		{"one that lives", 5 * time.Millisecond, true},
		{"one with twelve busy threads for each CPU", 600 * time.Millisecond, true},
		{"one that has died just now", time.Hour, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var said strings.Builder
			h := &handover{path: &witness{}, peers: slow(of.peer), use: func(ipvs.Marks) {}, log: slog.New(slog.NewTextHandler(&said, nil))}
			for _, want := range []model.DataplaneWant{served(true), served(false)} {
				began := time.Now()
				if err := h.Apply(t.Context(), want); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took >= vrrp.ReleaseWithin {
					t.Errorf("%s: it takes %s, and after %s another director takes over", of.what, took, vrrp.ReleaseWithin)
				}
			}
			if lost := strings.Contains(said.String(), "may not know all of their connections"); lost == of.knows {
				t.Errorf("%s: got %q", of.what, &said)
			}
		})
	}
}

// leaving are two services, each of a virtual router: those that have left were master last at these times, by name.
func leaving(ceased map[string]time.Time) model.DataplaneWant {
	want := served(ceased["a"].IsZero(), ceased["b"].IsZero())
	want.Ceased, want.Routers = ceased, map[string]bool{}
	for _, name := range []string{"a", "b"} {
		if ceased[name].IsZero() {
			want.Routers[name] = true
		}
	}
	return want
}

// TestPeersAreWaitedForOnceForAllThatLeave: while they are waited for another virtual router may leave, or what was
// wanted may fail and be tried again, and each gives up its services a second after it was master.
func TestPeersAreWaitedForOnceForAllThatLeave(t *testing.T) {
	const silent = slow(time.Hour)
	for _, of := range []struct {
		what   string
		peer   slow
		later  time.Duration // how much later than the first one the second one leaves
		failed error         // of the path, for the first one, for whom it is tried again
		knows  bool
	}{
		{"both at once, and the peer has died", silent, time.Millisecond, nil, false},
		{"in the midst of it", silent, 400 * time.Millisecond, nil, false},
		{"when the first one has just left", silent, 751 * time.Millisecond, nil, false},
		{"both at once, and the path is busy", silent, time.Millisecond, errors.New("busy"), false},
		{"apart, and the peer is busy", slow(700 * time.Millisecond), 800 * time.Millisecond, nil, true},
		{"the peer lives, and the path is busy", slow(5 * time.Millisecond), 800 * time.Millisecond, errors.New("busy"), true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var said strings.Builder
			w := &witness{}
			h := &handover{path: w, peers: of.peer, use: func(ipvs.Marks) {}, log: slog.New(slog.NewTextHandler(&said, nil))}
			apply := func(ceased map[string]time.Time, last string) {
				time.Sleep(time.Until(ceased[last])) // or the one before takes longer
				if err := h.Apply(t.Context(), leaving(ceased)); !errors.Is(err, w.failed) {
					t.Fatal(err)
				}
				if late := time.Since(ceased[last]); last != "" && late >= vrrp.ReleaseWithin {
					t.Errorf("%s: services of %s are here until %s after it was master", of.what, last, late)
				}
			}
			apply(nil, "")
			first := time.Now()
			second := first.Add(of.later)
			w.failed = of.failed
			apply(map[string]time.Time{"a": first}, "a")
			if w.failed != nil {
				time.Sleep(100 * time.Millisecond) // as the loop does
				w.failed = nil
				apply(map[string]time.Time{"a": first}, "a")
			}
			apply(map[string]time.Time{"a": first, "b": second}, "b")
			if lost := strings.Contains(said.String(), "may not know all of their connections"); lost == of.knows {
				t.Errorf("%s: got %q", of.what, &said)
			}
		})
	}
}

func writeKey(t *testing.T, file string, first byte) {
	t.Helper()
	key := make([]byte, 32)
	key[0] = first
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestKeysAreReadAgainWithEachRevision, and until they can be.
func TestKeysAreReadAgainWithEachRevision(t *testing.T) {
	var followed []string
	s := &sharer{
		follow: func(w connsync.Want) {
			followed = append(followed, fmt.Sprint(w.Local, w.Interface, w.Peers, w.Keys, w.Services))
		},
		tellEnds: func(on bool) { followed = append(followed, fmt.Sprint("ends ", on)) },
	}
	file := filepath.Join(t.TempDir(), "sync.key")
	want := sharing{model.SyncWant{Revision: 1, Link: 2, Sync: model.Sync{Interface: "eth0", Port: 8849, KeyFile: file,
		Peers: []model.Addr{netip.MustParseAddr("192.0.2.3")}}}, 7}
	run := func(what string, expected ...string) {
		t.Helper()
		followed = nil
		if err := s.Apply(t.Context(), want); err != nil {
			followed = append(followed, "error")
		}
		if diff := cmp.Diff(expected, followed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	nobody := fmt.Sprint(netip.AddrPort{}, "", []netip.AddrPort(nil), connsync.Keys(nil), uint64(0))
	run("there is no file", nobody, "ends false", "error")
	run("still none", nobody, "ends false", "error")
	writeKey(t, file, 1)
	keys, err := connsync.LoadKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	runs := func() string {
		return fmt.Sprint(netip.MustParseAddrPort("0.0.0.0:8849"), "eth0", []netip.AddrPort{netip.MustParseAddrPort("192.0.2.3:8849")}, keys, uint64(7))
	}
	run("there is one", runs(), "ends true")
	writeKey(t, file, 2)
	run("nobody has reloaded")
	want.Revision = 2
	if keys, err = connsync.LoadKeys(file); err != nil {
		t.Fatal(err)
	}
	run("reloaded", runs(), "ends true")
	want.Fault = "interface eth0 is down"
	run("a fault that the plan has found", nobody, "ends false")
}

// TestAFaultThatIsOverIsNone, also when it is over before anybody has published that there was one; and each is said once.
func TestAFaultThatIsOverIsNone(t *testing.T) {
	d := &daemon{events: make(chan event, 9), running: t.Context()}
	d.state.Store(&state{})
	done, said := d.sharingDone(), []string{}
	for _, err := range []error{nil, errors.New("no key"), errors.New("no key"), nil, nil} {
		done(sharing{}, err)
	}
	for range len(d.events) {
		var seen model.Seen
		(<-d.events)(&seen)
		said = append(said, seen.Sync.Fault)
	}
	if want := []string{"no key", ""}; !slices.Equal(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
}

func TestPeersAreSeenAsTheyStand(t *testing.T) {
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	before := model.SyncPeerSeen{}
	for i, c := range []struct {
		state connsync.State
		want  model.SyncPeerSeen
		since int // step
		role  int // the same; 0: it has said none
	}{
		{connsync.State{Problem: "no socket"}, model.SyncPeerSeen{State: model.SyncSilent, Why: "no socket"}, 0, 0},
		{connsync.State{}, model.SyncPeerSeen{State: model.SyncSilent}, 0, 0},
		{connsync.State{Heard: true, Role: connsync.RoleAll}, model.SyncPeerSeen{State: model.SyncJoining, Role: "master", Why: "not all of its connections are here yet"}, 2, 2},
		{connsync.State{Heard: true, Role: connsync.RoleAll, InSync: true}, model.SyncPeerSeen{State: model.SyncJoining, Role: "master", Why: "it has not got all connections from here yet"}, 2, 2},
		{connsync.State{Heard: true, Newest: 2, Version: 1, Role: connsync.RoleNone, InSync: true, Has: true}, model.SyncPeerSeen{State: model.SyncReady, Role: "backup"}, 4, 4},
		{connsync.State{Heard: true, Role: connsync.RoleSome, InSync: true, Has: true, Servers: true}, model.SyncPeerSeen{State: model.SyncReady, Role: "mixed", Other: true}, 4, 5},
		{connsync.State{Role: connsync.RoleSome, InSync: true, Has: true}, model.SyncPeerSeen{State: model.SyncSilent, Role: "mixed"}, 6, 5},
		{connsync.State{Role: connsync.RoleAll, Newest: 2}, model.SyncPeerSeen{State: model.SyncSilent, Role: "master", Why: "it speaks other versions (newest 2)", Foreign: 2}, 6, 7},
	} {
		got := fromPeer(c.state, before, noon.Add(time.Duration(i)*time.Second))
		c.want.Since = noon.Add(time.Duration(c.since) * time.Second)
		if c.role != 0 {
			c.want.RoleSince = noon.Add(time.Duration(c.role) * time.Second)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
		before = got
	}
}

// TestAlikeDirectorsHaveTheSameSum, whatever the order of what they have, and its weights.
func TestAlikeDirectorsHaveTheSameSum(t *testing.T) {
	server := func(last byte, f model.Forwarding, weight int) model.Server {
		return model.Server{Key: model.ServerKey{Address: netip.AddrFrom4([4]byte{192, 0, 2, last}), Port: 80}, Forwarding: f, Weight: uint16(weight)}
	}
	service := func(port uint16, servers ...model.Server) model.Service {
		return model.Service{Key: model.ServiceKey{Protocol: model.TCP, Address: netip.MustParseAddr("192.0.2.10"), Port: port}, Servers: servers}
	}
	one := []model.Service{service(80, server(11, model.DR, 1), server(12, model.DR, 2)), service(443, server(11, model.NAT, 1))}
	other := []model.Service{service(443, server(11, model.NAT, 9)), service(80, server(12, model.DR, 1), server(11, model.DR, 1))}
	if sumOf(one) != sumOf(other) {
		t.Error("the order, or a weight, makes a difference")
	}
	for what, change := range map[string]func(s []model.Service){
		"a method":  func(s []model.Service) { s[0].Servers[0].Forwarding = model.DR },
		"a server":  func(s []model.Service) { s[1].Servers = nil },
		"a service": func(s []model.Service) { s[0].Key.Port = 444 },
		"whose it is": func(s []model.Service) {
			s[0].Servers, s[1].Servers = slices.Clone(s[1].Servers), slices.Clone(s[0].Servers)
		},
	} {
		changed := []model.Service{other[0], other[1]}
		for i := range changed {
			changed[i].Servers = slices.Clone(changed[i].Servers)
		}
		if change(changed); sumOf(changed) == sumOf(one) {
			t.Errorf("%s makes no difference", what)
		}
	}
}
