// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/process"
)

// deadline is generous: what the tests wait for takes a second.
const deadline = 30 * time.Second

// watched is a Watcher at work, and what it said last.
type watched struct {
	t       *testing.T
	watcher *process.Watcher
	mu      sync.Mutex // guards last
	last    model.Processes
}

func watch(t *testing.T, tracked ...model.TrackProcess) *watched {
	w := &watched{t: t, watcher: process.NewWatcher(slog.New(slog.NewTextHandler(io.Discard, nil)))}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.watcher.Run(ctx, w.take) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.watcher.Follow(tracked)
	return w
}

func (w *watched) take(p model.Processes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = p
}

// await waits until something stands so, and says how long that took.
func (w *watched) await(what string, of model.TrackProcess, want model.ProcessStands) time.Duration {
	w.t.Helper()
	start := time.Now()
	for time.Since(start) < deadline {
		w.mu.Lock()
		got, known := w.last.Stand[of]
		w.mu.Unlock()
		if known && got == want {
			return time.Since(start)
		}
		time.Sleep(time.Millisecond)
	}
	w.t.Fatalf("%s: %+v, want %+v", what, w.last, want)
	return 0
}

// program is one by a name that no other process of this host has.
func program(t *testing.T, name string) string {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// begin runs a program. The returned function ends it, without asking how: its parent leaves a zombie.
func begin(t *testing.T, path string, args ...string) (end func()) {
	t.Helper()
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return func() { _ = cmd.Process.Kill() }
}

// TestProcessesAreSeen that run, by their name and by their command line, and ended ones are not, although their parent
// has not asked how.
func TestProcessesAreSeen(t *testing.T) {
	name := fmt.Sprintf("weir-t%d", os.Getpid())
	path := program(t, name)
	byName, both := model.TrackProcess{Name: name, Quorum: 1}, model.TrackProcess{Name: name, Quorum: 2}
	byLine := model.TrackProcess{Command: model.JoinArguments([]string{path, "1001"}), Quorum: 1}
	endFirst := begin(t, path, "1001", "1")
	w := watch(t, byName, both, byLine)
	w.await("the first", byLine, model.ProcessStands{Count: 1, Enough: true})
	w.await("one of two", both, model.ProcessStands{Count: 1})
	endSecond := begin(t, path, "1002")
	w.await("two", both, model.ProcessStands{Count: 2, Enough: true})
	w.await("still one", byLine, model.ProcessStands{Count: 1, Enough: true})
	endFirst()
	w.await("the first has ended", byLine, model.ProcessStands{})
	w.await("the second runs", byName, model.ProcessStands{Count: 1, Enough: true})
	endSecond()
	w.await("none", byName, model.ProcessStands{})
}

// TestEndIsSeenAtOnce, long before the next look: most ends are, or it is not the pidfd that told.
func TestEndIsSeenAtOnce(t *testing.T) {
	name := fmt.Sprintf("weir-u%d", os.Getpid())
	path := program(t, name)
	of := model.TrackProcess{Name: name, Quorum: 1}
	w := watch(t, of)
	w.await("none", of, model.ProcessStands{})
	var sum time.Duration
	const rounds = 3
	for range rounds {
		end := begin(t, path, "1000")
		w.await("one", of, model.ProcessStands{Count: 1, Enough: true})
		time.Sleep(20 * time.Millisecond) // the next look is most of a second away
		end()
		sum += w.await("ended", of, model.ProcessStands{})
	}
	if mean := sum / rounds; mean > 500*time.Millisecond {
		t.Errorf("an end is seen after %s", mean)
	}
}

// TestNameIsThatOfTheProgram, not of the shell that has become it.
func TestNameIsThatOfTheProgram(t *testing.T) {
	name := fmt.Sprintf("weir-v%d", os.Getpid())
	path := program(t, name)
	of := model.TrackProcess{Name: name, Quorum: 1}
	w := watch(t, of)
	w.await("none", of, model.ProcessStands{})
	begin(t, "/bin/sh", "-c", "sleep 1.2; exec "+path+" 1000")
	w.await("the shell is it now", of, model.ProcessStands{Count: 1, Enough: true})
}

// TestRestartIsForgiven that takes no longer than it may.
func TestRestartIsForgiven(t *testing.T) {
	name := fmt.Sprintf("weir-w%d", os.Getpid())
	path := program(t, name)
	of := model.TrackProcess{Name: name, Quorum: 1, TerminateDelay: time.Minute}
	end := begin(t, path, "1000")
	w := watch(t, of)
	w.await("one", of, model.ProcessStands{Count: 1, Enough: true})
	end()
	w.await("gone, but not for long", of, model.ProcessStands{Count: 0, Enough: true})
	begin(t, path, "1000")
	w.await("back", of, model.ProcessStands{Count: 1, Enough: true})
}
