// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 4. Connections that stay and new ones are counted together.
const (
	compatibleLost = "compatible_lost" // while the next version took over, and gave back
	refusedLost    = "refused_lost"    // while a version that cannot take over tried to
	refusals       = "accepted"        // such versions that did not refuse, or touched something
	killedLost     = "killed_lost"     // while starts were killed
	recovered      = "recovered"       // killed starts after which the next one serves
)

// upgraded: the data plane is replaced by another version's and back, by a version that lays out its
// maps otherwise, and by one that is killed at each step of it.
func upgraded(weir string) faults.Fault {
	return faults.Fault{
		Number: 4,
		Long:   true,
		Paired: true,
		Parts: []faults.Part{
			{Name: compatibleLost, Unit: "connections"}, {Name: refusedLost, Unit: "connections"}, {Name: refusals, Unit: "daemons"},
			{Name: killedLost, Unit: "connections"}, {Name: recovered, Unit: "%", Bar: 100, AtLeast: true},
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			requireStrace(t)
			u := &upgrade{releases: otherVersions(t, weir), rounds: size.Of(1, 10), steps: size.Of(3, 0), log: t.Logf}
			if err := u.install(thisVersion); err != nil {
				t.Fatal(err)
			}
			u.ground = newGround(t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Weir: u.installed}, usualLoad(size))
			return func() (faults.Measured, error) { return u.run(t.Context()) }
		},
	}
}

// requireStrace skips where starts cannot be killed at their steps; in CI that is a failure.
func requireStrace(t *testing.T) {
	t.Helper()
	const missing = "strace is not installed: apt-get install strace"
	_, err := exec.LookPath("strace")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	if err != nil {
		t.Skip(missing)
	}
}

// upgrade is a director whose data plane is replaced.
type upgrade struct {
	*ground
	releases
	rounds int // of the compatible version, there and back
	steps  int // of a start at which it is killed, about; 0: all
	log    func(string, ...any)
}

// Versions, as indexes of releases. The tags are those of internal/dataplane/format_*.go.
const (
	thisVersion = iota
	nextVersion
	laterVersion
)

// otherVersions are this version, the next one, which may take over, and a later one, which may not.
func otherVersions(t *testing.T, weir string) releases {
	return besides(t, weir, "weir_next", "weir_later")
}

// besides are this version, which is there, and others that are built by tags.
func besides(t *testing.T, weir, next, later string) releases {
	return releases{
		installed: filepath.Join(publicDir(t), "weir"),
		names:     []string{thisRelease, "next", "later"},
		built:     []string{weir, buildTagged(t, "next", next), buildTagged(t, "later", later)},
	}
}

func buildTagged(t *testing.T, release, tags string) string {
	t.Helper()
	weir := filepath.Join(publicDir(t), "weir-"+release)
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", "-X main.release="+release, "-o", weir, "../cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build weir with %s: %v\n%s", tags, err, out)
	}
	return weir
}

// run measures each way to replace it by itself.
func (u *upgrade) run(ctx context.Context) (faults.Measured, error) {
	all := faults.Measured{Figures: map[string]float64{}}
	for _, stage := range []struct {
		lost   string
		happen func(context.Context) (map[string]float64, error)
	}{{compatibleLost, u.thereAndBack}, {refusedLost, u.refuse}, {killedLost, u.killAtEachStep}} {
		m, err := u.under(ctx, stage.happen)
		if err != nil {
			return all, fmt.Errorf("%s: %w", stage.lost, err)
		}
		all.Figures[stage.lost] = m.Figures[lost] + m.Figures[failedNew]
		for name, value := range m.Figures {
			if name != lost && name != failedNew {
				all.Figures[name] = value
			}
		}
		all.Disturbed = strings.Trim(all.Disturbed+", "+m.Disturbed, ", ")
	}
	return all, nil
}

// thereAndBack lets the next version take over, and this one again.
func (u *upgrade) thereAndBack(ctx context.Context) (map[string]float64, error) {
	for range u.rounds {
		for _, version := range []int{nextVersion, thisVersion} {
			if err := inOrder(u.director.Stop, func() error { return u.serve(ctx, version) }); err != nil {
				return nil, err
			}
		}
	}
	return map[string]float64{}, nil
}

// serve starts a version and waits until it serves.
func (u *upgrade) serve(ctx context.Context, version int) error {
	if err := u.install(version); err != nil {
		return err
	}
	status, err := u.startAgain(ctx)
	if err != nil {
		return err
	}
	if want := u.names[version]; status.Version != want {
		return fmt.Errorf("version %s runs, %s was started", status.Version, want)
	}
	return nil
}

// refuse starts a version that lays out connections otherwise. It must end with exit code 1, say
// why, and leave everything as it is; then this version goes on.
func (u *upgrade) refuse(ctx context.Context) (map[string]float64, error) {
	if err := inOrder(u.director.Stop, func() error { return u.install(laterVersion) }); err != nil {
		return nil, err
	}
	before, err := u.held(ctx)
	if err != nil {
		return nil, err
	}
	if err := u.director.Restart(); err != nil {
		return nil, err
	}
	figures := map[string]float64{refusals: 0}
	refusal := u.waitReady(ctx)
	advice, _ := u.director.Output(ctx, u.installed, "doctor", "-c", u.director.Config, "--bpffs", u.director.BPFFS) // that it is degraded is in the text
	after, err := u.held(ctx)
	if err != nil {
		return nil, err
	}
	if refusal == nil || !strings.Contains(refusal.Error(), "exit status 1") ||
		!strings.Contains(refusal.Error(), "pinned maps have another layout") ||
		!strings.Contains(advice, "have another layout than this version's") || !slices.Equal(before, after) {
		figures[refusals]++
		u.log("the later version: %v\nits doctor: %s\nthere was %q\nthere is %q", refusal, advice, before, after)
	}
	time.Sleep(500 * time.Millisecond) // the load goes on
	return figures, inOrder(u.director.Stop, func() error { return u.serve(ctx, thisVersion) })
}

// waitReady tells why the daemon that was started last does not serve.
func (u *upgrade) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return u.director.WaitReady(ctx)
}

// held is the program on the interface, and every pin.
func (u *upgrade) held(ctx context.Context) ([]string, error) {
	program, err := (&intruder{ground: u.ground}).program(ctx, u.director)
	if err != nil {
		return nil, err
	}
	all := []string{"program " + program}
	err = filepath.WalkDir(u.director.BPFFS, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	return all, err
}

// connSizes are those of the connection table that the versions take turns with: each start moves all
// connections to another one.
var connSizes = [...]int{thisVersion: 100_000, nextVersion: 60_000}

// resize gives a version its size of the connection table.
func (u *upgrade) resize(version int) error {
	return u.director.Configure(u.lab.LoadServices() + fmt.Sprintf("connections: {size: %d}\n", connSizes[version]))
}

// serveSized starts a version with its size, and waits until it serves.
func (u *upgrade) serveSized(ctx context.Context, version int) error {
	return inOrder(func() error { return u.resize(version) }, func() error { return u.serve(ctx, version) })
}

// killAtEachStep kills starts behind one call of bpf after the other; each is tried again, which must
// serve. Versions take turns, and so do sizes of the connection table: each start is a swap and a move.
func (u *upgrade) killAtEachStep(ctx context.Context) (map[string]float64, error) {
	calls, err := u.callsOfStart(ctx)
	if err != nil {
		return nil, err
	}
	kills, served := 0, 0
	for turn, call := range u.callsOf(calls) {
		version := (turn + 1) % 2 // nextVersion first
		if err := u.resize(version); err != nil {
			return nil, err
		}
		killed, err := u.killAt(version, call)
		if err != nil {
			return nil, err
		}
		if err := u.serve(ctx, version); err != nil {
			u.log("at call %d of bpf (killed: %v), started: %v", call, killed, err)
			served--
		}
		if killed {
			kills++
			served++
		}
	}
	u.log("a start has %d calls of bpf; %d were killed", calls, kills)
	if kills == 0 {
		return nil, errors.New("no start was killed")
	}
	figures := map[string]float64{recovered: 100 * float64(served) / float64(kills)}
	return figures, inOrder(u.director.Stop, func() error { return u.serveSized(ctx, thisVersion) })
}

// callsOf are the calls at which a start is killed: all, or some, evenly spread.
func (u *upgrade) callsOf(calls int) []int {
	step := 1
	if u.steps != 0 {
		step = max(1, calls/u.steps)
	}
	var out []int
	for call := 1; call <= calls; call += step {
		out = append(out, call)
	}
	return out
}

// killAt starts a version, kills it behind a call of bpf, and tells whether it came so far.
func (u *upgrade) killAt(version, call int) (bool, error) {
	calls, err := u.startTraced(version, call)
	if err != nil || calls < call {
		return false, errors.Join(err, u.director.Stop())
	}
	return true, u.director.Kill()
}

// callsOfStart is how many calls of bpf a start has. Nobody asks the daemon meanwhile: each answer has
// some, too.
func (u *upgrade) callsOfStart(ctx context.Context) (int, error) {
	err := inOrder(u.director.Stop, func() error { return u.serveSized(ctx, thisVersion) }, func() error { return u.resize(nextVersion) })
	if err != nil {
		return 0, err
	}
	calls, err := u.startTraced(nextVersion, math.MaxInt)
	if err == nil && calls == 0 {
		err = errors.New("strace saw no call of bpf")
	}
	if err != nil {
		return 0, err
	}
	return calls, inOrder(u.director.Stop, func() error { return u.serveSized(ctx, thisVersion) })
}

// startTraced starts a version, and returns when it has come to a call of bpf, or to no more of them,
// with how many there were. Each call waits a little before it is done, so that the next one is not.
func (u *upgrade) startTraced(version, call int) (int, error) {
	const enough = 10 * time.Second // for a start
	fifo := filepath.Join(u.lab.Dir(), "bpf.fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return 0, err
	}
	defer os.Remove(fifo)
	trace, err := os.OpenFile(fifo, os.O_RDWR|unix.O_NONBLOCK, 0) // it has no end, even before it begins
	if err != nil {
		return 0, err
	}
	defer trace.Close()
	err = inOrder(u.director.Stop, func() error { return u.installTraced(version, fifo) }, u.director.Restart,
		func() error { return trace.SetReadDeadline(time.Now().Add(enough)) })
	return countCalls(trace, call), err
}

// countCalls reads what strace writes, until there were so many calls of bpf in all threads, or no more.
func countCalls(trace io.Reader, most int) int {
	n := 0
	for lines := bufio.NewScanner(trace); n < most && lines.Scan(); {
		if _, call, _ := strings.Cut(lines.Text(), " "); strings.HasPrefix(strings.TrimSpace(call), "bpf(") {
			n++
		}
	}
	return n
}

// installTraced puts a program in place that runs a version's daemon with strace beside it. What goes
// through a pipe is written line by line.
func (u *upgrade) installTraced(version int, fifo string) error {
	const script = `#!/bin/sh
case $1 in run) exec strace -D -f -qq -o '|exec cat >%[1]s' -e trace=bpf -e inject=bpf:delay_enter=3000 %[2]s "$@" ;; esac
exec %[2]s "$@"
`
	fresh := u.installed + ".new"
	if err := os.WriteFile(fresh, fmt.Appendf(nil, script, fifo, u.built[version]), 0o755); err != nil {
		return err
	}
	return os.Rename(fresh, u.installed)
}
