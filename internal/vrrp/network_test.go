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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
	"github.com/weir-lb/weir/internal/vrrp"
)

// deadline is generous: what the tests wait for takes seconds.
const deadline = 60 * time.Second

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	netlab.Within(t, deadline, what, ok)
}

func waits(ok func() bool) bool { return netlab.Waits(deadline, ok) }

// namespace is one with what these tests do in it.
type namespace struct{ netlab.Namespace }

func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	one, other := netlab.NewLAN(t)
	return namespace{one}, namespace{other}
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
	n.T.Helper()
	return n.directWith(nil, wants...)
}

func (n namespace) directWith(environment []string, wants ...model.VRRPWant) *director {
	n.T.Helper()
	self, err := os.Executable()
	if err != nil {
		n.T.Fatal(err)
	}
	d := &director{t: n.T, process: n.Command(self), ended: make(chan struct{})}
	d.process.Env = append(append(os.Environ(), environment...), asDirector+"="+asJSON(n.T, wants))
	d.process.Stderr = os.Stderr
	d.orders, err = d.process.StdinPipe()
	if err != nil {
		n.T.Fatal(err)
	}
	out, err := d.process.StdoutPipe()
	if err != nil {
		n.T.Fatal(err)
	}
	netlab.Start(n.T, d.process)
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

// becomes waits until each of the virtual routers is in a state, and has said so: then it has its socket.
func (d *director) becomes(state model.VRRPState, names ...string) {
	d.t.Helper()
	for _, name := range names {
		if !waits(func() bool { return len(d.told(name)) > 0 && d.seen(name).State == state }) {
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
	return model.VRRPWant{Link: n.Link(), VirtualRouter: model.VirtualRouter{Name: "front", Interface: "eth0", ID: 51, Version: model.VRRP3, Priority: priority,
		Advertise: 100 * time.Millisecond, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")}, Preempt: true, Source: n.Own}}
}

// sniffs wants the next packet that a filter of tcpdump takes to be shown with some words.
func (n namespace) sniffs(filter string, words ...string) {
	n.T.Helper()
	command := append([]string{"timeout", "60", "tcpdump", "-nn", "-e", "-v", "-x", "-c", "1", "-i", "eth0"}, strings.Fields(filter)...)
	out, err := n.Command(command...).Output()
	if err != nil {
		n.T.Fatalf("tcpdump %s: %v", filter, err)
	}
	for _, word := range words {
		if !strings.Contains(string(out), word) {
			n.T.Errorf("no %q in\n%s", word, out)
		}
	}
}
