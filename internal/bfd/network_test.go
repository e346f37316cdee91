// SPDX-License-Identifier: Apache-2.0

package bfd_test

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

	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// deadline is generous: what the tests wait for takes seconds.
const deadline = 30 * time.Second

func waits(ok func() bool) bool { return netlab.Waits(deadline, ok) }

// namespace is one with what these tests do in it.
type namespace struct{ netlab.Namespace }

func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	one, other := netlab.NewLAN(t)
	return namespace{one}, namespace{other}
}

// sessions are one of IPv4 and one of IPv6, from an address that ends in own to one that ends in peer.
func (n namespace) sessions(own, peer int) (out []model.BFDWant) {
	for name, network := range map[string]string{"v4": "192.0.2.", "v6": "fe80::"} {
		out = append(out, model.BFDWant{Link: n.Link(), BFDSession: model.BFDSession{Name: name, Interface: "eth0",
			Peer: netip.MustParseAddr(network + strconv.Itoa(peer)), Source: netip.MustParseAddr(network + strconv.Itoa(own)),
			Interval: 100 * time.Millisecond, Multiplier: 3}})
	}
	return out
}

// watcher is a Runner in a namespace.
type watcher struct {
	t       *testing.T
	process *exec.Cmd
	orders  io.Writer
	ended   chan struct{}

	mu      sync.Mutex
	changes []bfd.Change
	last    told // answer to an order
	answers int
}

func (n namespace) watch(wants ...model.BFDWant) *watcher {
	n.T.Helper()
	self, err := os.Executable()
	if err != nil {
		n.T.Fatal(err)
	}
	w := &watcher{t: n.T, process: n.Command(self), ended: make(chan struct{})}
	w.process.Env = append(os.Environ(), asWatcher+"="+asJSON(n.T, wants))
	w.process.Stderr = os.Stderr
	if w.orders, err = w.process.StdinPipe(); err != nil {
		n.T.Fatal(err)
	}
	out, err := w.process.StdoutPipe()
	if err != nil {
		n.T.Fatal(err)
	}
	netlab.Start(n.T, w.process)
	go w.read(out)
	return w
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w *watcher) read(out io.Reader) {
	defer close(w.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line told
		_ = json.Unmarshal(lines.Bytes(), &line)
		w.mu.Lock()
		if line.Change.Name == "" {
			w.last = line
			w.answers++
		} else {
			w.changes = append(w.changes, line.Change)
		}
		w.mu.Unlock()
	}
}

// seen is what was told last of a session.
func (w *watcher) seen(name string) (seen model.BFDSeen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, change := range w.changes {
		if change.Name == name {
			seen = change.Seen
		}
	}
	return seen
}

// sees waits until both sessions are in a state, for a reason that has these words in it.
func (w *watcher) sees(state model.BFDState, words string) {
	w.t.Helper()
	for _, name := range []string{"v4", "v6"} {
		if !waits(func() bool { s := w.seen(name); return s.State == state && strings.Contains(s.Why, words) }) {
			w.t.Fatalf("%s is not %s within %s, but %+v; %+v", name, state, deadline, w.seen(name), w.order("counts"))
		}
	}
}

func (w *watcher) order(text string) told {
	w.t.Helper()
	w.mu.Lock()
	before := w.answers
	w.mu.Unlock()
	if _, err := fmt.Fprintln(w.orders, text); err != nil {
		w.t.Fatal(err)
	}
	var last told
	if !waits(func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		last = w.last
		return w.answers > before
	}) {
		w.t.Fatalf("%s: no answer", text)
	}
	return last
}

// ends ends it, as a service's stop does, or without a word.
func (w *watcher) ends(with syscall.Signal) {
	w.t.Helper()
	if err := w.process.Process.Signal(with); err != nil {
		w.t.Fatal(err)
	}
	<-w.ended
}

// TestTwoWatchEachOther on a real wire: up, cut off, up again, killed, switched off.
func TestTwoWatchEachOther(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	one, other := left.watch(left.sessions(1, 2)...), right.watch(right.sessions(2, 1)...)
	one.sees(model.BFDUp, "hears this one")
	other.sees(model.BFDUp, "hears this one")
	if s := one.seen("v4"); s.Interval != 100*time.Millisecond || s.Detects != 300*time.Millisecond {
		if !waits(func() bool { s := one.seen("v4"); return s.Detects == 300*time.Millisecond }) {
			t.Errorf("it is every %s, within %s", s.Interval, s.Detects)
		}
	}

	right.Run("nft add table inet cut")
	right.Run("nft add chain inet cut in { type filter hook input priority 0; }")
	right.Run("nft add rule inet cut in udp dport 3784 drop")
	other.sees(model.BFDDown, "no packet of")
	one.sees(model.BFDInit, "is heard, and says that it is down: control detection time expired") // down for a second at most
	right.Run("nft delete table inet cut")
	one.sees(model.BFDUp, "")
	other.sees(model.BFDUp, "")

	other.ends(syscall.SIGKILL)
	one.sees(model.BFDDown, "no packet of")
	again := right.watch(right.sessions(2, 1)...)
	one.sees(model.BFDUp, "")
	again.sees(model.BFDUp, "")
	again.ends(syscall.SIGTERM)
	one.sees(model.BFDDown, "has switched it off")
	for _, name := range []string{"v4", "v6"} {
		if s := one.seen(name); !s.Off {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if counts := one.order("counts").Counts["v4"]; counts.Sent == 0 || counts.Received == 0 || counts.Unsent > 0 {
		t.Errorf("%+v", counts)
	}
}

// say is a program that sends a packet of BFD to 192.0.2.1, in the words of its hex digits.
func (n namespace) say(ttl int, text string) {
	n.T.Helper()
	script := fmt.Sprintf(`import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, %d)
s.bind(("192.0.2.2", 50000))
s.sendto(bytes.fromhex("%s"), ("192.0.2.1", 3784))`, ttl, text)
	if out, err := n.Command("python3", "-c", script).CombinedOutput(); err != nil {
		n.T.Fatalf("%v: %s", err, out)
	}
}

// TestWhatIsForNobodyIsCounted, by its reason: at the session of its sender's if there is one, else apart.
func TestWhatIsForNobodyIsCounted(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	right.Run("ip addr add 192.0.2.3/24 dev eth0")
	wants := left.sessions(1, 2)
	w := left.watch(wants...)
	if !waits(func() bool { return w.order("counts").Counts["v4"].Sent > 0 }) {
		t.Fatal("it says nothing")
	}
	const down, intervals = "20400318", "000f4240" + "000186a0" + "00000000"
	right.say(254, down+"00000007"+"00000000"+intervals)
	right.say(255, down+"00000000"+"00000000"+intervals)
	right.say(255, down+"00000007"+"00000001"+intervals)
	right.say(255, "20")
	var got told
	want := map[bfd.Reason]uint64{bfd.ReasonTTL: 1, bfd.ReasonDiscriminator: 1, bfd.ReasonLength: 1}
	if !waits(func() bool {
		got = w.order("counts")
		return equal(got.Counts["v4"].Discarded, want) && equal(got.Strangers, map[bfd.Reason]uint64{bfd.ReasonSession: 1})
	}) {
		t.Errorf("%+v", got)
	}
	right.say(255, down+"00000007"+"00000000"+intervals)
	if !waits(func() bool { return w.seen("v4").State == model.BFDInit }) {
		t.Errorf("%+v", w.seen("v4"))
	}
}

func equal(a, b map[bfd.Reason]uint64) bool {
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// TestWhatDoesNotGetAwayIsTold, and counted, until it does.
func TestWhatDoesNotGetAwayIsTold(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	left.Run("nft add table inet cut")
	left.Run("nft add chain inet cut out { type filter hook output priority 0; }")
	left.Run("nft add rule inet cut out udp dport 3784 drop")
	w := left.watch(left.sessions(1, 2)...)
	if !waits(func() bool { return strings.Contains(w.seen("v4").Unsaid, "operation not permitted") }) {
		t.Fatalf("%+v", w.seen("v4"))
	}
	if counts := w.order("counts").Counts["v4"]; counts.Unsent == 0 || counts.Sent > 0 {
		t.Errorf("%+v", counts)
	}
	left.Run("nft delete table inet cut")
	right.watch(right.sessions(2, 1)...)
	w.sees(model.BFDUp, "")
	if !waits(func() bool { return w.seen("v4").Unsaid == "" }) {
		t.Errorf("%+v", w.seen("v4"))
	}
}

// TestPortOfSomebodyElse is a fault that says whose it may be, and ends by itself.
func TestPortOfSomebodyElse(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	squatter := left.Command("python3", "-c", `import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 3784))
print("there", flush=True)
time.sleep(600)`)
	out, err := squatter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	netlab.Start(t, squatter)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	w := left.watch(left.sessions(1, 2)...)
	if !waits(func() bool { return strings.Contains(w.seen("v4").Why, "UDP port 3784 of IPv4 is somebody else's") }) {
		t.Fatalf("%+v", w.seen("v4"))
	}
	_ = squatter.Process.Kill()
	other := right.watch(right.sessions(2, 1)...)
	w.sees(model.BFDUp, "")
	other.sees(model.BFDUp, "")

	w.order("follow []") // what is not wanted any more is switched off
	other.sees(model.BFDDown, "has switched it off")
	w.order("follow " + asJSON(t, left.sessions(1, 2)))
	other.sees(model.BFDUp, "")
}
