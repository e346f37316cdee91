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
)

// deadline is generous: what the tests wait for takes seconds.
const deadline = 30 * time.Second

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
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	needRoot(t)
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	start(t, keeper)
	n := namespace{t, keeper.Process.Pid}
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
	text, _, _ := strings.Cut(n.run("ip -o link show eth0"), ":")
	index, err := strconv.Atoi(text)
	if err != nil {
		n.t.Fatal(err)
	}
	return index
}

// newLAN connects two namespaces: 192.0.2.1 and .2, fe80::1 and fe80::2.
func newLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	left, right = newNamespace(t), newNamespace(t)
	left.run(fmt.Sprintf("ip link add eth0 type veth peer name eth0 netns %d", right.pid))
	for i, n := range []namespace{left, right} {
		n.run("ip link set eth0 addrgenmode none")
		n.run(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev eth0", i+1))
		n.run(fmt.Sprintf("ip addr add fe80::%d/64 dev eth0", i+1))
		n.run("ip link set eth0 up")
	}
	return left, right
}

// sessions are one of IPv4 and one of IPv6, from an address that ends in own to one that ends in peer.
func (n namespace) sessions(own, peer int) (out []model.BFDWant) {
	for name, network := range map[string]string{"v4": "192.0.2.", "v6": "fe80::"} {
		out = append(out, model.BFDWant{Link: n.link(), BFDSession: model.BFDSession{Name: name, Interface: "eth0",
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
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	w := &watcher{t: n.t, process: n.command(self), ended: make(chan struct{})}
	w.process.Env = append(os.Environ(), asWatcher+"="+asJSON(n.t, wants))
	w.process.Stderr = os.Stderr
	if w.orders, err = w.process.StdinPipe(); err != nil {
		n.t.Fatal(err)
	}
	out, err := w.process.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	start(n.t, w.process)
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

	right.run("nft add table inet cut")
	right.run("nft add chain inet cut in { type filter hook input priority 0; }")
	right.run("nft add rule inet cut in udp dport 3784 drop")
	other.sees(model.BFDDown, "no packet of")
	one.sees(model.BFDDown, "says that it is down: control detection time expired")
	right.run("nft delete table inet cut")
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
	n.t.Helper()
	script := fmt.Sprintf(`import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, %d)
s.bind(("192.0.2.2", 50000))
s.sendto(bytes.fromhex("%s"), ("192.0.2.1", 3784))`, ttl, text)
	if out, err := n.command("python3", "-c", script).CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
}

// TestWhatIsForNobodyIsCounted, by its reason: at the session of its sender's if there is one, else apart.
func TestWhatIsForNobodyIsCounted(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	right.run("ip addr add 192.0.2.3/24 dev eth0")
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
	left.run("nft add table inet cut")
	left.run("nft add chain inet cut out { type filter hook output priority 0; }")
	left.run("nft add rule inet cut out udp dport 3784 drop")
	w := left.watch(left.sessions(1, 2)...)
	if !waits(func() bool { return strings.Contains(w.seen("v4").Unsaid, "operation not permitted") }) {
		t.Fatalf("%+v", w.seen("v4"))
	}
	if counts := w.order("counts").Counts["v4"]; counts.Unsent == 0 || counts.Sent > 0 {
		t.Errorf("%+v", counts)
	}
	left.run("nft delete table inet cut")
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
	squatter := left.command("python3", "-c", `import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 3784))
print("there", flush=True)
time.sleep(600)`)
	out, err := squatter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, squatter)
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
