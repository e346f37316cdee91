// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// atOnce is how many parallel tests run, unless -test.parallel says otherwise: more than there are processors, since
// most wait for the kernel, which lets RCU's grace periods pass when a table of slots is switched.
const atOnce = 4

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := lender.close(); err != nil {
		slog.Error("paths that tests lent one another", "err", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// lender is a variable, since what tests lend one another can be nobody's who ends before the last of them.
var lender paths

// paths are those that nobody has at the moment.
type paths struct {
	mu    sync.Mutex
	free  []*lent // the one that was given back last is the last
	bpffs string  // where the pins of all are: one that is unmounted while a test starts a program may be busy
}

// lent is a path, and what it takes to make it as new.
type lent struct {
	path *dataplane.Dataplane
	was  *dataplane.Opened
	size uint32 // how many connections it has room for
	dir  string // of the pins
}

// mostFree bounds how much memory the maps of idle paths take: some 20 MB each.
const mostFree = 4

// lend has a path for size connections that nobody has used, or that nothing tells from such a one.
func (p *paths) lend(t testing.TB, size uint32) *lent {
	t.Helper()
	l := p.take(size)
	if l == nil {
		l = p.open(t, size)
	}
	if err := l.renew(t); err != nil {
		t.Fatal(errors.Join(err, l.close()))
	}
	return l
}

func (l *lent) renew(t testing.TB) (err error) {
	l.path, err = l.path.Renewed(t.Name(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	return err
}

func (p *paths) take(size uint32) *lent {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range slices.Backward(p.free) {
		if l.size == size {
			p.free = slices.Delete(p.free, i, i+1)
			return l
		}
	}
	return nil
}

func (p *paths) open(t testing.TB, size uint32) *lent {
	t.Helper()
	dir, err := p.makeDir()
	if err != nil {
		t.Fatal(err)
	}
	l := &lent{size: size, dir: dir}
	l.path, err = dataplane.Open(dataplane.Options{BPFFS: dir, Config: t.Name(), MaxConns: size, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if l.was, err = l.path.Opened(); err != nil {
		t.Fatal(errors.Join(err, l.close()))
	}
	return l
}

// makeDir makes a directory for the pins of one path.
func (p *paths) makeDir() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bpffs == "" {
		dir, err := os.MkdirTemp("", "weir-paths-")
		if err != nil {
			return "", err
		}
		p.bpffs = filepath.Join(dir, "bpf")
		if err := dataplane.MountBPFFS(p.bpffs); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(p.bpffs, "")
}

// takeBack wipes what a test has left. Nobody else gets what it has restarted, or resized, or had when it failed.
func (p *paths) takeBack(t testing.TB, l *lent, is *dataplane.Dataplane) {
	t.Helper()
	isAnother := is != l.path || l.was.IsOfAnotherTable(is)
	l.path = is
	if isAnother || t.Failed() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
		return
	}
	if err := l.path.Wipe(l.was); err != nil {
		t.Errorf("a path that goes to the next test: %v", errors.Join(err, l.close()))
		return
	}
	if err := p.keep(l); err != nil {
		t.Error(err)
	}
}

// keep closes the one that was given back longest ago when there are too many.
func (p *paths) keep(l *lent) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, l)
	if len(p.free) <= mostFree {
		return nil
	}
	oldest := p.free[0]
	p.free = slices.Delete(p.free, 0, 1)
	return oldest.close()
}

func (p *paths) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, l := range p.free {
		errs = append(errs, l.close())
	}
	p.free = nil
	if p.bpffs != "" {
		errs = append(errs, dataplane.UnmountBPFFS(p.bpffs), os.RemoveAll(filepath.Dir(p.bpffs)))
	}
	return errors.Join(errs...)
}

func (l *lent) close() error {
	return errors.Join(l.path.Close(), dataplane.Cleanup(l.dir))
}

// TestLentPathIsAsNew: after whatever was in the maps, even what nobody writes there.
func TestLentPathIsAsNew(t *testing.T) {
	dir := bpffs(t)
	fresh := open(t, dir)
	defer fresh.Close()
	b := newTestbed(t, 1024) // as open has it
	for range 2 {
		b.useAndWipe(t, fresh)
	}
}

func (b *testbed) useAndWipe(t *testing.T, fresh *dataplane.Dataplane) {
	t.Helper()
	b.apply(t, world())
	c := talkTo(4, 10, 80, model.TCP, 44000)
	b.expect(t, []step{in(c.open(), dr), in(c.more(), dr)})
	b.compareConnections(t)
	b.compareCounters(t)
	if err := b.path.Spoil(); err != nil {
		t.Fatal(err)
	}
	got := b.differing(t, fresh)
	for _, name := range b.path.MapNames() {
		if !slices.Contains(got, name) {
			t.Errorf("spoilt are %q, and not %s", got, name)
		}
	}
	if err := b.path.Wipe(b.lent.was); err != nil {
		t.Fatal(err)
	}
	if err := b.lent.renew(t); err != nil {
		t.Fatal(err)
	}
	b.begin(t, b.lent.path)
	if got := b.differing(t, fresh); len(got) > 0 {
		t.Errorf("of a path that was used, another test finds something in %q", got)
	}
}

// differing are the maps that do not hold the same.
func (b *testbed) differing(t *testing.T, other *dataplane.Dataplane) []string {
	t.Helper()
	names, err := b.path.Differing(other)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
