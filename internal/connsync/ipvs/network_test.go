// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadline is generous: what the tests wait for takes milliseconds.
const deadline = 60 * time.Second

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, deadline)
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

// namespace is a network namespace. A process that sleeps in it keeps it.
type namespace struct {
	t   *testing.T
	pid int
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = keeper.Process.Kill()
		_ = keeper.Wait()
	})
	n := namespace{t, keeper.Process.Pid}
	n.run("ip link set lo up")
	n.sysctl("ipv6/conf/default/accept_dad", "0")
	return n
}

func (n namespace) path() string { return fmt.Sprintf("/proc/%d/ns/net", n.pid) }

func (n namespace) run(command string) string {
	n.t.Helper()
	out, err := exec.Command("nsenter", append([]string{"--net=" + n.path(), "--"}, strings.Fields(command)...)...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

func (n namespace) sysctl(name, value string) {
	n.t.Helper()
	n.do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// works waits until the link takes packets. Before that they are lost without a word.
func (n namespace) works() {
	n.t.Helper()
	within(n.t, "a link", func() bool { return strings.Contains(n.run("ip -o link show eth0"), "state UP") })
}

// newLAN is two namespaces with a wire between them: 192.0.2.1 and .2, fe80::1 and fe80::2.
func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	needRoot(t)
	left, right = newNamespace(t), newNamespace(t)
	left.run(fmt.Sprintf("ip link add eth0 type veth peer name eth0 netns %d", right.pid))
	for i, n := range []namespace{left, right} {
		n.run("ip link set eth0 addrgenmode none")
		n.run(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev eth0", i+1))
		n.run(fmt.Sprintf("ip addr add fe80::%d/64 dev eth0", i+1))
		n.run("ip link set eth0 up")
	}
	left.works()
	right.works()
	return left, right
}

// do runs fn in the namespace. Its thread belongs to no other goroutine, and ends with this one.
func (n namespace) do(fn func() error) {
	n.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			file, err := os.Open(n.path())
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return fn()
		}()
	}()
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// open opens a socket there, on eth0.
func (n namespace) open(config Config) (s *Socket) {
	n.t.Helper()
	n.do(func() (err error) {
		config.Interface = "eth0"
		s, err = Open(config)
		return err
	})
	n.t.Cleanup(func() { s.Close() })
	s.Use(marks)
	return s
}
