// SPDX-License-Identifier: Apache-2.0

package realserver_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace of one test: that of a thread which does what it is told until
// the test ends. It has no name, so it leaves nothing behind, however the test ends.
type namespace struct {
	t    *testing.T
	jobs chan func()
	tid  int
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	needRoot(t)
	n := namespace{t: t, jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread dies with its goroutine
		n.tid = unix.Gettid()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for job := range n.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(n.jobs) })
	n.run("ip link set lo up")
	return n
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root, to make network namespaces and load BPF programs")
	}
	t.Skip("needs root, to make network namespaces and load BPF programs")
}

// do calls f in the namespace and returns its error.
func (n namespace) do(f func() error) error {
	done := make(chan error)
	n.jobs <- func() { done <- f() }
	return <-done
}

// must calls f in the namespace; an error ends the test.
func (n namespace) must(f func() error) {
	n.t.Helper()
	if err := n.do(f); err != nil {
		n.t.Fatal(err)
	}
}

// run calls a program of the host, usually ip, in the namespace and returns what it printed.
func (n namespace) run(command string) string {
	n.t.Helper()
	var out []byte
	n.must(func() (err error) {
		words := strings.Fields(command)
		if out, err = exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			err = fmt.Errorf("%s: %w: %s", command, err, out)
		}
		return err
	})
	return string(out)
}

// wire connects two namespaces by a link that has the same name in both.
func wire(a, b namespace, name string) {
	a.t.Helper()
	a.run(fmt.Sprintf("ip link add %s type veth peer name %s netns %d", name, name, b.tid))
	a.run("ip link set " + name + " up")
	b.run("ip link set " + name + " up")
}

// mac is the Ethernet address of a link.
func (n namespace) mac(link string) [6]byte {
	n.t.Helper()
	mac, err := net.ParseMAC(strings.Fields(n.run("ip -br link show " + link))[2])
	if err != nil {
		n.t.Fatal(err)
	}
	return [6]byte(mac)
}

// index is the index of a link.
func (n namespace) index(link string) (index int) {
	n.t.Helper()
	if _, err := fmt.Sscan(n.run("ip -o link show "+link), &index); err != nil && index == 0 {
		n.t.Fatal(err)
	}
	return index
}

// wiretap is a packet socket on a link.
type wiretap struct {
	n      namespace
	socket int
	index  int
}

func (n namespace) tap(link string) wiretap {
	n.t.Helper()
	w := wiretap{n: n, index: n.index(link)}
	n.must(func() (err error) {
		const everything = 0x0300 // ETH_P_ALL in network order
		w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err == nil {
			err = unix.Bind(w.socket, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: w.index})
		}
		return err
	})
	n.t.Cleanup(func() { unix.Close(w.socket) })
	return w
}

func (w wiretap) send(frame []byte) {
	w.n.t.Helper()
	if err := unix.Sendto(w.socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: w.index}); err != nil {
		w.n.t.Fatal(err)
	}
}

// drain returns the frames that came since.
func (w wiretap) drain() (frames [][]byte) {
	for {
		buffer := make([]byte, 2048)
		length, from, err := unix.Recvfrom(w.socket, buffer, 0)
		if err != nil {
			return frames
		}
		if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING {
			frames = append(frames, buffer[:length])
		}
	}
}
