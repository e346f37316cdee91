// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

func routeWant(to, via string) model.RouteWant {
	out := model.RouteWant{Router: "front", VirtualRoute: model.VirtualRoute{
		To: netip.MustParsePrefix(to), Interface: "eth0", Table: model.MainTable,
	}}
	if via != "" {
		out.Via = addr(via)
	}
	return out
}

// ours are weir's routes of virtual routers.
func (n namespace) ours() string {
	n.t.Helper()
	var out []string
	for _, command := range []string{"ip -4 route show table all proto 120", "ip -6 route show table all proto 120"} {
		for _, line := range strings.Split(strings.TrimSpace(n.run(command)), "\n") {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, strings.Join(strings.Fields(strings.NewReplacer("proto 120", "", " pref medium", "").Replace(line)), " "))
			}
		}
	}
	return strings.Join(out, "\n")
}

func (n namespace) wantRoutes(when, want string) {
	n.t.Helper()
	got := ""
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = n.ours(); got == want {
			return
		}
	}
	n.t.Fatalf("%s: there are\n%s\nwant\n%s", when, got, want)
}

// TestVirtualRoutesComeAndGo with all that one can have, behind the addresses that they need, and leave nothing.
func TestVirtualRoutesComeAndGo(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	l := newLife(t, left, path)
	every, onLink, six, mixed := routeWant("0.0.0.0/0", "192.0.2.2"), routeWant("203.0.113.0/24", ""), routeWant("::/0", "2001:db8::2"), routeWant("198.51.100.128/25", "2001:db8::2")
	every.Source, every.Metric = vip4.Address, 50
	onLink.Table = 100
	want := model.AddressWant{VIPs: []model.VIP{vip4, vip6}, Routes: []model.RouteWant{every, onLink, six, mixed}}
	const all = `203.0.113.0/24 dev eth0 table 100 scope link
default via 192.0.2.2 dev eth0 src 198.51.100.10 metric 50
198.51.100.128/25 via inet6 2001:db8::2 dev eth0
default via 2001:db8::2 dev eth0 metric 1024`
	l.apply(want)
	left.wantRoutes("all", all)
	l.apply(want)
	left.wantRoutes("all, again", all)
	want.Routes[0].Source, want.Routes[1].Via, want.Routes[3].Metric = model.Addr{}, addr("192.0.2.2"), 9
	l.apply(want)
	left.wantRoutes("changed", `203.0.113.0/24 via 192.0.2.2 dev eth0 table 100
default via 192.0.2.2 dev eth0 metric 50
198.51.100.128/25 via inet6 2001:db8::2 dev eth0 metric 9
default via 2001:db8::2 dev eth0 metric 1024`)
	l.apply(model.AddressWant{VIPs: want.VIPs, Routes: want.Routes[2:3]})
	left.wantRoutes("one", "default via 2001:db8::2 dev eth0 metric 1024")
	newLife(t, left, path).apply(model.AddressWant{})
	left.wantRoutes("none, by the next process", "")
	if left.holds(vip4.Address) {
		t.Error("the address is still there")
	}
}

// TestVirtualRouteIsRestored after a crash, and nothing of anybody else's.
func TestVirtualRouteIsRestored(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	l := newLife(t, left, path)
	first, second := routeWant("203.0.113.0/24", "192.0.2.2"), routeWant("198.51.100.0/24", "192.0.2.2")
	l.apply(model.AddressWant{Routes: []model.RouteWant{first, second}})
	left.run("ip route replace 203.0.113.0/24 via 192.0.2.2 proto static")
	left.do(journal(t, path).Restore) // another process
	if shown := left.run("ip route"); strings.Contains(shown, "198.51.100.0/24") || !strings.Contains(shown, "203.0.113.0/24 via 192.0.2.2 dev eth0 proto static") {
		t.Errorf("restored to:\n%s", shown)
	}
}

// TestVirtualRouteReplacesNobodys: whoever has one there keeps it, and it is told whose it is.
func TestVirtualRouteReplacesNobodys(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.run("ip route add default via 192.0.2.2 proto static")
	left.run("ip -6 route add default via 2001:db8::2 proto bird")
	theirs := left.run("ip route show default") + left.run("ip -6 route show default")
	left.run("ip route add default via 192.0.2.3 proto bird metric 7 table 100")
	left.run("ip route add 203.0.113.0/26 dev eth0 proto bird metric 7 table 100")
	four, six, far, gone := routeWant("0.0.0.0/0", "192.0.2.9"), routeWant("::/0", "2001:db8::9"), routeWant("203.0.113.0/24", "10.0.0.1"), routeWant("203.0.113.0/25", "")
	gone.Interface = "eth7"
	other, link := routeWant("0.0.0.0/0", "192.0.2.9"), routeWant("203.0.113.0/26", "192.0.2.9") // of another table, both of one
	other.Table, other.Metric, link.Table, link.Metric = 100, 7, 100, 7
	left.do(func() error {
		err := l.target.Apply(context.Background(), model.AddressWant{VIPs: []model.VIP{vip4}, Routes: []model.RouteWant{four, six, far, gone, other, link}})
		var unrouted address.Unrouted
		if !errors.As(err, &unrouted) || len(unrouted) != 6 {
			t.Fatalf("error is %v", err)
		}
		for _, c := range []struct {
			want  model.RouteWant
			says  string
			taken bool
		}{{four, "by static, via 192.0.2.2", true}, {six, "by bird, via 2001:db8::2", true}, {far, "unreachable", false}, {gone, "eth7", false},
			{other, "same metric: by bird, via 192.0.2.3", true}, {link, "same metric: by bird", true}} {
			if got := unrouted[c.want]; !strings.Contains(got.Why, c.says) || got.Taken != c.taken {
				t.Errorf("%s: %+v", c.want.VirtualRoute, got)
			}
		}
		return nil
	})
	if now := left.run("ip route show default") + left.run("ip -6 route show default"); now != theirs || !left.holds(vip4.Address) {
		t.Errorf("before:\n%s\nafter:\n%s", theirs, now)
	}
	left.run("ip route del default")
	left.run("ip -6 route del default")
	l.apply(model.AddressWant{Routes: []model.RouteWant{four, six}})
	left.wantRoutes("theirs are gone", "default via 192.0.2.9 dev eth0\ndefault via 2001:db8::9 dev eth0 metric 1024")
}

// TestVirtualRouteComesBack that somebody has removed, or the kernel with an address or a link, although nobody wants
// anything new.
func TestVirtualRouteComesBack(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	four, six, sourced := routeWant("0.0.0.0/0", "192.0.2.2"), routeWant("::/0", "2001:db8::2"), routeWant("203.0.113.0/24", "192.0.2.2")
	sourced.Source = vip4.Address
	want := model.AddressWant{VIPs: []model.VIP{vip4}, Routes: []model.RouteWant{four, six, sourced}}
	const all = `default via 192.0.2.2 dev eth0
203.0.113.0/24 via 192.0.2.2 dev eth0 src 198.51.100.10
default via 2001:db8::2 dev eth0 metric 1024`
	l.apply(want)
	left.wantRoutes("all", all)
	left.listens()
	left.run("ip route flush proto 120")
	left.run("ip -6 route flush proto 120")
	left.wantRoutes("flushed", all)
	left.run("ip addr del 198.51.100.10/32 dev eth0") // the route with that source goes along
	left.wantRoutes("an address", all)
	left.run("ip link set eth0 down")
	time.Sleep(50 * time.Millisecond)
	left.run("ip link set eth0 up")
	left.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
	left.wantRoutes("the link was down", all)
	l.apply(model.AddressWant{})
	left.run("ip route flush table main")
	time.Sleep(3 * 100 * time.Millisecond)
	if got := left.ours(); got != "" {
		t.Errorf("nobody wants them any more:\n%s", got)
	}
}

// TestRouteThatCannotComeBackIsTold, and that it has come back.
func TestRouteThatCannotComeBackIsTold(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	told := make(chan error, 99)
	left.start(func(ctx context.Context) error { return l.target.Run(ctx, func(err error) { told <- err }) })
	await := func(what string, is func(error) bool) {
		t.Helper()
		for end := time.After(deadline); ; {
			select {
			case err := <-told:
				if is(err) {
					return
				}
			case <-end:
				t.Fatalf("nobody is told that %s", what)
			}
		}
	}
	way := routeWant("203.0.113.0/24", "192.0.2.2")
	l.apply(model.AddressWant{Routes: []model.RouteWant{way}})
	left.wantRoutes("one", "203.0.113.0/24 via 192.0.2.2 dev eth0")
	left.listens()
	left.run("ip route append 203.0.113.0/24 via 192.0.2.3 proto bird")
	left.run("ip route del 203.0.113.0/24 via 192.0.2.2")
	await("somebody else has it now", func(err error) bool {
		var unrouted address.Unrouted
		return errors.As(err, &unrouted) && unrouted[way].Taken && strings.Contains(unrouted[way].Why, "by bird")
	})
	left.run("ip route del 203.0.113.0/24")
	await("it is back", func(err error) bool { return err == nil })
	left.wantRoutes("back", "203.0.113.0/24 via 192.0.2.2 dev eth0")
}
