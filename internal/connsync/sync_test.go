// SPDX-License-Identifier: Apache-2.0

package connsync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// The table of the kernel is one.
var _ connsync.Table = (*dataplane.Dataplane)(nil)

const (
	keyA = "8a2cf8a6b6c1a1e5f3f0e0d7c7b1a09f1122334455667788990011223344aabb"
	keyB = "1b2cf8a6b6c1a1e5f3f0e0d7c7b1a09f1122334455667788990011223344aabb"
	soon = 20 * time.Second // on a machine that has other things to do
)

// fake is a table in memory. It serves all, or nothing.
type fake struct {
	mu      sync.Mutex
	serves  bool
	all     map[model.Identity]model.Record
	dirty   map[model.Identity]bool
	failing int           // so many calls fail
	slow    time.Duration // what a walk for what has changed takes
}

func newFake() *fake {
	return &fake{all: map[model.Identity]model.Record{}, dirty: map[model.Identity]bool{}}
}

var errFake = errors.New("the table is broken")

func (f *fake) fails() error {
	if f.failing == 0 {
		return nil
	}
	f.failing--
	return errFake
}

func (f *fake) put(records ...model.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		f.all[r.Identity()], f.dirty[r.Identity()] = r, true
	}
}

func (f *fake) remove(id model.Identity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, id)
	delete(f.dirty, id)
}

func (f *fake) serve(serves bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serves = serves
}

func (f *fake) fail(calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = calls
}

func (f *fake) walkFor(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow = d
}

func (f *fake) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all)
}

func (f *fake) Changes(_ context.Context, yield func(model.Record) bool) error {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fails(); err != nil {
		return err
	}
	for id := range f.dirty {
		if !f.serves || !yield(f.all[id]) {
			return nil
		}
		delete(f.dirty, id)
	}
	return nil
}

func (f *fake) Slices(_ context.Context, wanted *[model.Slices]bool, yield func(model.Record) bool) error {
	f.mu.Lock()
	err := f.fails()
	var found []model.Record
	for id, r := range f.all {
		if wanted[id.Slice()] {
			found = append(found, r)
		}
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for _, r := range found {
		if !yield(r) {
			return nil
		}
	}
	return nil
}

func (f *fake) Digests() (out [model.Slices]uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, r := range f.all {
		if !f.dirty[id] {
			out[id.Slice()] += r.Digest()
		}
	}
	return out, f.fails()
}

func (f *fake) Insert(records []model.Record) (out model.Arrived, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fails(); err != nil {
		return out, err
	}
	for _, r := range records {
		_, known := f.all[r.Identity()]
		switch {
		case known && f.serves:
			out.Ours++
		case r.Server.Port() == 99:
			out.Refuse(model.RefusedServer)
		default:
			f.all[r.Identity()] = r
			out.New++
		}
	}
	return out, nil
}

func (f *fake) End(ids []model.Identity) (out model.Arrived, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if _, known := f.all[id]; known && !f.serves {
			delete(f.all, id)
			out.Ended++
		}
	}
	return out, f.fails()
}

// director is a Sync that runs.
type director struct {
	*connsync.Sync
	table *fake
	at    netip.AddrPort
	stop  func()

	mu    sync.Mutex
	turns []connsync.State
}

func keys(t *testing.T, text string) connsync.Keys {
	t.Helper()
	k, err := connsync.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// at is an address of loopback, of this process and test alone.
func at(t *testing.T, n int) netip.AddrPort {
	var sum byte
	for _, c := range []byte(t.Name()) {
		sum = sum*31 + c
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(os.Getpid()), sum, byte(n)}), connsync.DefaultPort)
}

// start runs a director that has the others for peers.
func start(t *testing.T, table *fake, key string, n int, others ...int) *director {
	t.Helper()
	d := &director{Sync: connsync.New(table, slog.New(slog.NewTextHandler(t.Output(), nil))), table: table, at: at(t, n)}
	d.Follow(d.want(t, key, others...))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := d.Run(ctx, func(s connsync.State) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.turns = append(d.turns, s)
		}); err != nil {
			t.Error(err)
		}
	}()
	d.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(soon):
			t.Error("it does not end")
		}
	})
	t.Cleanup(d.stop)
	return d
}

func (d *director) want(t *testing.T, key string, others ...int) connsync.Want {
	want := connsync.Want{Local: d.at, Keys: keys(t, key)}
	for _, n := range others {
		want.Peers = append(want.Peers, at(t, n))
	}
	return want
}

// serve makes it master, or backup.
func (d *director) serve(serves bool) {
	d.table.serve(serves)
	role := connsync.RoleNone
	if serves {
		role = connsync.RoleAll
	}
	d.Serve(role)
}

func (d *director) inSync() bool {
	for _, s := range d.States() {
		if !s.InSync {
			return false
		}
	}
	return len(d.States()) > 0
}

// state is that of its only peer, or nothing yet.
func (d *director) state() (s connsync.State) {
	for _, s = range d.States() {
	}
	return s
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", soon, what)
		}
	}
}

func record(n int) model.Record {
	return model.Record{Protocol: model.TCP, Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 40000),
		Virtual: netip.MustParseAddrPort("192.0.2.10:80"), Server: netip.MustParseAddrPort("10.0.0.1:8080"), Forwarding: model.NAT, State: "ESTABLISHED",
		Settled: true, Left: 900 * time.Second}
}

func records(n int) (out []model.Record) {
	for i := range n {
		out = append(out, record(i))
	}
	return out
}

// TestConnectionsComeOver, the peer gets them all, may restart, and is told of ends.
func TestConnectionsComeOver(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	master.serve(true)
	master.table.put(records(5000)...)
	until(t, "all are there", func() bool { return backup.table.len() == 5000 && backup.inSync() })
	until(t, "the master knows", func() bool { s := master.state(); return s.Has && s.Heard && s.Role == connsync.RoleNone })
	if s := backup.state(); s.Role != connsync.RoleAll || s.Version != 1 || s.Peer != master.at || s.Problem != "" {
		t.Errorf("%+v", s)
	}

	id := record(7).Identity()
	master.table.remove(id)
	master.Ended([]model.Identity{id})
	until(t, "one has ended", func() bool { return backup.table.len() == 4999 })

	backup.stop()
	until(t, "the master misses it", func() bool { return !master.state().Heard && !master.state().Has })
	master.table.put(records(6000)...)
	again := start(t, newFake(), keyA, 2, 1)
	until(t, "all are there again", func() bool { return again.table.len() == 6000 && again.inSync() })
}

// TestFlushWaitsForThePeer: what has changed before is there after it.
func TestFlushWaitsForThePeer(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	master.serve(true)
	until(t, "they talk", func() bool { return backup.inSync() && master.state().Has })
	for i := range 10 {
		master.table.put(records(500 * (i + 1))...)
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		began := time.Now()
		if err := master.Flush(ctx, soon); err != nil {
			t.Fatal(err)
		}
		cancel()
		t.Logf("%d records after %s, %+v", 500*(i+1), time.Since(began), master.state().Counts)
		if n := backup.table.len(); n != 500*(i+1) {
			t.Fatalf("%d of %d are there", n, 500*(i+1))
		}
	}
	master.table.put(records(60_000)...) // more than there is room for at once
	if err := master.Flush(t.Context(), soon); err != nil || backup.table.len() != 60_000 {
		t.Errorf("%d are there, %v", backup.table.len(), err)
	}
	master.table.fail(1 << 20)
	if err := master.Flush(t.Context(), soon); !errors.Is(err, errFake) {
		t.Errorf("nobody knows what has changed, and yet: %v", err)
	}
	master.table.fail(0)
	backup.stop()
	until(t, "it is missed", func() bool { return !master.state().Heard })
	if err := master.Flush(t.Context(), soon); err != nil {
		t.Errorf("nobody listens, and yet: %v", err)
	}
}

// TestFlushOfALargeTableWaitsForThePeer, too: how long its walk takes is not taken from the time that the peer has.
func TestFlushOfALargeTableWaitsForThePeer(t *testing.T) {
	const within = 200 * time.Millisecond
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	master.serve(true)
	until(t, "they talk", func() bool { return backup.inSync() && master.state().Has })
	master.table.walkFor(2 * within)
	master.table.put(records(500)...)
	if err := master.Flush(t.Context(), within); err != nil || backup.table.len() != 500 {
		t.Errorf("%d are there, %v", backup.table.len(), err)
	}
	backup.stop() // and is not missed yet
	master.table.put(records(600)...)
	if err := master.Flush(t.Context(), within); err == nil || !strings.Contains(err.Error(), "has not got all that has changed") {
		t.Errorf("nobody is there, and yet: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := master.Flush(ctx, soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the walk takes longer than all may, and yet: %v", err)
	}
}

// TestTakeoverGoesOn: the backup serves, and the old master comes back for what has become of its connections.
func TestTakeoverGoesOn(t *testing.T) {
	a, b := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	a.serve(true)
	a.table.put(records(1000)...)
	until(t, "all are there", func() bool { return b.table.len() == 1000 && b.inSync() })
	a.stop()
	b.serve(true)
	b.table.put(records(1500)...)
	a = start(t, newFake(), keyA, 1, 2)
	until(t, "all are back", func() bool { return a.table.len() == 1500 && a.inSync() })
	b.serve(false)
	a.serve(true)
	a.table.put(records(2000)...)
	until(t, "it goes the other way again", func() bool { return b.table.len() == 2000 && b.inSync() })
}

// TestThreeDirectorsShareOnePort: each peer has a socket of its own.
func TestThreeDirectorsShareOnePort(t *testing.T) {
	master := start(t, newFake(), keyA, 1, 2, 3)
	two, three := start(t, newFake(), keyA, 2, 1, 3), start(t, newFake(), keyA, 3, 1, 2)
	master.serve(true)
	master.table.put(records(1000)...)
	until(t, "all are everywhere", func() bool {
		return two.table.len() == 1000 && three.table.len() == 1000 && two.inSync() && three.inSync()
	})
}

// TestWrongKeyIsNoPeer, until it is told the right one.
func TestWrongKeyIsNoPeer(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyB, 2, 1)
	master.serve(true)
	master.table.put(records(100)...)
	until(t, "it is refused", func() bool { return backup.state().Counts.Refused[connsync.ReasonKey] > 3 })
	if backup.table.len() != 0 || backup.inSync() || backup.state().Heard {
		t.Error("it is a peer")
	}
	backup.Follow(backup.want(t, keyB+"\n"+keyA, 1))
	master.Follow(master.want(t, keyA+"\n"+keyB, 2))
	until(t, "both know both keys", func() bool { return backup.table.len() == 100 && backup.inSync() })
}

// TestOtherServersAreTold, and what was refused for that comes when they are known.
func TestOtherServersAreTold(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	want := backup.want(t, keyA, 1)
	want.Services = 7
	backup.Follow(want)
	master.serve(true)
	r := record(1)
	r.Server = netip.MustParseAddrPort("10.0.0.1:99")
	master.table.put(record(0), r)
	until(t, "it is told", func() bool {
		s := backup.state()
		return s.Servers && s.Heard && s.Counts.Rejected[model.RefusedServer] > 0 && backup.table.len() == 1
	})
	backup.Follow(backup.want(t, keyA, 1))
	until(t, "it is over", func() bool { return !backup.state().Servers && !master.state().Servers })
}

// TestBrokenTableIsAskedAgain.
func TestBrokenTableIsAskedAgain(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	master.table.fail(7)
	backup.table.fail(7)
	master.serve(true)
	master.table.put(records(2000)...)
	until(t, "all are there", func() bool { return backup.table.len() == 2000 && backup.inSync() })
}

// TestNoSocketIsTold, and tried again.
func TestNoSocketIsTold(t *testing.T) {
	d := start(t, newFake(), keyA, 1, 2)
	want := d.want(t, keyA, 2)
	want.Local = netip.MustParseAddrPort("192.0.2.1:8849")
	d.Follow(want)
	until(t, "it has no such address", func() bool {
		s := d.States()
		return len(s) == 1 && strings.Contains(s[0].Problem, "a socket from 192.0.2.1:8849 to 127.") && strings.Contains(s[0].Problem, "cannot assign requested address")
	})
	want.Local, want.Interface = d.at, "no-such-one"
	d.Follow(want)
	until(t, "it has no such interface", func() bool {
		s := d.States()
		return len(s) == 1 && strings.Contains(s[0].Problem, "interface no-such-one: no such device")
	})
	d.Follow(d.want(t, keyA, 2))
	until(t, "it has one again", func() bool { s := d.States(); return len(s) == 1 && s[0].Problem == "" && s[0].Counts.Sent > 0 })
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.turns) < 2 {
		t.Errorf("turns: %+v", d.turns)
	}
}

// TestPeersComeAndGo.
func TestPeersComeAndGo(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	master.serve(true)
	until(t, "they talk", func() bool { return backup.inSync() })
	master.Follow(connsync.Want{Local: master.at, Keys: keys(t, keyA)})
	until(t, "it is none any more", func() bool { return len(master.States()) == 0 && !backup.state().Heard })
	master.table.put(records(10)...)
	master.Follow(master.want(t, keyA, 2))
	until(t, "it is one again", func() bool { return backup.table.len() == 10 && backup.inSync() })
}

// TestWhoIsNoPeerAnyMoreIsHeardNoMore: what was said of him last must not be what is believed for ever.
func TestWhoIsNoPeerAnyMoreIsHeardNoMore(t *testing.T) {
	master, backup := start(t, newFake(), keyA, 1, 2), start(t, newFake(), keyA, 2, 1)
	backup.serve(true)
	last := func() (s connsync.State) {
		master.mu.Lock()
		defer master.mu.Unlock()
		if n := len(master.turns); n > 0 {
			s = master.turns[n-1]
		}
		return s
	}
	until(t, "they are in sync", func() bool { return last().InSync })
	master.Follow(connsync.Want{})
	until(t, "nothing is said of it", func() bool { return last().Peer == backup.at && !last().Heard && !last().InSync })
}

// TestSomebodyElseHearsWhatPeersDo, also when there are none; but nothing of what is not served here.
func TestSomebodyElseHearsWhatPeersDo(t *testing.T) {
	for what, others := range map[string][]int{"no peer": nil, "a peer": {2}} {
		d := start(t, newFake(), keyA, 1, others...)
		if len(others) > 0 {
			start(t, newFake(), keyA, 2, 1)
		}
		var mu sync.Mutex
		heard := map[model.Identity]int{}
		d.Also(func(records []model.Record) {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range records {
				heard[r.Identity()]++
			}
		})
		d.table.put(records(20)...)
		if err := d.Flush(t.Context(), soon); err != nil || len(heard) != 0 {
			t.Errorf("%s: %d are told of that are not served: %v", what, len(heard), err)
		}
		d.serve(true)
		if err := d.Flush(t.Context(), soon); err != nil {
			t.Error(err)
		}
		until(t, what+": all are heard once", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(heard) == 20 && heard[record(7).Identity()] == 1
		})
		d.Also(nil)
		d.stop()
	}
}

// TestWhoSleptAloneWakesUpForSomebody: while nobody is told, nobody asks the table.
func TestWhoSleptAloneWakesUpForSomebody(t *testing.T) {
	d := start(t, newFake(), keyA, 1)
	d.serve(true)
	time.Sleep(200 * time.Millisecond) // it has looked whether there is anybody
	var heard atomic.Int64
	d.Also(func(records []model.Record) { heard.Add(int64(len(records))) })
	d.table.put(records(20)...)
	until(t, "all are heard", func() bool { return heard.Load() == 20 })
	d.Also(nil)
	d.stop()
}

func TestKeyFileIsSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sync.key")
	for _, row := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{keyA + "\n", 0o600, ""},
		{keyA + "\n", 0o640, path + " can be read by others than its owner: chmod 600 " + path},
		{"secret\n", 0o600, path + ": line 1: this is no key: write 32 random bytes"},
		{"", 0o600, path + " is empty"},
	} {
		if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, row.mode); err != nil {
			t.Fatal(err)
		}
		k, err := connsync.LoadKeys(path)
		if row.want == "" && (err != nil || len(k) != 1) || row.want != "" && (err == nil || !strings.HasPrefix(err.Error(), row.want)) {
			t.Errorf("%q: %v", row.text, err)
		}
	}
	if _, err := connsync.LoadKeys(path + "x"); err == nil || !strings.Contains(fmt.Sprint(err), "no such file") {
		t.Error(err)
	}
}
