// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is for slow machines: what is waited for comes, or something is broken.
const patience = time.Minute

// written is a script that nobody else can change. In it $DIR is a directory of its own.
func written(t *testing.T, text string) (p Program, dir string) {
	t.Helper()
	dir = t.TempDir()
	p.Path = filepath.Join(dir, "script")
	text = "#!/bin/sh\nDIR=" + dir + "\n" + text
	if err := os.WriteFile(p.Path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return p, dir
}

// failure is that of a program that was run.
func failure(t *testing.T, err error) Failure {
	t.Helper()
	failed, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	return *failed
}

func TestProgramsSeeNothingOfWeir(t *testing.T) {
	p, dir := written(t, `
printf '%s\n' "$@" >$DIR/args
env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort >$DIR/env
cat >$DIR/input
pwd >$DIR/pwd
`)
	p.Args, p.Env = []string{"a b", "$HOME;", ""}, []string{"WEIR_SERVER=10.0.0.11:80"}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"args": "a b\n$HOME;\n\n", "input": "", "pwd": "/\n", "env": SearchPath + "\nWEIR_SERVER=10.0.0.11:80\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestProgramsThatFailSaySo(t *testing.T) {
	p, _ := written(t, "echo first; echo second >&2; head -c 100000 /dev/zero | tr '\\0' x; exit 3")
	failed := failure(t, p.Run(t.Context()))
	if exit, ok := errors.AsType[*exec.ExitError](failed.Err); !ok || exit.ExitCode() != 3 {
		t.Errorf("got %v", failed.Err)
	}
	if !strings.HasPrefix(failed.Output, "first\nsecond\nxxx") || len(failed.Output) > MostOutput {
		t.Errorf("%d bytes are kept, beginning with %.20q", len(failed.Output), failed.Output)
	}
}

// TestProgramsWithoutEndAreKilled, be they silent or not.
func TestProgramsWithoutEndAreKilled(t *testing.T) {
	for _, text := range []string{"exec sleep 300", "exec yes", "trap '' TERM; while :; do echo y; done"} {
		p, _ := written(t, text)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		failed := failure(t, p.Run(ctx))
		if !errors.Is(failed.Err, context.DeadlineExceeded) || len(failed.Output) > MostOutput {
			t.Errorf("%s: got %v, and %d bytes", text, failed.Err, len(failed.Output))
		}
	}
}

// TestGrandchildrenAreKilledToo: the whole process group goes.
func TestGrandchildrenAreKilledToo(t *testing.T) {
	p, dir := written(t, "sleep 300 &\necho $! >$DIR/new && mv $DIR/new $DIR/pid\nwait")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	pid := mustAppear(t, filepath.Join(dir, "pid"))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mustDie(t, pid)
}

// TestWhatHoldsTheOutputIsKilled: a program that has ended does not keep the next one waiting, however it ended.
func TestWhatHoldsTheOutputIsKilled(t *testing.T) {
	for _, end := range []string{"", "exit 3"} {
		p, dir := written(t, "sleep 300 &\necho $! >$DIR/new && mv $DIR/new $DIR/pid\n"+end)
		start := time.Now()
		if err := p.Run(t.Context()); (err != nil) != (end != "") {
			t.Errorf("%s: got %v", end, err)
		}
		if took := time.Since(start); took > patience {
			t.Errorf("it took %s", took)
		}
		mustDie(t, mustAppear(t, filepath.Join(dir, "pid")))
	}
}

func TestUnsafeProgramsAreNotRun(t *testing.T) {
	p, dir := written(t, "touch $DIR/ran")
	if err := p.Usable(); err != nil {
		t.Fatalf("a safe one is refused: %v", err)
	}
	if err := os.Chmod(p.Path, 0o757); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{p.Usable(), p.Run(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "writable by everybody: chmod o-w") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it ran")
	}
}

func TestProgramsThatCannotBeRunAreNoFailures(t *testing.T) {
	gone, _ := written(t, "true")
	if err := os.Remove(gone.Path); err != nil {
		t.Fatal(err)
	}
	garbage, _ := written(t, "")
	if err := os.WriteFile(garbage.Path, []byte("\x7fELF garbage"), 0o755); err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]Program{
		gone.Path + ": no such file":                   gone,
		"start " + garbage.Path + ": ":                 garbage,
		`"script" is not a whole path`:                 {Path: "script"},
		"user no-such-user: user: unknown user":        {Path: garbage.Path, User: "no-such-user"},
		filepath.Dir(gone.Path) + " is not a file: na": {Path: filepath.Dir(gone.Path)},
	} {
		err := p.Run(t.Context())
		if _, ran := errors.AsType[*Failure](err); ran || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestUsersAreChangedOrRefused(t *testing.T) {
	p, dir := written(t, "id -u; exit 1")
	for _, d := range []string{dir, filepath.Dir(dir)} { // which are closed to others
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	as := func(name string) error {
		p.User = name
		return p.Run(t.Context())
	}
	if failed := failure(t, as(own.Username)); failed.Output != own.Uid {
		t.Errorf("as oneself: got %v", failed)
	}
	other, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	if other.Uid == own.Uid {
		return // that was as oneself
	}
	err = as("nobody")
	if mayChangeUser() {
		if failed := failure(t, err); failed.Output != other.Uid {
			t.Errorf("as nobody: got %v", err)
		}
	} else if err == nil || !strings.Contains(err.Error(), "may not change to it") {
		t.Errorf("as nobody, without the right: got %v", err)
	}
}

// mustAppear waits for a file, and returns what is in it.
func mustAppear(t *testing.T, path string) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(data))
		}
	}
	t.Fatalf("%s does not appear", path)
	return ""
}

// mustDie waits for the end of a process. Where nobody collects orphans it stays as a zombie.
func mustDie(t *testing.T, pid string) {
	t.Helper()
	var state []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return
		}
		_, state, _ = bytes.Cut(stat, []byte(") "))
		if bytes.HasPrefix(state, []byte("Z")) || bytes.HasPrefix(state, []byte("X")) {
			return
		}
	}
	t.Errorf("process %s lives: %s", pid, state)
}
