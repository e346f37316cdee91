// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/lab"
)

// bed is a director in a lab, and the doctor that looks at it.
type bed struct {
	t    *testing.T
	lab  *lab.Lab
	host *lab.Director
}

func newBed(t *testing.T, shape lab.Shape, method lab.Forwarding) bed {
	t.Helper()
	need(t)
	l, err := lab.New(within(t), lab.Config{
		Shape: shape, Forwarding: method, Weir: build(t), Table: lab.SmallTable, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return bed{t, l, l.Directors[0]}
}

// need skips what cannot run here; in CI that is a failure.
func need(t *testing.T) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "needs root, to make network namespaces"
	}
	for _, program := range []string{"ip", "ethtool", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = "needs " + program + ": apt-get install iproute2 ethtool procps"
		}
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}

// build makes the binary. The lab's director may run as another user, who must reach it.
func build(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-doctor-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "weir")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// run calls a shell in the director's namespace.
func (b bed) run(command string) {
	b.t.Helper()
	if out, err := b.host.Output(within(b.t), "/bin/sh", "-ec", command); err != nil {
		b.t.Fatalf("%v%s", err, out)
	}
}

// start starts the daemon and waits until it serves.
func (b bed) start(config string) {
	b.t.Helper()
	if err := b.host.Start(config); err != nil {
		b.t.Fatal(err)
	}
	if err := b.host.WaitReady(within(b.t)); err != nil {
		b.t.Fatal(err)
	}
}

// doctor is what `weir doctor` prints; its exit code must say the same.
func (b bed) doctor() (out api.Doctor) {
	b.t.Helper()
	text, err := b.host.Weir(within(b.t), "doctor", "-o", "json", "-c", b.host.Config, "--bpffs", b.host.BPFFS)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
	if want := map[bool]int{true: 3}[out.Degraded]; code != want {
		b.t.Fatalf("exit code %d, degraded %t: %v", code, out.Degraded, err)
	}
	return out
}

// find is the finding of a check that speaks of something; false: there is none.
func (b bed) find(check, what string, level api.Level) (api.Finding, bool) {
	b.t.Helper()
	for _, f := range b.doctor().Findings {
		if f.Check == check && f.Level == level && strings.Contains(f.What, what) {
			return f, true
		}
	}
	return api.Finding{}, false
}

// mends breaks the host, sees the finding, does what its fix says, and sees it go. The daemon mends
// some of it by itself, now and then: hence the tries.
func (b bed) mends(broken, check, what string, level api.Level) {
	b.t.Helper()
	if _, there := b.find(check, what, level); there {
		b.t.Fatalf("%s: %s %s is there before: %s", check, level, what, broken)
	}
	var f api.Finding
	there := false
	for range 3 {
		b.run(broken)
		if f, there = b.find(check, what, level); there {
			break
		}
	}
	if !there {
		b.t.Fatalf("%s: %s, and no %s of %s: %+v", check, broken, level, what, b.doctor().Findings)
	}
	b.run(f.Fix)
	if f, there := b.find(check, what, level); there {
		b.t.Errorf("%s: the fix does not help: %+v", check, f)
	}
}

// nat has servers behind the director, as shape two-arm has them.
const nat = `services:
  - name: web
    address: 192.0.2.10:80
    scheduler: rr
    check: off
    forwarding: nat
    servers: [203.0.113.11, 203.0.113.12]
`

// TestFixesWorkWithoutADaemon breaks what is there before weir starts. veths have their other ends
// in other namespaces in the lab, so here is one that has not.
func TestFixesWorkWithoutADaemon(t *testing.T) {
	b := newBed(t, lab.TwoArm, lab.NAT)
	if err := b.host.Configure("interfaces: [eth0, eth1, inside]\n" + nat); err != nil {
		t.Fatal(err)
	}
	b.run("ip link add inside type veth peer name outside; ip link set inside up; ip link set outside up; ethtool -K outside tx off gro on")
	b.run("ip address add 192.0.2.10/32 dev lo; sysctl -w net/ipv4/ip_forward=1")
	for _, tt := range []struct {
		broken, check, what string
		level               api.Level
	}{
		{"ethtool -K outside tx on", "veth-checksum", "outside", api.LevelError},
		{"ethtool -K outside gro off", "veth-gro", "outside", api.LevelError},
		{"sysctl -w net/ipv4/conf/eth1/rp_filter=1", "rp-filter", "eth1", api.LevelWarning},
		{"sysctl -w net/ipv4/conf/eth0/rp_filter=0; sysctl -w net/ipv4/conf/eth1/rp_filter=2; sysctl -w net/ipv4/conf/inside/rp_filter=2; sysctl -w net/ipv4/conf/eth0/rp_filter=1", "rp-filter", "eth0", api.LevelWarning},
		{"ip link set dev eth1 mtu 1400", "mtu", "eth1", api.LevelWarning},
		{"ip link set dev eth1 mtu 560", "mtu", "eth1", api.LevelError},
		{"ip link set dev inside mtu 9000", "xdp", "inside: will be generic", api.LevelNote},
		{"sysctl -w net/ipv4/conf/eth1/forwarding=0", "forwarding", "eth1", api.LevelNote},
	} {
		b.mends(tt.broken, tt.check, tt.what, tt.level)
	}
	if f, there := b.find("own-client", "192.0.2.10", api.LevelNote); !there {
		t.Errorf("the host holds its virtual address, and hears nothing of it: %+v", f)
	}
}

func TestFixesWorkBesideADaemon(t *testing.T) {
	b := newBed(t, lab.TwoArm, lab.NAT)
	b.start("interfaces: [{name: eth0, xdp: generic}, eth1]\n" + nat)
	for _, tt := range []struct {
		broken, check, what string
		level               api.Level
	}{
		{"sysctl -w net/ipv4/conf/eth1/forwarding=0", "forwarding", "eth1", api.LevelError},
		{"sysctl -w net/ipv4/neigh/eth1/retrans_time_ms=1000", "neighbour-timers", "net/ipv4/neigh/eth1/retrans_time_ms", api.LevelWarning},
		{"ethtool -K eth0 gro on", "gro", "eth0", api.LevelWarning},
		{"sysctl -w net/ipv4/conf/eth1/rp_filter=1", "rp-filter", "eth1", api.LevelWarning},
	} {
		b.mends(tt.broken, tt.check, tt.what, tt.level)
	}
	for _, want := range []api.Finding{
		{Check: "xdp", Level: api.LevelNote, What: "eth0: generic"},
		{Check: "xdp", Level: api.LevelOK, What: "eth1: native"},
		{Check: "daemon", Level: api.LevelOK, What: "runs"},
		{Check: "own-client", Level: api.LevelNote, What: "192.0.2.10"},
		{Check: "veth-gro", Level: api.LevelNote, What: "eth1"},
	} {
		if _, there := b.find(want.Check, want.What, want.Level); !there {
			t.Errorf("%s: no %s of %s: %+v", want.Check, want.Level, want.What, b.doctor().Findings)
		}
	}
}

// TestWhatIsInTheWayOfChecksIsSeen: the filter itself is tried on this kernel.
func TestWhatIsInTheWayOfChecksIsSeen(t *testing.T) {
	b := newBed(t, lab.LAN, lab.DR)
	if err := b.host.Configure("services: [{address: \"192.0.2.10:80\", scheduler: rr, forwarding: dr, servers: [192.0.2.11]}]"); err != nil {
		t.Fatal(err)
	}
	if _, there := b.find("clsact", "takes the filter", api.LevelOK); !there {
		t.Errorf("%+v", b.doctor().Findings)
	}
	b.mends("tc qdisc add dev eth0 ingress", "clsact", "eth0: it has an ingress qdisc", api.LevelWarning)
	b.run("tc filter add dev eth0 egress pref 9 protocol all u32 match u32 0 0")
	if _, there := b.find("clsact", "(u32, pref 9)", api.LevelNote); !there {
		t.Errorf("%+v", b.doctor().Findings)
	}
	b.run("tc filter del dev eth0 egress; tc filter add dev eth0 egress pref 40000 protocol all u32 match u32 0 0")
	if f, there := b.find("clsact", "", api.LevelNote); there {
		t.Errorf("a filter behind that of checks: %+v", f)
	}
}

// TestFixesOfVirtualRoutersWork: what they need of the host, and who says past the program that an address is here.
func TestFixesOfVirtualRoutersWork(t *testing.T) {
	b := newBed(t, lab.LAN, lab.DR)
	if err := b.host.Configure("interfaces: [eth0]\n" + `services: [{address: "192.0.2.10:80", scheduler: rr, check: off, forwarding: dr, servers: [192.0.2.11]}]
vrrp:
  - {name: front, interface: eth0, id: 51, addresses: [192.0.2.10/24]}
  - {name: front6, interface: eth0, id: 51, addresses: ["fe80::10", "2001:db8:f::10/64"]}
`); err != nil {
		t.Fatal(err)
	}
	b.run("ip link add inside type veth peer name outside; ip link set inside up; ip link set outside up; ip address add 192.0.2.77/24 dev inside; ip address add 192.0.2.10/32 dev lo")
	b.run("sysctl -w net/ipv4/conf/inside/arp_ignore=1; sysctl -w net/ipv4/conf/inside/arp_announce=2; sysctl -w net/ipv4/conf/eth0/arp_announce=2")
	if _, there := b.find("vrrp", "can take part: 2", api.LevelOK); !there {
		t.Errorf("%+v", b.doctor().Findings)
	}
	for _, tt := range []struct {
		broken, check, what string
		level               api.Level
	}{
		{"ip link set dev eth0 multicast off", "vrrp", "front6: eth0 says that it has no multicast", api.LevelWarning},
		{"ip -6 address flush dev eth0 scope link", "vrrp", "front6: interface eth0 has no link-local address", api.LevelError},
		{"sysctl -w net/ipv6/conf/eth0/disable_ipv6=1", "vrrp", "front6: interface eth0 has no link-local address", api.LevelError},
		{"ip link set dev eth0 down", "vrrp", "front: interface eth0 is down", api.LevelError},
		{"sysctl -w net/ipv4/conf/inside/arp_ignore=0", "arp", "inside answers ARP for 192.0.2.10", api.LevelWarning},
		{"sysctl -w net/ipv4/conf/eth0/arp_announce=0", "arp", "eth0: arp_announce is off", api.LevelWarning},
	} {
		b.mends(tt.broken, tt.check, tt.what, tt.level)
	}
}

func TestDeadDaemonsPinsAreSeen(t *testing.T) {
	b := newBed(t, lab.TwoArm, lab.NAT)
	b.start(nat)
	held := fmt.Sprintf("pinned in %s, held by pid", b.host.BPFFS)
	if _, there := b.find("pins", held, api.LevelOK); !there {
		t.Errorf("%+v", b.doctor().Findings)
	}
	if err := b.host.Kill(); err != nil {
		t.Fatal(err)
	}
	f, there := b.find("pins", "works without a daemon", api.LevelWarning)
	if want := "weir run -c " + b.host.Config; !there || f.Fix != want {
		t.Errorf("%+v, want fix %s", f, want)
	}
}

// TestClientAmongItsServersIsSeen lets one server of a NAT service be a client of the other, and
// then does on that other what the doctor says.
func TestClientAmongItsServersIsSeen(t *testing.T) {
	b := newBed(t, lab.LAN, lab.NAT)
	if err := b.lab.Serve(within(t)); err != nil {
		t.Fatal(err)
	}
	b.start(strings.ReplaceAll(nat, "203.0.113.11, 203.0.113.12", "192.0.2.11"))
	if _, there := b.find("one-arm-nat", "share 192.0.2.0/24", api.LevelNote); !there {
		t.Errorf("%+v", b.doctor().Findings)
	}
	client, server := b.lab.Servers[1], b.lab.Servers[0]
	ask := func() error {
		_, err := client.Output(within(t), "curl", "-sf", "-m", "3", "http://192.0.2.10/")
		return err
	}
	if ask() == nil {
		t.Fatal("a server's neighbour got an answer, there is nothing to find")
	}
	f, there := b.find("one-arm-nat", "client 192.0.2.12", api.LevelError)
	if !there {
		t.Fatalf("%+v", b.doctor().Findings)
	}
	fix := strings.ReplaceAll(f.Fix, "DEV", lab.FirstLink)
	if out, err := server.Output(within(t), "/bin/sh", "-ec", fix); err != nil {
		t.Fatalf("%v%s", err, out)
	}
	if err := ask(); err != nil {
		t.Errorf("after %s: %v", fix, err)
	}
}

func TestFindingsAreTheSameTwice(t *testing.T) {
	b := newBed(t, lab.TwoArm, lab.NAT)
	if err := b.host.Configure(nat); err != nil {
		t.Fatal(err)
	}
	if first, second := b.doctor().Findings, b.doctor().Findings; !slices.Equal(first, second) {
		t.Errorf("first %+v\nthen %+v", first, second)
	}
}
