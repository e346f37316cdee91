// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// deadline is generous: what the tests wait for takes milliseconds.
const deadline = 30 * time.Second

// namespace is a network namespace of one test. It has no name, so it goes with its last handle.
type namespace struct {
	t      *testing.T
	handle netns.NsHandle
}

var namespaces atomic.Int32

// newNamespace makes a namespace with its loopback up.
func newNamespace(t *testing.T) namespace {
	t.Helper()
	needRoot(t)
	n := namespace{t: t}
	onThread(t, netns.None(), func() (err error) {
		n.handle, err = netns.New()
		return err
	})
	t.Cleanup(func() { n.handle.Close() })
	n.run("ip link set lo up")
	return n
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root, to make network namespaces")
	}
	t.Skip("needs root, to make network namespaces")
}

// do calls f on a thread that is in the namespace, and waits for it.
func (n namespace) do(f func() error) {
	n.t.Helper()
	onThread(n.t, n.handle, f)
}

// onThread calls f on a thread of its own, in a namespace. The thread dies with it.
func onThread(t *testing.T, ns netns.NsHandle, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		defer close(done) // also when f ended the test
		runtime.LockOSThread()
		if ns.IsOpen() {
			if err := netns.Set(ns); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// run calls a program of the host, usually ip, in the namespace and returns what it printed.
func (n namespace) run(command string) string {
	n.t.Helper()
	var out []byte
	n.do(func() (err error) {
		words := strings.Fields(command)
		out, err = exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", command, err, out)
		}
		return err
	})
	return string(out)
}

// sysctl reads a setting in the namespace.
func (n namespace) sysctl(path string) (value string) {
	n.t.Helper()
	n.do(func() (err error) {
		value, err = address.Sysctl(path)
		return err
	})
	return value
}

// link returns a link of the namespace by its name.
func (n namespace) link(name string) (link model.Link) {
	n.t.Helper()
	n.do(func() error {
		network, err := address.Look(nil)
		for _, l := range network.Links {
			if l.Name == name {
				link = l
			}
		}
		return err
	})
	return link
}

// newLAN makes two namespaces with an eth0 each, connected by a wire: 192.0.2.1 and .2/24,
// 2001:db8::1 and ::2/64.
func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	left, right = newNamespace(t), newNamespace(t)
	temporary := fmt.Sprintf("t%dx%d", os.Getpid()%100000, namespaces.Add(1))
	left.run("ip link add eth0 type veth peer name " + temporary)
	left.do(func() error { return moveLink(temporary, right.handle) })
	right.run("ip link set " + temporary + " name eth0")
	for i, n := range []namespace{left, right} {
		n.run(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev eth0", i+1))
		n.run(fmt.Sprintf("ip addr add 2001:db8::%d/64 dev eth0 nodad", i+1))
		n.run("ip link set eth0 up")
	}
	return left, right
}

// journal opens a journal in a directory of the test.
func journal(t *testing.T, path string) *address.Journal {
	t.Helper()
	j, err := address.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t *testing.T }

var _ io.Writer = testWriter{}

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func addr(s string) model.Addr { return netip.MustParseAddr(s) }

// within waits until ok is true.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, deadline)
}
