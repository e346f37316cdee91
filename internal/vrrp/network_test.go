// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

// deadline is generous: what the tests wait for takes seconds.
const deadline = 60 * time.Second

// within waits until ok is true.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !waits(ok) {
		t.Fatalf("%s: not within %s", what, deadline)
	}
}

func waits(ok func() bool) bool {
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
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
	own netip.Addr // on eth0
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	needRoot(t)
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	start(t, keeper)
	n := namespace{t: t, pid: keeper.Process.Pid}
	n.run("ip link set lo up")
	n.run("sysctl -q -w net.ipv6.conf.default.accept_dad=0")
	return n
}

// start starts a program and ends it with the test.
func start(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}

func (n namespace) command(words ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", n.pid), "--"}, words...)...)
}

func (n namespace) run(command string) string {
	n.t.Helper()
	out, err := n.command(strings.Fields(command)...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// link is the index of eth0.
func (n namespace) link() int {
	n.t.Helper()
	return n.index("eth0")
}

func (n namespace) index(link string) int {
	n.t.Helper()
	text, _, _ := strings.Cut(n.run("ip -o link show "+link), ":") // /sys is of the namespace that mounted it
	index, err := strconv.Atoi(text)
	if err != nil {
		n.t.Fatal(err)
	}
	return index
}

// wire connects two namespaces: 192.0.2.1 and .2, fe80::1 and fe80::2.
func wire(left, right namespace) {
	left.t.Helper()
	left.run(fmt.Sprintf("ip link add eth0 type veth peer name eth0 netns %d", right.pid))
	for i, n := range []namespace{left, right} {
		n.run("ip link set eth0 addrgenmode none")
		n.run(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev eth0", i+1))
		n.run(fmt.Sprintf("ip addr add fe80::%d/64 dev eth0", i+1))
		n.run("ip link set eth0 up")
	}
}

func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	left, right = newNamespace(t), newNamespace(t)
	left.own, right.own = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	wire(left, right)
	return left, right
}

// director is a Runner in a namespace.
type director struct {
	t       *testing.T
	process *exec.Cmd
	orders  io.Writer
	ended   chan struct{}

	mu      sync.Mutex
	changes []vrrp.Change
	last    told // answer to an order
	answers int
}

func (n namespace) direct(wants ...model.VRRPWant) *director {
	n.t.Helper()
	return n.directWith(nil, wants...)
}

func (n namespace) directWith(environment []string, wants ...model.VRRPWant) *director {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	d := &director{t: n.t, process: n.command(self), ended: make(chan struct{})}
	d.process.Env = append(append(os.Environ(), environment...), asDirector+"="+asJSON(n.t, wants))
	d.process.Stderr = os.Stderr
	d.orders, err = d.process.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := d.process.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	start(n.t, d.process)
	go d.read(out)
	return d
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (d *director) read(out io.Reader) {
	defer close(d.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line told
		_ = json.Unmarshal(lines.Bytes(), &line)
		d.mu.Lock()
		if line.Counts != nil {
			d.last = line
			d.answers++
		} else {
			d.changes = append(d.changes, line.Change)
		}
		d.mu.Unlock()
	}
}

// told is what was told of a virtual router.
func (d *director) told(name string) (told []model.VRRPSeen) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, change := range d.changes {
		if change.Name == name {
			told = append(told, change.Seen)
		}
	}
	return told
}

// seen is what was told last.
func (d *director) seen(name string) (seen model.VRRPSeen) {
	if told := d.told(name); len(told) > 0 {
		seen = told[len(told)-1]
	}
	return seen
}

// becomes waits until each of the virtual routers is in a state.
func (d *director) becomes(state model.VRRPState, names ...string) {
	d.t.Helper()
	for _, name := range names {
		if !waits(func() bool { return d.seen(name).State == state }) {
			d.t.Fatalf("%s is not %s within %s, but %+v", name, state, deadline, d.seen(name))
		}
	}
}

// order gives an order and returns the answer.
func (d *director) order(text string) told {
	d.t.Helper()
	d.mu.Lock()
	before := d.answers
	d.mu.Unlock()
	if _, err := fmt.Fprintln(d.orders, text); err != nil {
		d.t.Fatal(err)
	}
	var last told
	within(d.t, text, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		last = d.last
		return d.answers > before
	})
	return last
}

func (d *director) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.process.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// kill is what nobody can say goodbye after.
func (d *director) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
	<-d.ended
}

// front is a virtual router of 192.0.2.100, every 100 ms.
func (n namespace) front(priority uint8) model.VRRPWant {
	return model.VRRPWant{Link: n.link(), VirtualRouter: model.VirtualRouter{Name: "front", Interface: "eth0", ID: 51, Version: model.VRRP3, Priority: priority,
		Advertise: 100 * time.Millisecond, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}, Preempt: true, Source: n.own}}
}

// sniffs wants the next packet that a filter of tcpdump takes to be shown with some words.
func (n namespace) sniffs(filter string, words ...string) {
	n.t.Helper()
	command := append([]string{"timeout", "60", "tcpdump", "-nn", "-e", "-v", "-x", "-c", "1", "-i", "eth0"}, strings.Fields(filter)...)
	out, err := n.command(command...).Output()
	if err != nil {
		n.t.Fatalf("tcpdump %s: %v", filter, err)
	}
	for _, word := range words {
		if !strings.Contains(string(out), word) {
			n.t.Errorf("no %q in\n%s", word, out)
		}
	}
}
