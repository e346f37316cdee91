// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// anyProgram loads a classifier that does nothing: r0 = -1; exit.
func anyProgram(t *testing.T) (model.Program, error) {
	code := [2]uint64{0xffffffff_000000b7, 0x95}
	licence := []byte("GPL\x00")
	attr := struct {
		kind, count      uint32
		code, licence    uint64
		level, size      uint32
		log              uint64
		version, flags   uint32
		name             [16]byte
		ifindex, expects uint32
	}{kind: unix.BPF_PROG_TYPE_SCHED_CLS, count: 2,
		code: uint64(uintptr(unsafe.Pointer(&code))), licence: uint64(uintptr(unsafe.Pointer(&licence[0])))}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(&code)
	runtime.KeepAlive(licence)
	if errno != 0 {
		return model.Program{}, errno
	}
	t.Cleanup(func() { unix.Close(int(fd)) })
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	_, id, _ := strings.Cut(string(info), "prog_id:\t")
	id, _, _ = strings.Cut(id, "\n")
	number, notANumber := strconv.Atoi(id)
	return model.Program{FD: int(fd), ID: number}, errors.Join(err, notANumber)
}

// newChecker is a Target with a program of its own, as each daemon has one.
func newChecker(t *testing.T, n namespace, path string) life {
	program, err := anyProgram(t)
	return life{n, address.NewTarget(journal(t, path), func() (model.Program, error) { return program, err }, logger(t))}
}

// TestAFilterThatIsThereIsNotReplaced: with a descriptor that is none it could not be.
func TestAFilterThatIsThereIsNotReplaced(t *testing.T) {
	left, _ := newLAN(t)
	program, err := anyProgram(t)
	if err != nil {
		t.Fatal(err)
	}
	l := life{left, address.NewTarget(journal(t, filepath.Join(t.TempDir(), "host.json")), func() (model.Program, error) { return program, nil }, logger(t))}
	want := model.AddressWant{Detours: []model.DetourWant{left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1500)}}
	l.apply(want)
	program.FD = -1
	l.apply(want)
	if blocked := l.target.Blocked(); len(blocked) != 0 || !strings.Contains(left.checkState(), fmt.Sprintf("id %d ", program.ID)) {
		t.Errorf("%v\n%s", blocked, left.checkState())
	}
}

func (n namespace) detour(alias, server, source string, mtu int) model.DetourWant {
	return model.DetourWant{
		Detour: model.Detour{Virtual: vip4.Address, Server: addr(server), Forwarding: model.DR},
		Alias:  addr(alias), Link: n.link("eth0").Index, Next: addr(server), Source: addr(source), MTU: mtu,
	}
}

// checkState is all that detours change.
func (n namespace) checkState() string {
	n.t.Helper()
	return n.run("ip route show proto 119") + n.run("ip -6 route show proto 119") + n.run("tc qdisc show dev eth0") +
		n.run("tc filter show dev eth0 egress")
}

func TestDetoursComeAndGo(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	before := left.checkState()
	v4, v6 := left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1480), left.detour("fd77::1", "2001:db8::2", "2001:db8::1", 1460)
	first := newChecker(t, left, path)
	first.apply(model.AddressWant{Detours: []model.DetourWant{v4, v6}})
	first.apply(model.AddressWant{Detours: []model.DetourWant{v4, v6}})
	now := left.checkState()
	for _, want := range []string{
		"198.19.0.1 via 192.0.2.2 dev eth0 src 192.0.2.1 onlink mtu 1480", "fd77::1 via 2001:db8::2 dev eth0 src 2001:db8::1", "mtu 1460", "clsact", "weir_check",
	} {
		if !strings.Contains(now, want) {
			t.Errorf("no %q in\n%s", want, now)
		}
	}
	if blocked := first.target.Blocked(); len(blocked) != 0 {
		t.Errorf("%v", blocked)
	}

	second := newChecker(t, left, path) // after kill -9
	v4.MTU = 1400
	second.apply(model.AddressWant{Detours: []model.DetourWant{v4}})
	now = left.checkState()
	if strings.Count(now, "weir_check") != 1 || !strings.Contains(now, "mtu 1400") || strings.Contains(now, "fd77::1") {
		t.Errorf("the next daemon has made\n%s", now)
	}
	second.apply(model.AddressWant{})
	if after := left.checkState(); after != before {
		t.Errorf("nothing is wanted any more, and there is\n%s", after)
	}
	second.apply(model.AddressWant{Detours: []model.DetourWant{v4, v6}})
	left.do(journal(t, path).Restore)
	if after := left.checkState(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestDetoursThatAreTakenAwayComeBack without another Apply.
func TestDetoursThatAreTakenAwayComeBack(t *testing.T) {
	left, _ := newLAN(t)
	l := newChecker(t, left, filepath.Join(t.TempDir(), "host.json"))
	l.apply(model.AddressWant{Detours: []model.DetourWant{
		left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1480), left.detour("fd77::1", "2001:db8::2", "2001:db8::1", 1460)}})
	left.start(l.run)
	left.listens()
	before := left.checkState()
	for _, loss := range []string{
		"ip route flush proto 119", "ip -6 route flush proto 119", "tc filter del dev eth0 egress", "tc qdisc del dev eth0 clsact",
	} {
		left.run(loss)
		within(t, "back after "+loss, func() bool { return left.checkState() == before })
	}
	route := left.run("ip route show proto 119")
	left.run("ip link set eth0 down")
	left.run("ip link set eth0 up")
	within(t, "back after link down and up", func() bool { return left.run("ip route show proto 119") == route })
}

// TestAliasesWithoutARouteLeadNowhere, although there is a default route, and whoever dials one can tell why.
func TestAliasesWithoutARouteLeadNowhere(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip route add default via 192.0.2.2")
	left.run("ip route add default via 2001:db8::2")
	before, path := left.checkState(), filepath.Join(t.TempDir(), "host.json")
	l := newChecker(t, left, path)
	want := model.AddressWant{Aliases: []netip.Prefix{netip.MustParsePrefix("198.19.0.0/16"), netip.MustParsePrefix("fd77::/64")}}
	want.Detours = []model.DetourWant{left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1480)}
	l.apply(want)
	l.apply(want)
	for _, to := range []string{"198.19.0.2:80", "[fd77::2]:80"} {
		for _, network := range []string{"tcp", "udp"} {
			left.do(func() error {
				c, err := net.Dial(network, to)
				if err == nil {
					c.Close()
				}
				if !errors.Is(err, unix.EINVAL) {
					t.Errorf("%s %s: %v", network, to, err)
				}
				return nil
			})
		}
	}
	want.Aliases = want.Aliases[:1]
	l.apply(want)
	if now := left.checkState(); strings.Count(now, "blackhole") != 1 || !strings.Contains(now, "blackhole 198.19.0.0/16") {
		t.Errorf("of one range there is\n%s", now)
	}
	left.do(journal(t, path).Restore)
	if after := left.checkState(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestClsactOfOthersStays, and so does weir's where somebody else uses it.
func TestClsactOfOthersStays(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	detours := model.AddressWant{Detours: []model.DetourWant{left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1500)}}
	theirs := "tc filter add dev eth0 ingress prio 9 protocol all u32 match u32 0 0"
	left.run("tc qdisc add dev eth0 clsact")
	newChecker(t, left, path).apply(detours)
	left.do(journal(t, path).Restore)
	if !strings.Contains(left.run("tc qdisc show dev eth0"), "clsact") {
		t.Error("a clsact that was there is gone")
	}
	left.run("tc qdisc del dev eth0 clsact")
	newChecker(t, left, path).apply(detours)
	left.run(theirs)
	left.do(journal(t, path).Restore)
	if state := left.run("tc filter show dev eth0 ingress"); !strings.Contains(state, "u32") || strings.Contains(left.checkState(), "weir_check") {
		t.Errorf("left is %s", state)
	}
}

func TestAnIngressQdiscIsToldOf(t *testing.T) {
	left, _ := newLAN(t)
	left.run("tc qdisc add dev eth0 ingress")
	l := newChecker(t, left, filepath.Join(t.TempDir(), "host.json"))
	want := left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1500)
	left.do(func() error {
		if err := l.target.Apply(t.Context(), model.AddressWant{Detours: []model.DetourWant{want}}); err == nil {
			t.Error("no error")
		}
		return nil
	})
	if why := l.target.Blocked()[want.Detour]; !strings.HasPrefix(why, "interface eth0: checks through virtual addresses: there is an ingress qdisc") {
		t.Errorf("%q", why)
	}
	left.run("tc qdisc del dev eth0 ingress")
	l.apply(model.AddressWant{Detours: []model.DetourWant{want}})
	if blocked := l.target.Blocked(); len(blocked) != 0 {
		t.Errorf("%v", blocked)
	}
}

func TestAliasesOfOthersAreRefused(t *testing.T) {
	left, _ := newLAN(t)
	l := newChecker(t, left, filepath.Join(t.TempDir(), "host.json"))
	l.apply(model.AddressWant{Detours: []model.DetourWant{left.detour("198.19.0.1", "192.0.2.2", "192.0.2.1", 1500)}})
	left.run("ip route add default via 192.0.2.2")
	left.run("ip route add 0.0.0.0/1 via 192.0.2.2")
	left.run("ip route add 128.0.0.0/1 via 192.0.2.2")
	left.run("ip route add fc00::/7 via 2001:db8::2")
	left.run("ip route add fd88::/16 via 2001:db8::2")
	left.run("ip route add 10.0.0.0/8 via 192.0.2.2")
	for ranges, want := range map[string]string{
		"198.19.0.0/16": "", // weir's own
		"fd77::/64":     "",
		"fd88:0::/64":   "check_aliases: fd88::/64 overlaps with the route to fd88::/16 by eth0: name another range, of addresses that nobody has",
		"10.99.0.0/16":  "check_aliases: 10.99.0.0/16 overlaps with the route to 10.0.0.0/8 by eth0: name another range, of addresses that nobody has",
		"192.0.0.0/16":  "check_aliases: 192.0.0.0/16 overlaps with the address 192.0.2.1/24 of eth0: name another range, of addresses that nobody has",
	} {
		var got string
		left.do(func() error {
			if err := address.CheckAliases([]netip.Prefix{netip.MustParsePrefix(ranges)}); err != nil {
				got = err.Error()
			}
			return nil
		})
		if got != want {
			t.Errorf("%s: %q, want %q", ranges, got, want)
		}
	}
}

// TestFilterIsTriedElsewhere: nothing of this namespace is touched, and what the kernel refuses is told.
func TestFilterIsTriedElsewhere(t *testing.T) {
	left, _ := newLAN(t)
	program, err := anyProgram(t)
	if err != nil {
		t.Fatal(err)
	}
	before := left.checkState() + left.run("tc qdisc show dev lo")
	left.do(func() error { return address.TryFilter(program) })
	if after := left.checkState() + left.run("tc qdisc show dev lo"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	program.FD = -1
	if err := address.TryFilter(program); !errors.Is(err, address.ErrNoFilter) {
		t.Errorf("without a program: %v", err)
	}
}
