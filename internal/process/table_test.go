// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// write makes a process in a directory that stands for /proc.
func write(t *testing.T, root string, pid int, comm, cmdline string) {
	t.Helper()
	dir := filepath.Join(root, strconv.Itoa(pid))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"comm": comm + "\n", "cmdline": cmdline} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// sees tells which a look has found.
func sees(t *testing.T, table *table, full bool) []int {
	t.Helper()
	found, err := table.look(full)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

// lastIs says which number was given last.
func lastIs(t *testing.T, root string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, "loadavg"), fmt.Appendf(nil, "0.01 0.02 0.03 1/99 %d\n", pid), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestOnlyNewNumbersAreTried, for as long as a program may take to get its own name, and what was found; now and then
// all, and whenever numbers do not tell what is new.
func TestOnlyNewNumbersAreTried(t *testing.T) {
	root := t.TempDir()
	write(t, root, 1, "init", "")
	write(t, root, 7, "sh", "")
	write(t, root, 8, "haproxy", "")
	if err := os.Mkdir(filepath.Join(root, "net"), 0o755); err != nil {
		t.Fatal(err)
	}
	lastIs(t, root, 8)
	table := newTable(root)
	table.read([]model.TrackProcess{{Name: "haproxy", Quorum: 1}})
	want := func(when string, full bool, pids ...int) {
		t.Helper()
		if got := sees(t, table, full); !slices.Equal(got, pids) {
			t.Errorf("%s: %v, want %v", when, got, pids)
		}
	}
	want("first", false, 8)
	write(t, root, 7, "haproxy", "")
	want("an old one has another name", false, 8)
	want("all are looked at", true, 7, 8)
	write(t, root, 7, "sh", "")
	want("what was found is looked at", false, 8)
	write(t, root, 10, "sh", "")
	lastIs(t, root, 12)
	for range young - 1 {
		want("a shell", false, 8)
	}
	write(t, root, 10, "haproxy", "")
	want("that becomes it", false, 8, 10)
	write(t, root, 11, "haproxy", "")
	want("an old number", false, 8, 10)
	lastIs(t, root, 3)
	for range young {
		want("numbers have begun anew", false, 8, 10, 11)
	}
	write(t, root, 9, "haproxy", "")
	lastIs(t, root, 3+mostNew+1)
	want("too many new ones", false, 8, 9, 10, 11)
	write(t, root, 6, "haproxy", "")
	if err := os.Remove(filepath.Join(root, "loadavg")); err != nil {
		t.Fatal(err)
	}
	want("nobody says", false, 6, 8, 9, 10, 11)
}

// TestCommandLinesBeginSo, and with whole words.
func TestCommandLinesBeginSo(t *testing.T) {
	root := t.TempDir()
	write(t, root, 1, "init", "/sbin/init\x00")
	for i, line := range []string{
		"/usr/sbin/haproxy\x00-f\x00b.cfg\x00", "/usr/sbin/haproxy\x00-f\x00b.cfg\x00-D\x00", "/usr/sbin/haproxy\x00-f\x00b.cfg2\x00",
		"/usr/sbin/haproxy\x00-f\x00", "/usr/sbin/haproxy\x00-f\x00b.cfg", "",
	} {
		write(t, root, 10+i, "haproxy", line)
	}
	table := newTable(root)
	table.read([]model.TrackProcess{{Name: "nobody", Quorum: 1}})
	if got := sees(t, table, false); len(got) > 0 {
		t.Errorf("found %v by a name that nobody has", got)
	}
	table.read([]model.TrackProcess{{Command: model.JoinArguments([]string{"/usr/sbin/haproxy", "-f", "b.cfg"}), Quorum: 1}})
	if got := sees(t, table, false); !slices.Equal(got, []int{10, 11, 14}) {
		t.Errorf("found %v", got)
	}
}

// TestHiddenProcessesAreNotMissed: who cannot see them does not know, says so, and leaves all as it was.
func TestHiddenProcessesAreNotMissed(t *testing.T) {
	root := t.TempDir()
	write(t, root, 1, "init", "")
	write(t, root, os.Getpid(), "haproxy", "") // so that it runs
	of := model.TrackProcess{Name: "haproxy", Quorum: 1}
	s := state{table: newTable(root), lasting: map[model.TrackProcess]*lasting{}, watches: newWatches()}
	defer s.watches.close()
	s.track([]model.TrackProcess{of})
	runs := model.ProcessStands{Count: 1, Enough: true}
	if got, _ := s.look(time.Now()); got.Hidden != "" || got.Stand[of] != runs {
		t.Fatalf("%+v", got)
	}
	if err := os.RemoveAll(filepath.Join(root, "1")); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.look(time.Now()); !strings.Contains(got.Hidden, "ProtectProc=") || got.Stand[of] != runs {
		t.Errorf("%+v", got)
	}
}

// TestNobodyIsWatchedForNothing: no file is left open when nothing is tracked any more.
func TestNobodyIsWatchedForNothing(t *testing.T) {
	root := t.TempDir()
	write(t, root, 1, "init", "")
	write(t, root, os.Getpid(), "haproxy", "") // so that it runs
	s := state{table: newTable(root), lasting: map[model.TrackProcess]*lasting{}, watches: newWatches()}
	defer s.watches.close()
	s.track([]model.TrackProcess{{Name: "haproxy", Quorum: 1}})
	if s.look(time.Now()); len(s.watches.open) != 1 {
		t.Fatalf("%d are watched", len(s.watches.open))
	}
	if s.track(nil); len(s.watches.open) != 0 {
		t.Errorf("%d are watched still", len(s.watches.open))
	}
}

// TestEndsPutNoLookOff, however closely they follow each other.
func TestEndsPutNoLookOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, look := time.Now(), newAlarm()
		look.set(every)
		ends := time.NewTicker(settle / 4)
		defer ends.Stop()
		for {
			select {
			case <-ends.C:
				look.within(settle)
			case <-look.timer.C:
				if took := time.Since(start); took > 2*settle {
					t.Errorf("the look is after %s", took)
				}
				return
			}
			if time.Since(start) > 2*every {
				t.Fatal("there is no look")
			}
		}
	})
}

// BenchmarkLook is a look at the processes of this host of which none is new; Whole trusts no name of before.
func BenchmarkLook(b *testing.B) {
	for name, full := range map[string]bool{"Once": false, "Whole": true} {
		b.Run(name, func(b *testing.B) {
			table := newTable("/proc")
			table.read([]model.TrackProcess{{Name: "weir", Quorum: 1}})
			for range young + 1 {
				if _, err := table.look(false); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := table.look(full); err != nil {
					b.Fatal(err)
				}
			}
			all, err := table.list()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(all)), "processes")
		})
	}
}
