// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

var (
	vip4 = model.VIP{Address: addr("198.51.100.10"), Interface: "eth0"}
	vip6 = model.VIP{Address: addr("2001:db8:1::10"), Interface: "eth0"}
)

// life is a Target as one process has it.
type life struct {
	n      namespace
	target *address.Target
}

func newLife(t *testing.T, n namespace, path string) life {
	return life{n, address.NewTarget(journal(t, path), nil, logger(t))}
}

func (l life) apply(want model.AddressWant) {
	l.n.t.Helper()
	l.n.do(func() error { return l.target.Apply(context.Background(), want) })
}

func (l life) run(ctx context.Context) error {
	return l.target.Run(ctx, func(error) {})
}

func (n namespace) holds(address model.Addr) bool {
	n.t.Helper()
	return strings.Contains(n.run("ip -o addr show"), " "+address.String()+"/")
}

func TestVIPsComeAndGo(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	onLo := model.VIP{Address: addr("203.0.113.10"), Interface: "lo"}
	all := []model.VIP{vip4, vip6, onLo}
	l.apply(model.AddressWant{VIPs: all})
	l.apply(model.AddressWant{VIPs: all})
	shown := left.run("ip -o addr show")
	for _, want := range []string{"198.51.100.10/32 scope global eth0", "2001:db8:1::10/128 scope global nodad deprecated", "203.0.113.10/32 scope global lo"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	l.apply(model.AddressWant{VIPs: []model.VIP{vip6}})
	if left.holds(vip4.Address) || left.holds(onLo.Address) || !left.holds(vip6.Address) {
		t.Errorf("want %s alone:\n%s", vip6.Address, left.run("ip -o addr show"))
	}
}

// TestVIPBringsItsNetwork: the address with a length has a route, and goes with it.
func TestVIPBringsItsNetwork(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	l := newLife(t, left, path)
	host4, host6, wide4, wide6 := vip4, vip6, vip4, vip6
	wide4.Bits, wide6.Bits = 24, 64
	for _, step := range []struct {
		vips []model.VIP
		want []string
	}{
		{[]model.VIP{host4, host6}, []string{"198.51.100.10/32", "2001:db8:1::10/128"}},
		{[]model.VIP{wide4, wide6}, []string{"198.51.100.10/24", "2001:db8:1::10/64"}},
		{[]model.VIP{host4, host6}, []string{"198.51.100.10/32", "2001:db8:1::10/128"}},
		{[]model.VIP{wide4, wide6}, []string{"198.51.100.10/24", "2001:db8:1::10/64"}},
	} {
		l.apply(model.AddressWant{VIPs: step.vips})
		shown := left.run("ip -o addr show")
		for _, want := range step.want {
			if !strings.Contains(shown, " "+want+" ") || strings.Count(shown, strings.Split(want, "/")[0]+"/") != 1 {
				t.Errorf("want %s alone:\n%s", want, shown)
			}
		}
	}
	if routes := left.run("ip route show 198.51.100.0/24") + left.run("ip -6 route show 2001:db8:1::/64"); strings.Count(routes, "eth0") != 2 {
		t.Errorf("the networks lead to %q", routes)
	}
	left.do(journal(t, path).Restore) // another process
	if left.holds(vip4.Address) || left.holds(vip6.Address) {
		t.Errorf("not restored:\n%s", left.run("ip -o addr show"))
	}
}

// TestVIPComesBack that somebody has removed, or that went with its interface, although nobody wants anything new; and
// it is announced.
func TestVIPComesBack(t *testing.T) {
	left, right := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	wide := model.VIP{Address: addr("192.0.2.99"), Interface: "eth0", Bits: 24}
	vips := []model.VIP{vip4, vip6, wide}
	all := func() bool {
		for _, vip := range vips {
			if !left.holds(vip.Address) {
				return false
			}
		}
		return true
	}
	l.apply(model.AddressWant{VIPs: vips})
	left.listens()
	frames := right.capture("eth0")
	left.run("ip addr del 198.51.100.10/32 dev eth0")
	left.run("ip addr del 2001:db8:1::10/128 dev eth0")
	within(t, "back after they were removed", all)
	within(t, "announced", func() bool {
		return slices.ContainsFunc(frames(), func(f frame) bool { return f.isARPFor(left.link("eth0").MAC, vip4.Address) })
	})
	left.run("ip addr flush dev eth0")
	within(t, "back after all were removed", all)
	left.run("ip link set eth0 down") // with which addresses of IPv6 go
	time.Sleep(50 * time.Millisecond)
	left.run("ip link set eth0 up")
	within(t, "back after the link was down", all)
	left.run("ip link del eth0")
	time.Sleep(50 * time.Millisecond) // let it be missed
	left.run("ip link add eth0 type veth peer name eth1")
	within(t, "back on another interface of the same name", all)
}

// TestVIPIsTriedAgain that could not be put back: what kept it away goes without a word.
func TestVIPIsTriedAgain(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4, vip6}})
	left.listens()
	left.run("sysctl -w net.ipv6.conf.eth0.disable_ipv6=1")
	if left.holds(vip6.Address) {
		t.Fatal("it is held although its interface has no IPv6")
	}
	time.Sleep(500 * time.Millisecond) // let it be tried in vain
	left.run("sysctl -w net.ipv6.conf.eth0.disable_ipv6=0")
	within(t, "back", func() bool { return left.holds(vip6.Address) })
	left.run("ip addr del 2001:db8:1::10/128 dev eth0")
	within(t, "back soon after another loss", func() bool { return left.holds(vip6.Address) })
}

// TestVIPStaysAwayThatNobodyWants any more.
func TestVIPStaysAwayThatNobodyWants(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4, vip6}})
	left.listens()
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4}})
	left.run("ip addr del 198.51.100.10/32 dev eth0")
	within(t, "the wanted one is back", func() bool { return left.holds(vip4.Address) })
	if left.holds(vip6.Address) {
		t.Errorf("%s is back, too", vip6.Address)
	}
}

func TestVIPThatWasThereStays(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	l := newLife(t, left, path)
	theirs := model.VIP{Address: addr("192.0.2.1"), Interface: "eth0"}
	l.apply(model.AddressWant{VIPs: []model.VIP{theirs}})
	l.apply(model.AddressWant{})
	left.do(journal(t, path).Restore)
	if !left.holds(theirs.Address) {
		t.Error("an address that weir did not add is gone")
	}
}

func TestSourceTowardsServersIsNoVIP(t *testing.T) {
	left, _ := newLAN(t)
	vip := model.VIP{Address: addr("2001:db8::3"), Interface: "eth0"} // matches the server's address longer
	newLife(t, left, filepath.Join(t.TempDir(), "host.json")).apply(model.AddressWant{VIPs: []model.VIP{vip}})
	var network model.Network
	left.do(func() (err error) {
		network, err = address.Look([]model.Addr{addr("2001:db8::2")})
		return err
	})
	if got := network.Routes[addr("2001:db8::2")].Source; got != addr("2001:db8::1") {
		t.Errorf("source is %s, want 2001:db8::1", got)
	}
}

// TestJournalKnowsWhatWeirHasPut where, in an earlier life, too, and nothing else.
func TestJournalKnowsWhatWeirHasPut(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	theirs := model.VIP{Address: addr("192.0.2.1"), Interface: "eth0"}
	wide := model.VIP{Address: addr("198.51.100.20"), Interface: "eth0", Bits: 24}
	newLife(t, left, path).apply(model.AddressWant{VIPs: []model.VIP{theirs, wide}, Forward4: []string{"eth0"}})
	j := journal(t, path)
	if got := j.VIPs(); !slices.Equal(got, []model.VIP{wide}) {
		t.Errorf("put are %v, want %v", got, wide)
	}
	next := life{left, address.NewTarget(j, nil, logger(t))}
	next.apply(model.AddressWant{VIPs: []model.VIP{theirs}})
	if got := j.VIPs(); len(got) > 0 {
		t.Errorf("put are %v although it was taken away", got)
	}
}

func TestEverythingIsRestoredAfterACrash(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	hops := []model.Hop{
		{Link: left.link("eth0").Index, Address: addr("192.0.2.2")},
		{Link: left.link("eth0").Index, Address: addr("2001:db8::2")},
	}
	before := left.state()
	newLife(t, left, path).apply(model.AddressWant{
		VIPs:       []model.VIP{vip4, vip6},
		Neighbours: hops,
		Forward4:   []string{"eth0"},
		Forward6:   []string{"eth0"},
	})
	if left.state() == before {
		t.Fatal("nothing changed")
	}
	left.do(journal(t, path).Restore) // another process
	if after := left.state(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// state is all of the namespace that a Target may change.
func (n namespace) state() string {
	return n.run("ip -o addr show scope global") + n.run("ip neigh show nud permanent") +
		n.run("sysctl -e net.ipv4.conf net.ipv6.conf net.ipv4.neigh net.ipv6.neigh") + n.managed()
}

// managed lists the managed neighbours.
func (n namespace) managed() (out string) {
	n.t.Helper()
	for _, line := range strings.Split(n.run("ip neigh show"), "\n") {
		if strings.Contains(line, "managed") {
			out += line + "\n"
		}
	}
	return out
}

func TestUnwantedIsRemovedByTheNextLife(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	hop := model.Hop{Link: left.link("eth0").Index, Address: addr("192.0.2.2")}
	newLife(t, left, path).apply(model.AddressWant{
		VIPs: []model.VIP{vip4}, Neighbours: []model.Hop{hop}, Forward4: []string{"eth0"},
	})
	if left.managed() == "" || left.sysctl("net/ipv4/conf/eth0/forwarding") != "1" {
		t.Fatalf("not applied: %s", left.managed())
	}
	newLife(t, left, path).apply(model.AddressWant{})
	if left.holds(vip4.Address) {
		t.Error("the VIP is still there")
	}
	if got := left.managed(); got != "" {
		t.Errorf("still managed: %s", got)
	}
	if got := left.sysctl("net/ipv4/conf/eth0/forwarding"); got != "0" {
		t.Errorf("forwarding is %s, want 0", got)
	}
}

func TestForwardingLeavesRoutersOfIPv6Alone(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip -6 route add default via fe80::1 dev eth0 proto ra")
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	const sysctl = "net/ipv6/conf/eth0/accept_ra"
	for _, want := range []string{"2", "2"} { // again, after the route is gone for a while
		l.apply(model.AddressWant{Forward6: []string{"eth0"}})
		if got := left.sysctl(sysctl); got != want {
			t.Errorf("accept_ra is %s, want %s", got, want)
		}
		left.run("ip -6 route flush proto ra")
	}
	l.apply(model.AddressWant{})
	if got := left.sysctl(sysctl); got != "1" {
		t.Errorf("accept_ra is %s without forwarding, want 1", got)
	}
}

func TestMissingInterfaceKeepsNothingElseBack(t *testing.T) {
	left, _ := newLAN(t)
	target := address.NewTarget(journal(t, filepath.Join(t.TempDir(), "host.json")), nil, logger(t))
	left.do(func() error {
		err := target.Apply(context.Background(), model.AddressWant{VIPs: []model.VIP{
			{Address: addr("198.51.100.99"), Interface: "eth7"}, vip4,
		}})
		if err == nil || !strings.Contains(err.Error(), "eth7") {
			t.Errorf("error is %v, want one that names eth7", err)
		}
		return nil
	})
	if !left.holds(vip4.Address) {
		t.Error("the other VIP is missing")
	}
}

func TestVIPsAreAnnouncedAgainAndAgain(t *testing.T) {
	left, right := newLAN(t)
	frames := right.capture("eth0")
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4, vip6}})
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4, vip6}})
	mac := left.link("eth0").MAC
	arp, na := 0, 0
	within(t, "announcements", func() bool {
		for _, f := range frames() {
			switch {
			case f.isARPFor(mac, vip4.Address):
				arp++
			case f.isNAFor(mac, vip6.Address):
				na++
			}
		}
		return arp >= 10 && na >= 5 // a request and a reply each time
	})
}

func TestVIPIsAnnouncedAgainWhenTheLinkComesBack(t *testing.T) {
	left, right := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	left.run("ip link set eth0 down")
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4}})
	frames := right.capture("eth0")
	left.run("ip link set eth0 up")
	mac := left.link("eth0").MAC
	within(t, "announcement after link up", func() bool {
		for _, f := range frames() {
			if f.isARPFor(mac, vip4.Address) {
				return true
			}
		}
		return false
	})
}

func TestLostNeighbourIsAskedForAgain(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	hop := model.Hop{Link: left.link("eth0").Index, Address: addr("192.0.2.2")}
	managed := func() bool { return strings.Contains(left.managed(), "192.0.2.2") }
	l.apply(model.AddressWant{Neighbours: []model.Hop{hop}})
	within(t, "managed", managed)
	left.listens()
	left.run("ip neigh del 192.0.2.2 dev eth0") // flush goes on as long as somebody adds them again
	within(t, "managed after it was deleted", managed)
	left.run("ip link set eth0 down")
	left.run("ip link set eth0 up")
	within(t, "managed after link down and up", managed)
}

func TestStaticNeighbourStaysStatic(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 nud permanent dev eth0")
	path := filepath.Join(t.TempDir(), "host.json")
	hop := model.Hop{Link: left.link("eth0").Index, Address: addr("192.0.2.2")}
	newLife(t, left, path).apply(model.AddressWant{Neighbours: []model.Hop{hop}})
	left.do(journal(t, path).Restore)
	if got := left.run("ip neigh show 192.0.2.2"); !strings.Contains(got, "02:00:00:00:00:02 PERMANENT") {
		t.Errorf("now it is %q", got)
	}
}

func TestResolverFindsTheNextHop(t *testing.T) {
	left, _ := newLAN(t)
	resolver := address.NewResolver()
	for _, a := range []string{"192.0.2.2", "2001:db8::2"} {
		hop := model.Hop{Link: left.link("eth0").Index, Address: addr(a)}
		left.do(func() error { return resolver.Resolve(context.Background(), hop) })
		within(t, "resolved "+a, func() bool { return strings.Contains(left.run("ip neigh show "+a), "lladdr") })
	}
}

// frame is an Ethernet frame.
type frame []byte

// isARPFor reports whether the frame says by ARP, to everybody, that ip is at mac.
func (f frame) isARPFor(mac model.MAC, ip model.Addr) bool {
	const arp = "\x08\x06\x00\x01\x08\x00\x06\x04\x00"
	if len(f) < 42 || !strings.HasPrefix(string(f[12:]), arp) || f[0]&1 == 0 {
		return false
	}
	a4 := string(ip.AsSlice())
	return string(f[22:28]) == string(mac[:]) && string(f[28:32]) == a4 && string(f[38:42]) == a4
}

// isNAFor reports whether the frame says by NDP, to all nodes, that ip is at mac.
func (f frame) isNAFor(mac model.MAC, ip model.Addr) bool {
	const icmpv6, advertisement = unix.IPPROTO_ICMPV6, 136
	if len(f) < 86 || f[20] != icmpv6 || f[54] != advertisement || f[0] != 0x33 {
		return false
	}
	return string(f[62:78]) == string(ip.AsSlice()) && string(f[80:86]) == string(mac[:])
}

// capture begins to record the frames that come in on a link. What it returns drains the record.
func (n namespace) capture(link string) func() []frame {
	n.t.Helper()
	index := n.link(link).Index
	var socket int
	n.do(func() (err error) {
		socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err == nil {
			err = unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: index}) // ETH_P_ALL
		}
		return err
	})
	n.t.Cleanup(func() { unix.Close(socket) })
	return func() (out []frame) {
		for {
			buffer := make([]byte, 2048)
			got, _, err := unix.Recvfrom(socket, buffer, 0)
			if err != nil {
				return out
			}
			out = append(out, buffer[:got])
		}
	}
}

// listens waits until Run does, in this namespace: it hears nothing of what was before.
func (n namespace) listens() {
	n.t.Helper()
	within(n.t, "Run listens", func() (does bool) {
		n.do(func() error {
			sockets, err := os.ReadFile("/proc/thread-self/net/netlink")
			for line := range strings.Lines(string(sockets)) { // sk, protocol, port, groups …
				words := strings.Fields(line)
				groups, _ := strconv.ParseUint(words[3], 16, 32)
				does = does || words[1] == strconv.Itoa(unix.NETLINK_ROUTE) && groups&(1<<(unix.RTNLGRP_LINK-1)) != 0
			}
			return err
		})
		return does
	})
}

// start runs something in the namespace until it is stopped, or the test ends.
func (n namespace) start(run func(context.Context) error) (stop func()) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		onThread(n.t, n.handle, func() error { return run(ctx) })
	}()
	stop = func() {
		cancel()
		<-ended
	}
	n.t.Cleanup(stop)
	return stop
}
