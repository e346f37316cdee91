// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// table is a connection table without a kernel.
type table struct {
	mu   sync.Mutex
	here []model.Record
	came []model.Record
}

func (t *table) Slices(_ context.Context, _ *[model.Slices]bool, yield func(model.Record) bool) error {
	t.mu.Lock()
	here := slices.Clone(t.here)
	t.mu.Unlock()
	for _, r := range here {
		if !yield(r) {
			break
		}
	}
	return nil
}

func (t *table) Insert(records []model.Record) (out model.Arrived, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range records {
		if r.Client.Port() == 9 {
			out.Refuse(model.RefusedServer)
			continue
		}
		t.came = append(t.came, r)
	}
	return out, nil
}

// clients are those of the connections that have come, by their ports.
func (t *table) clients() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ports []string
	for _, r := range t.came {
		ports = append(ports, fmt.Sprint(r.Client.Port()))
	}
	return strings.Join(ports, " ")
}

func connectionOf(port uint16, virtual string) model.Record {
	return model.Record{Protocol: model.TCP, Client: netip.AddrPortFrom(addr("10.9.0.1"), port), Virtual: netip.MustParseAddrPort(virtual),
		Server: netip.MustParseAddrPort("10.1.0.12:80"), Forwarding: model.DR, State: "ESTABLISHED", Settled: true, Left: time.Minute}
}

const served, idle, kept = "10.0.0.100:80", "10.0.0.101:80", "10.0.0.102:80"

func known() Marks {
	return NewMarks([]Service{
		{Keys: []model.ServiceKey{key("10.0.0.100", 80)}}, {Keys: []model.ServiceKey{key("10.0.0.101", 80)}, Idle: true},
		{Keys: []model.ServiceKey{key("10.0.0.102", 80)}, Persistent: true},
	})
}

// begin runs one in a namespace until the test ends.
func (n namespace) begin(t *table, want Want) (*Runner, func() string) {
	n.T.Helper()
	r := NewRunner(t, slog.New(slog.DiscardHandler))
	r.Use(known())
	var mu sync.Mutex
	said := "nothing yet"
	ctx, cancel := context.WithCancel(n.T.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.do(func() error {
			return r.runHere(ctx, want, func(fault string) { mu.Lock(); said = fault; mu.Unlock() })
		})
	}()
	n.T.Cleanup(func() { cancel(); <-done })
	return r, func() string { mu.Lock(); defer mu.Unlock(); return said }
}

// runHere is Run in the thread's own namespace.
func (r *Runner) runHere(ctx context.Context, want Want, out func(string)) error {
	r.speak(ctx, want, &faults{ctx: ctx, out: out, said: "nothing yet"})
	return nil
}

func TestWhatIsServedIsTold(t *testing.T) {
	netlab.NeedRoot(t)
	left, right := newLAN(t)
	want := Want{Config: Config{Interface: "eth0", SyncID: 7}, Send: true, Receive: true}
	backup := &table{}
	hears, fine := right.begin(backup, want)
	within(t, "it hears", func() bool { return fine() == "" })
	// What there is when it begins, but for what another one serves; of what has changed meanwhile the newest state.
	master := &table{here: []model.Record{connectionOf(1, served), connectionOf(2, idle), connectionOf(3, kept), connectionOf(4, served)}}
	tells := NewRunner(master, slog.New(slog.DiscardHandler))
	tells.Use(known())
	changed := connectionOf(4, served)
	changed.State, changed.ClientClosed = "FIN_WAIT", true
	tells.Tell([]model.Record{changed})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		left.do(func() error { return tells.runHere(ctx, want, func(string) {}) })
	}()
	within(t, "all that is served has come", func() bool { return backup.clients() == "4 1 3" || backup.clients() == "4 1 3 4" })
	backup.mu.Lock()
	if r := backup.came[0]; r.State != "FIN_WAIT" || r.Persistent {
		t.Errorf("the one that changed came as %+v", r)
	}
	if r := backup.came[2]; !r.Persistent {
		t.Errorf("the one of a persistent service came as %+v", r)
	}
	backup.came = nil
	backup.mu.Unlock()
	tells.Tell([]model.Record{connectionOf(5, served), connectionOf(9, served)})
	within(t, "what is new has come", func() bool { return backup.clients() == "5" && hears.Counts().Rejected[model.RefusedServer] == 1 })
	sent := tells.Counts()
	cancel()
	<-done
	if again := tells.Counts(); sent.Told < 5 || again.Told != sent.Told || again.Sent != sent.Sent {
		t.Errorf("with its socket the counts are %+v, and without %+v", sent, again)
	}
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	r := NewRunner(&table{}, slog.New(slog.DiscardHandler))
	r.Tell(make([]model.Record, mostWaiting-1))
	r.Tell(make([]model.Record, 3))
	if n, c := len(r.take()), r.Counts(); n != mostWaiting || c.Dropped != 2 {
		t.Errorf("%d wait, %d were dropped", n, c.Dropped)
	}
}

// TestAFaultIsTriedAgain, and said once; nobody is wanted any more, and it is none.
func TestAFaultIsTriedAgain(t *testing.T) {
	r := NewRunner(&table{}, slog.New(slog.DiscardHandler))
	said := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx, func(fault string) { said <- fault }) }()
	want := Want{Config: Config{Interface: "nothere0"}, Send: true}
	r.Follow(want)
	if fault := <-said; !strings.Contains(fault, "no such network interface") {
		t.Errorf("it says %q", fault)
	}
	time.Sleep(reopenEvery + reopenEvery/2)
	r.Follow(Want{})
	if fault := <-said; fault != "" {
		t.Errorf("it says %q", fault)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
