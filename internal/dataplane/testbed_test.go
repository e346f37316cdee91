// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// testbed is the path in the kernel beside its twin, in a network namespace with the links of the
// packet table. Nothing travels on the links: frames go in and come out by BPF_PROG_RUN.
type testbed struct {
	lent  *lent
	path  *dataplane.Dataplane // the one that was lent, or that of a restart
	twin  *twin
	names []string    // of verdicts
	calls chan func() // to the thread that is in the namespace
	seen  []uint64    // verdicts
	held  int         // frames that wait for their first fragment
	eyes  *eyes       // that look at each frame; nil: there are none
	fresh time.Time   // when the clients' hops were made fresh
	// rounded is when the time that had really passed was last taken back
	rounded time.Time
}

// newTestbed has a path for size connections that is as if it was just opened. It goes with the test, or to the next.
func newTestbed(t testing.TB, size uint32) *testbed {
	t.Helper()
	dataplane.NeedRoot(t)
	b := &testbed{names: dataplane.VerdictNames(), calls: make(chan func())}
	t.Cleanup(func() { close(b.calls) })
	if err := b.enter(); err != nil {
		t.Fatal(err)
	}
	b.lent = lender.lend(t, size)
	t.Cleanup(func() { lender.takeBack(t, b.lent, b.path) })
	b.begin(t, b.lent.path)
	return b
}

// begin is with a path that nobody has used.
func (b *testbed) begin(t testing.TB, path *dataplane.Dataplane) {
	t.Helper()
	b.path, b.twin = path, newTwin(path.Hash())
	b.seen = b.verdicts(t)
}

// open is a daemon's start.
func (b *testbed) open(t testing.TB, size uint32) {
	t.Helper()
	var err error
	b.path, err = dataplane.Open(dataplane.Options{
		BPFFS: b.lent.dir, Config: t.Name(), MaxConns: size, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// restart ends the daemon and starts another one, whose config may have another size.
func (b *testbed) restart(t testing.TB, size uint32) {
	t.Helper()
	if err := b.path.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(t, size)
	b.twin.resize(b.path.Hash())
}

// rekey gives a table of that size the key of that number, before anything is in it.
func (b *testbed) rekey(t testing.TB, number uint64, size uint32) {
	t.Helper()
	var seed [10]uint32
	random := rand.New(rand.NewPCG(number, 0))
	for i := range seed {
		seed[i] = random.Uint32()
	}
	if err := dataplane.SetSeed(b.lent.dir, seed); err != nil {
		t.Fatal(err)
	}
	b.restart(t, size)
}

// enter starts a thread in a namespace of its own, with the links. The thread is never unlocked,
// so it ends with its goroutine, and the namespace and the links with it.
func (b *testbed) enter() error {
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		for _, link := range []struct {
			name  string
			index int
			mac   model.MAC
		}{{"front", front, frontMAC}, {"back", back, backMAC}, {"foreign", foreign, frontMAC}} {
			if err == nil {
				err = addLink(link.name, link.index, link.mac)
			}
		}
		ready <- err
		for call := range b.calls {
			call()
		}
	}()
	return <-ready
}

// addLink makes one end of a veth pair, with the index that the packet table expects.
func addLink(name string, index int, mac model.MAC) error {
	args := fmt.Sprintf("link add %s index %d address %x:%x:%x:%x:%x:%x mtu %d type veth peer name %s-peer index %d",
		name, index, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], linkMTU, name, index+100)
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

// join brings another thread into the namespace. It is never unlocked, either.
func (b *testbed) join() (err error) {
	var namespace *os.File
	b.do(func() { namespace, err = os.Open("/proc/thread-self/ns/net") })
	if err != nil {
		return err
	}
	defer namespace.Close()
	runtime.LockOSThread()
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
}

// do runs f in the namespace.
func (b *testbed) do(f func()) {
	done := make(chan struct{})
	b.calls <- func() { defer close(done); f() }
	<-done
}

func (b *testbed) apply(t testing.TB, want model.DataplaneWant) {
	t.Helper()
	var err error
	b.do(func() { err = b.path.Apply(context.Background(), want) })
	if err != nil {
		t.Fatal(err)
	}
	b.twin.apply(want)
}

// frame sends one frame through both and complains about every difference: the action, the bytes,
// and which exit was counted.
func (b *testbed) frame(t testing.TB, ifindex int, frame []byte) outcome {
	t.Helper()
	var action uint32
	var out []byte
	var err error
	b.do(func() { action, out, err = b.path.Send(bytes.Clone(frame), ifindex) })
	if err != nil {
		t.Fatalf("%d bytes on link %d: %v", len(frame), ifindex, err)
	}
	want := b.twin.frame(ifindex, bytes.Clone(frame))
	if want.verdict == fragmentHeld {
		b.held++
	}
	if got := b.counted(t); got != string(want.verdict) {
		t.Errorf("verdict %s, want %s: %s\n%x", got, want.verdict, text(frame), frame)
	}
	if got, want := actions[action], want.action(ifindex); got != want {
		t.Errorf("action %s, want %s: %s", got, want, text(frame))
	}
	if want.action(ifindex) != "drop" && !bytes.Equal(out, want.out) {
		t.Errorf("%s became\n%s, want\n%s\n got %x\nwant %x", text(frame), text(out), text(want.out), out, want.out)
	}
	if b.eyes != nil {
		b.eyes.compare(t, ifindex, frame, want, b.twin)
	}
	return want
}

// server is whom a conversation by NAT is with.
func (b *testbed) server(k talk) (netip.AddrPort, bool) {
	conn := b.twin.conns[flow{k.client, k.service, k.protocol}]
	if conn == nil || !conn.isPair() {
		return netip.AddrPort{}, false
	}
	return conn.fromServer.source, true
}

// forgetFragments makes both forget what is under way in pieces. The path forgets by the clock and by
// the number, the twin never. It lets the path tell of errors anew, too.
func (b *testbed) forgetFragments(t testing.TB) {
	t.Helper()
	clear(b.twin.fragments)
	b.held = 0
	if err := errors.Join(b.path.ForgetFragments(), b.path.ForgetTold()); err != nil {
		t.Fatal(err)
	}
}

// isCrowded: soon the path would forget what the twin remembers.
func (b *testbed) isCrowded() bool { return len(b.twin.fragments) > 200 || b.held > 100 }

// tend is for tests that take long: packets in pieces are forgotten before the path does it, and
// clients' hops stay fresh.
func (b *testbed) tend(t testing.TB) {
	t.Helper()
	b.forgetFragments(t)
	if err := b.path.RefreshClients(); err != nil {
		t.Fatal(err)
	}
}

// keepHops is for tests that take long and look at how long connections live: clients' hops stay fresh, which are believed
// for a minute.
func (b *testbed) keepHops(t testing.TB) {
	t.Helper()
	if time.Since(b.fresh) < 15*time.Second {
		return
	}
	if err := b.path.RefreshHops(); err != nil {
		t.Fatal(err)
	}
	b.fresh = time.Now()
}

// actions are those of enum xdp_action.
var actions = []string{"aborted", "drop", "pass", "tx", "redirect"}

func (o outcome) action(ingress int) string {
	switch {
	case slices.Contains(passes, o.verdict):
		return "pass"
	case !slices.Contains(sends, o.verdict):
		return "drop"
	case o.egress == ingress:
		return "tx"
	}
	return "redirect"
}

// counted names the verdicts that were counted since it was last asked: one, if all is well.
func (b *testbed) counted(t testing.TB) string {
	t.Helper()
	var names []string
	now := b.verdicts(t)
	for i, name := range b.names {
		for range now[i] - b.seen[i] {
			names = append(names, name)
		}
	}
	b.seen = now
	return strings.Join(names, " and ")
}

func (b *testbed) verdicts(t testing.TB) []uint64 {
	t.Helper()
	counts, err := b.path.CountVerdicts()
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// counted is what was counted of a server.
type counted struct {
	dataplane.Counts
	dataplane.Signs
}

// compareCounters compares what was counted of services and servers that are there.
func (b *testbed) compareCounters(t testing.TB) {
	t.Helper()
	got, err := b.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	services := map[model.ServiceKey]dataplane.Counts{}
	servers := map[model.ServiceServer]counted{}
	for key, s := range b.twin.services {
		services[key] = dataplane.Counts(s.counters)
		for _, server := range s.servers {
			servers[model.ServiceServer{Service: key, Server: server.want.Key}] = counted{dataplane.Counts(server.counters), server.signs}
		}
	}
	compareMaps(t, "services", services, got.Services)
	gotServers := map[model.ServiceServer]counted{}
	for key, counts := range got.Servers {
		gotServers[key] = counted{counts.Counts, counts.Signs}
	}
	compareMaps(t, "servers", servers, gotServers)
	b.compareSigns(t, servers)
}

// compareMaps has cmp, which sorts keys, say what differs, but not whether.
func compareMaps[K, V comparable](t testing.TB, name string, want, got map[K]V) {
	t.Helper()
	if !maps.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(want, got, compareAddr))
	}
}

// compareSigns: those of servers that are gone may be read as well, and none before something was applied.
func (b *testbed) compareSigns(t testing.TB, servers map[model.ServiceServer]counted) {
	t.Helper()
	got, err := b.path.Signs()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		return
	}
	for key, want := range servers {
		if signs, known := got[key]; !known || signs != want.Signs {
			t.Errorf("service %s server %s: signs are %+v (known: %t), want %+v", key.Service, key.Server, signs, known, want.Signs)
		}
	}
}

// compareConnections compares what is remembered of every connection, and that a server's load is
// the number of its connections.
func (b *testbed) compareConnections(t testing.TB) {
	t.Helper()
	if diff := cmp.Diff(b.twin.connections(), sorted(b.listed(t)), compareAddr, compareAddrPort); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	counters, err := b.path.Counters()
	if err != nil {
		t.Fatal(err)
	}
	halfOpen := map[model.ServiceKey]int64{}
	for key, load := range b.twin.loads() {
		halfOpen[key.Service] += int64(load[2])
		c := counters.Servers[key]
		if got := [3]uint64{c.Active, c.Inactive, c.HalfOpen}; got != load {
			t.Errorf("service %s server %s: active, inactive, half open are %v, want %v", key.Service, key.Server, got, load)
		}
		if got, want := c.Persistent, b.twin.persistentOf(key); got != want {
			t.Errorf("service %s server %s: %d templates, want %d", key.Service, key.Server, got, want)
		}
	}
	for key, want := range halfOpen {
		if got := b.halfOpen(t, key); got != want {
			t.Errorf("service %s: half open are %d, want %d", key, got, want)
		}
	}
}

// listed are the connections that the path remembers.
func (b *testbed) listed(t testing.TB) (got []dataplane.Connection) {
	t.Helper()
	err := b.path.Connections(func(c dataplane.Connection) bool {
		c.Expires = 0
		got = append(got, c)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var (
	compareAddr     = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	compareAddrPort = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
)

func text(frame []byte) string {
	layers, err := packet.Parse(frame)
	if err != nil {
		return fmt.Sprintf("%s (%v)", layers, err)
	}
	return layers.String()
}
