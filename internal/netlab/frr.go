// SPDX-License-Identifier: Apache-2.0

package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// FRR is the real one: a daemon, which hears of interfaces from zebra, in a directory of the user whom both become.
type FRR struct {
	T *testing.T

	n       Namespace
	name    string // of the daemon
	limit   time.Duration
	dir     string
	daemons []*exec.Cmd // in the order of their start
	ended   []chan struct{}
}

// programsOfFRR are where Debian has its daemons.
const programsOfFRR = "/usr/lib/frr"

// NeedFRR skips a test where FRR has no such daemon, but not in CI.
func NeedFRR(t *testing.T, daemon string) {
	t.Helper()
	_, err := os.Stat(filepath.Join(programsOfFRR, daemon))
	need(t, err == nil, "frr: make test-packages installs it")
}

// NewFRR is one that has not begun. It begins and ends within a limit, and ends with the test.
func (n Namespace) NewFRR(daemon string, limit time.Duration) *FRR {
	n.T.Helper()
	f := &FRR{T: n.T, n: n, name: daemon, limit: limit, dir: directoryOfFRR(n.T)}
	n.T.Cleanup(func() { f.End(syscall.SIGTERM) })
	return f
}

func directoryOfFRR(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-frr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	it, err := user.Lookup("frr")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(it.Uid)
	gid, _ := strconv.Atoi(it.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Dir is the directory, which vtysh finds the daemon by.
func (f *FRR) Dir() string { return f.dir }

// At is a file of its directory.
func (f *FRR) At(name string) string { return filepath.Join(f.dir, name) }

// Begin starts zebra and the daemon, the latter with a configuration and more options.
func (f *FRR) Begin(configuration string, options ...string) {
	f.T.Helper()
	socket := f.At("zserv")
	os.Remove(socket) // of one that was killed
	f.write("zebra.conf", "")
	f.write(f.name+".conf", configuration)
	f.start("zebra", "-z", socket)
	Within(f.T, f.limit, "zebra's socket", func() bool { _, err := os.Stat(socket); return err == nil })
	f.start(f.name, append([]string{"-z", socket}, options...)...)
}

func (f *FRR) write(name, text string) {
	f.T.Helper()
	if err := os.WriteFile(f.At(name), []byte(text), 0o644); err != nil {
		f.T.Fatal(err)
	}
}

func (f *FRR) start(name string, options ...string) {
	f.T.Helper()
	words := append([]string{filepath.Join(programsOfFRR, name), "-f", f.At(name + ".conf"), "-i", f.At(name + ".pid"), "--vty_socket", f.dir,
		"-P", "0", "--log", "file:" + f.At(name+".log"), "--log-level", "info"}, options...)
	daemon, ended := f.n.Command(words...), make(chan struct{})
	if err := daemon.Start(); err != nil {
		f.T.Fatal(err)
	}
	go func() { defer close(ended); _ = daemon.Wait() }()
	f.daemons, f.ended = append(f.daemons, daemon), append(f.ended, ended)
}

// End ends the daemon before zebra, with a signal.
func (f *FRR) End(with syscall.Signal) {
	f.T.Helper()
	for i := len(f.daemons) - 1; i >= 0; i-- {
		_ = f.daemons[i].Process.Signal(with)
		select {
		case <-f.ended[i]:
		case <-time.After(f.limit):
			f.T.Errorf("%s does not end", f.daemons[i].Path)
			_ = f.daemons[i].Process.Kill()
			<-f.ended[i]
		}
		name := filepath.Base(f.daemons[i].Args[3])                                     // behind nsenter's words
		os.RemoveAll(fmt.Sprintf("/var/tmp/frr/%s.%d", name, f.daemons[i].Process.Pid)) // one that is killed leaves it
	}
	f.daemons, f.ended = nil, nil
}
