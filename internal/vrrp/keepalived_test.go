// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/netlab"
)

// shared are virtual routers that weir and keepalived have together, on the link of newLAN.
type shared []model.VirtualRouter

// Of checksums keepalived 2.2.7 knows RFC 5798's alone.
var (
	fast = shared{
		{Name: "v3", ID: 51, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("192.0.2.51/24")},
		{Name: "v6", ID: 53, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("fe80::53/64", "2001:db8::53/64")},
		{Name: "u3", ID: 54, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("192.0.2.54/24"), Peers: addrs("192.0.2.2")},
		{Name: "u6", ID: 56, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("fe80::56/64"), Peers: addrs("fe80::2")},
		{Name: "m3", ID: 62, Version: model.VRRP3, Advertise: 100 * time.Millisecond, Addresses: prefixes("192.0.2.62/24"), VirtualMAC: true},
	}
	slow = shared{ // version 2 knows whole seconds
		{Name: "v2", ID: 52, Version: model.VRRP2, Advertise: time.Second, Addresses: prefixes("192.0.2.52/24", "192.0.2.152/24")},
		{Name: "u2", ID: 55, Version: model.VRRP2, Advertise: time.Second, Addresses: prefixes("192.0.2.55/24"), Peers: addrs("192.0.2.2")},
	}
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func (s shared) names() (out []string) {
	for _, router := range s {
		out = append(out, router.Name)
	}
	return out
}

// ours are they as weir has them.
func (n namespace) ours(s shared, priority uint8) (out []model.VRRPWant) {
	link := n.Link()
	for _, router := range s {
		router.Interface, router.Priority, router.Preempt, router.Source = "eth0", priority, true, n.Own
		if router.Addresses[0].Addr().Is6() {
			router.Source = netip.MustParseAddr("fe80::1")
		}
		out = append(out, model.VRRPWant{VirtualRouter: router, Link: link})
	}
	return out
}

// theirs are they as keepalived has them, on the other end. It runs before other work, as weir does, and may then be
// held up for longer than the 10 ms after which it would be killed. By itself it sends unicast of IPv6 with the kernel's hop
// limit of 64.
func theirs(s shared, priority uint8) string {
	var b strings.Builder
	b.WriteString("global_defs {\n router_id peer\n vrrp_rt_priority 1\n vrrp_rlimit_rttime 10000000\n}\n")
	for _, router := range s {
		fmt.Fprintf(&b, "vrrp_instance %s {\n state BACKUP\n interface eth0\n virtual_router_id %d\n version %d\n priority %d\n advert_int %g\n",
			router.Name, router.ID, router.Version, priority, router.Advertise.Seconds())
		if router.VirtualMAC {
			b.WriteString(" use_vmac\n")
		}
		for _, peer := range router.Peers {
			fmt.Fprintf(&b, " unicast_src_ip %s\n unicast_ttl 255\n unicast_peer {\n  %s\n }\n", peer, peer.Prev()) // .1 and .2, ::1 and ::2
		}
		b.WriteString(" virtual_ipaddress {\n")
		for _, address := range router.Addresses {
			fmt.Fprintf(&b, "  %s\n", address)
		}
		b.WriteString(" }\n}\n")
	}
	return b.String()
}

// keepalived is the real one.
type keepalived struct {
	t       *testing.T
	shared  shared
	process *exec.Cmd
	log     string // path
	ended   chan struct{}
}

func (n namespace) keepalived(s shared, priority uint8) *keepalived {
	n.T.Helper()
	dir := n.T.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("conf"), []byte(theirs(s, priority)), 0o600); err != nil {
		n.T.Fatal(err)
	}
	log, err := os.Create(at("log"))
	if err != nil {
		n.T.Fatal(err)
	}
	defer log.Close()
	k := &keepalived{t: n.T, shared: s, log: at("log"), ended: make(chan struct{}),
		process: n.Command("keepalived", "-n", "-l", "-D", "-P", "-f", at("conf"), "-p", at("pid"), "-r", at("vrrp.pid"))}
	k.process.Stdout, k.process.Stderr = log, log
	k.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := k.process.Start(); err != nil {
		n.T.Fatal(err)
	}
	go func() { defer close(k.ended); _ = k.process.Wait() }()
	n.T.Cleanup(k.stop)
	return k
}

// stop ends it as a service's stop does; it says priority 0.
func (k *keepalived) stop() {
	k.t.Helper()
	_ = k.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-k.ended:
	case <-time.After(deadline):
		k.t.Errorf("keepalived does not end")
		k.kill()
	}
}

// kill ends both of its processes without a word.
func (k *keepalived) kill() {
	k.t.Helper()
	_ = syscall.Kill(-k.process.Process.Pid, syscall.SIGKILL)
	<-k.ended
}

// state is what it says of a virtual router.
func (k *keepalived) state(name string) string {
	k.t.Helper()
	text, err := os.ReadFile(k.log)
	if err != nil {
		k.t.Fatal(err)
	}
	state, entering := "", fmt.Sprintf("(%s) Entering ", name)
	for line := range strings.Lines(string(text)) {
		if _, after, ok := strings.Cut(line, entering); ok {
			state, _, _ = strings.Cut(after, " STATE")
		}
	}
	return state
}

func (k *keepalived) becomes(state string) {
	k.t.Helper()
	for _, name := range k.shared.names() {
		if !waits(func() bool { return k.state(name) == state }) {
			k.t.Fatalf("keepalived's %s is not %s within %s, but %s:\n%s", name, state, deadline, k.state(name), k.said(name))
		}
	}
}

// said is what it has logged of a virtual router, at the end.
func (k *keepalived) said(name string) string {
	text, _ := os.ReadFile(k.log)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "("+name+")") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-50):], "")
}

func TestKeepalivedIsBackupOfWeir(t *testing.T) {
	t.Parallel()
	netlab.NeedKeepalived(t)
	left, right := newLAN(t)
	peer := right.keepalived(fast, 100)
	weir := left.direct(left.ours(fast, 150)...)
	weir.becomes(model.VRRPMaster, fast.names()...)
	peer.becomes("BACKUP")

	weir.kill()
	peer.becomes("MASTER")

	again := left.direct(left.ours(fast, 150)...)
	again.becomes(model.VRRPMaster, fast.names()...)
	peer.becomes("BACKUP")
	again.isUnderstood()
	again.saysGoodbyeTo(peer)
}

func TestWeirIsBackupOfKeepalived(t *testing.T) {
	t.Parallel()
	netlab.NeedKeepalived(t)
	left, right := newLAN(t)
	peer := right.keepalived(fast, 150)
	weir := left.direct(left.ours(fast, 100)...)
	weir.follows(peer)
	left.sniffs("ip proto 112 and ether src 00:00:5e:00:01:3e", "192.0.2.2 > 224.0.0.18", "vrid 62") // use_vmac
	weir.hearsGoodbyeOf(peer)

	again := right.keepalived(fast, 150)
	again.becomes("MASTER")
	weir.becomes(model.VRRPBackup, fast.names()...)
	again.kill()
	weir.becomes(model.VRRPMaster, fast.names()...)
	for _, name := range fast.names() {
		if why := weir.seen(name).Why; !strings.HasPrefix(why, "no advert of ") {
			t.Errorf("%s: %q", name, why)
		}
	}
	weir.isUnderstood()
}

func TestVersion2WithKeepalived(t *testing.T) {
	t.Parallel()
	netlab.NeedKeepalived(t)
	left, right := newLAN(t)
	peer := right.keepalived(slow, 150)
	weir := left.direct(left.ours(slow, 100)...)
	weir.follows(peer)
	weir.hearsGoodbyeOf(peer)

	below := right.keepalived(slow, 50)
	below.becomes("BACKUP")
	weir.isUnderstood()
	weir.saysGoodbyeTo(below)
}

// follows waits until it is backup of keepalived.
func (d *director) follows(peer *keepalived) {
	d.t.Helper()
	for _, router := range peer.shared {
		name, its := router.Name, netip.MustParseAddr("192.0.2.2")
		if router.Addresses[0].Addr().Is6() {
			its = netip.MustParseAddr("fe80::2")
		}
		if !waits(func() bool {
			seen := d.seen(name)
			return seen.State == model.VRRPBackup && seen.Master == its && seen.Priority == 150
		}) {
			d.t.Fatalf("%s does not follow keepalived: %+v, %+v\n%s", name, d.seen(name), d.order("counts").Counts[name], peer.said(name))
		}
	}
}

// hearsGoodbyeOf stops keepalived, and takes over at once.
func (d *director) hearsGoodbyeOf(peer *keepalived) {
	d.t.Helper()
	peer.stop()
	d.becomes(model.VRRPMaster, peer.shared.names()...)
	for _, name := range peer.shared.names() {
		if why := d.seen(name).Why; !strings.HasSuffix(why, "2 has stepped down") {
			d.t.Errorf("%s: %q", name, why)
		}
	}
}

// saysGoodbyeTo ends, and keepalived takes over at once.
func (d *director) saysGoodbyeTo(peer *keepalived) {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	peer.becomes("MASTER")
	for _, name := range peer.shared.names() {
		if said := peer.said(name); !strings.Contains(said, " received priority 0 ") {
			d.t.Errorf("keepalived heard no priority 0 of %s:\n%s", name, said)
		}
	}
}

// isUnderstood says that adverts went out, and that nothing of what came was discarded.
func (d *director) isUnderstood() {
	d.t.Helper()
	for name, counts := range d.order("counts").Counts {
		if counts.Sent == 0 || len(counts.Discarded) > 0 {
			d.t.Errorf("%s: %+v", name, counts)
		}
	}
}
