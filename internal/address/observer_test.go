// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// watcher is an Observer at work, and what it said last.
type watcher struct {
	t        *testing.T
	observer *address.Observer
	mu       sync.Mutex // guards network and count
	network  model.Network
	count    int
}

func newWatcher(t *testing.T, n namespace, follow ...string) *watcher {
	w := &watcher{t: t, observer: address.NewObserver(logger(t))}
	w.follow(follow...)
	n.start(func(ctx context.Context) error { return w.observer.Run(ctx, w.take) })
	within(t, "first look", func() bool { return w.last().Links != nil })
	return w
}

func (w *watcher) follow(list ...string) {
	var addresses []model.Addr
	for _, a := range list {
		addresses = append(addresses, addr(a))
	}
	w.observer.Follow(addresses)
}

func (w *watcher) take(n model.Network) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.network = n
	w.count++
}

func (w *watcher) last() model.Network {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.network
}

func (w *watcher) looks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

func TestObserverSeesLinksAndRoutes(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip route add 203.0.113.0/24 via 192.0.2.2")
	left.run("ip route add blackhole 198.51.100.0/24")
	left.run("ip -6 route add unreachable 2001:db8:dead::/48")
	eth0 := left.link("eth0").Index
	w := newWatcher(t, left, "192.0.2.2", "203.0.113.7", "192.0.2.1", "198.51.100.1", "2001:db8::2", "2001:db8:dead::1", "233.252.0.1")
	want := map[model.Addr]model.Route{
		addr("192.0.2.2"):   {Link: eth0, Source: addr("192.0.2.1")},
		addr("203.0.113.7"): {Link: eth0, Gateway: addr("192.0.2.2"), Source: addr("192.0.2.1")},
		addr("192.0.2.1"):   {Link: 1, Source: addr("192.0.2.1"), Local: true},
		addr("2001:db8::2"): {Link: eth0, Source: addr("2001:db8::1")},
	}
	within(t, "seven answers", func() bool { return len(w.last().Following) == 7 })
	if got := w.last().Routes; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("routes are\n%v\nwant\n%v", got, want)
	}
	within(t, "eth0 is up", func() bool { // the kernel tells of a carrier a while after it is there
		return slices.ContainsFunc(w.last().Links, func(l model.Link) bool { return l.Name == "eth0" && l.Up })
	})
	for _, l := range w.last().Links {
		if l.Name == "eth0" && (!l.Up || l.Loopback || l.MTU != 1500 || l.MAC == model.MAC{} || len(l.Prefixes) < 2) {
			t.Errorf("eth0 is %+v", l)
		}
	}
}

func TestNewerListWins(t *testing.T) {
	left, _ := newLAN(t)
	w := newWatcher(t, left)
	w.follow("192.0.2.9")
	w.follow("192.0.2.2")
	within(t, "following the newer list", func() bool {
		f := w.last().Following
		return len(f) == 1 && f[0] == addr("192.0.2.2")
	})
}

func TestRouteChangeIsSeen(t *testing.T) {
	left, _ := newLAN(t)
	w := newWatcher(t, left, "203.0.113.7")
	left.run("ip route add 203.0.113.0/24 via 192.0.2.2")
	within(t, "a route", func() bool { return w.last().Routes[addr("203.0.113.7")].Gateway == addr("192.0.2.2") })
	left.run("ip link set eth0 down")
	within(t, "no route", func() bool { return len(w.last().Routes) == 0 })
}

// TestAnnouncedMACIsFollowed is about a server that was replaced and says so.
func TestAnnouncedMACIsFollowed(t *testing.T) {
	for _, c := range []struct {
		ip       string
		announce func(mac model.MAC, ip model.Addr) [][]byte
	}{
		{"192.0.2.2", func(mac model.MAC, ip model.Addr) [][]byte {
			request, reply := packet.GratuitousARP(mac, ip)
			return [][]byte{request, reply}
		}},
		{"2001:db8::2", func(mac model.MAC, ip model.Addr) [][]byte {
			return [][]byte{packet.UnsolicitedNA(mac, ip)}
		}},
	} {
		t.Run(c.ip, func(t *testing.T) {
			left, right := newLAN(t)
			w, hop := keptNeighbour(t, left, c.ip)
			is := func(mac model.MAC) func() bool {
				return func() bool { return w.last().Neighbours[hop] == mac }
			}
			within(t, "first MAC", is(right.link("eth0").MAC))
			other := model.MAC{2, 0, 0, 0, 0, 0x77}
			right.run("ip link set eth0 address 02:00:00:00:00:77")
			begun := time.Now()
			right.send("eth0", c.announce(other, addr(c.ip))...)
			within(t, "second MAC", is(other))
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("took %s: it was not the announcement that did it", took)
			}
		})
	}
}

// TestSilentMACIsFollowed is about a server that was replaced and tells nobody.
func TestSilentMACIsFollowed(t *testing.T) {
	for _, ip := range []string{"192.0.2.2", "2001:db8::2"} {
		t.Run(ip, func(t *testing.T) {
			left, right := newLAN(t)
			w, hop := keptNeighbour(t, left, ip)
			is := func(mac model.MAC) func() bool {
				return func() bool { return w.last().Neighbours[hop] == mac }
			}
			first := right.link("eth0").MAC
			within(t, "first MAC", is(first))
			right.run("ip link set eth0 address 02:00:00:00:00:77")
			begun := time.Now()
			within(t, "second MAC", func() bool {
				mac := w.last().Neighbours[hop]
				if mac == (model.MAC{}) {
					t.Fatal("the first one was forgotten before there was another")
				}
				return mac != first
			})
			t.Logf("followed after %s; 10s is wanted on a machine that is not busy", time.Since(begun))
			if !is(model.MAC{2, 0, 0, 0, 0, 0x77})() {
				t.Errorf("the MAC is %x", w.last().Neighbours[hop])
			}
		})
	}
}

// keptNeighbour starts an Observer and a Target for one neighbour.
func keptNeighbour(t *testing.T, n namespace, ip string) (*watcher, model.Hop) {
	hop := model.Hop{Link: n.link("eth0").Index, Address: addr(ip)}
	w := newWatcher(t, n, ip)
	l := newLife(t, n, t.TempDir()+"/host.json")
	n.start(l.run)
	l.apply(model.AddressWant{Neighbours: []model.Hop{hop}})
	return w, hop
}

func TestMACOfASilentNeighbourIsKept(t *testing.T) {
	left, right := newLAN(t)
	w, hop := keptNeighbour(t, left, "192.0.2.2")
	within(t, "the MAC", func() bool { return w.last().Neighbours[hop] != model.MAC{} })
	mac := w.last().Neighbours[hop]
	right.run("ip addr del 192.0.2.2/24 dev eth0")
	within(t, "the kernel giving up", func() bool { return left.nud("192.0.2.2") == "FAILED" })
	left.run("ip addr add 192.0.2.77/24 dev eth0") // something to look at
	within(t, "a look", func() bool { return hasPrefix(w.last(), "192.0.2.77/24") })
	if got := w.last().Neighbours[hop]; got != mac {
		t.Errorf("the MAC is %x, was %x", got, mac)
	}
}

// nud is the kernel's opinion of a neighbour.
func (n namespace) nud(ip string) string { return lastWord(n.run("ip neigh show " + ip)) }

func TestObserverSurvivesAnOverrun(t *testing.T) {
	left, _ := newLAN(t)
	w := &watcher{observer: address.NewObserver(logger(t))}
	w.follow("192.0.2.2")
	hold := make(chan struct{})
	left.start(func(ctx context.Context) error {
		return w.observer.Run(ctx, func(n model.Network) {
			w.take(n)
			<-hold // the reader is stuck, and the kernel's buffer fills
		})
	})
	within(t, "first look", func() bool { return w.looks() > 0 })
	left.manyRoutes(5000)
	left.run("ip addr add 192.0.2.77/24 dev eth0")
	close(hold)
	within(t, "what happened last", func() bool { return hasPrefix(w.last(), "192.0.2.77/24") })
}

func TestNothingNewIsNotHandedOut(t *testing.T) {
	left, _ := newLAN(t)
	w := newWatcher(t, left, "192.0.2.2")
	before := w.looks()
	left.manyRoutes(50) // none of them to 192.0.2.2
	time.Sleep(100 * time.Millisecond)
	if after := w.looks(); after > before+1 { // the first look and the first Follow may be two
		t.Errorf("%d looks were handed out", after-before)
	}
}

func hasPrefix(n model.Network, prefix string) bool {
	for _, l := range n.Links {
		for _, p := range l.Prefixes {
			if p.String() == prefix {
				return true
			}
		}
	}
	return false
}

// TestTrackedRoutesAreSeen: the very ones that are asked for, and only as long as they lead to the network.
func TestTrackedRoutesAreSeen(t *testing.T) {
	left, right := newLAN(t)
	left.run("ip link add eth1 type veth peer name eth2")
	left.run("ip link set eth1 up")
	left.run("ip link set eth2 up")
	net := netip.MustParsePrefix("203.0.113.0/24")
	every, via, by := model.TrackRoute{To: netip.MustParsePrefix("0.0.0.0/0"), Table: model.MainTable},
		model.TrackRoute{To: net, Via: addr("192.0.2.2"), Table: model.MainTable},
		model.TrackRoute{To: net, Interface: "eth1", Table: model.MainTable}
	other, six := model.TrackRoute{To: net, Table: 100}, model.TrackRoute{To: netip.MustParsePrefix("2001:db8:7::/48"), Via: addr("2001:db8::2"), Table: model.MainTable}
	w := newWatcher(t, left)
	w.observer.Follow(nil, every, via, by, other, six)
	for _, step := range []struct {
		command string
		want    []model.TrackRoute
	}{
		{"ip route add 203.0.113.0/25 via 192.0.2.2", nil}, // not the whole
		{"ip route add unreachable default", nil},
		{"ip route add default via 192.0.2.2 metric 5 proto 120", nil}, // weir's own
		{"ip route replace default via 192.0.2.2 metric 5 proto static", []model.TrackRoute{every}},
		{"ip route add 203.0.113.0/24 via 192.0.2.2", []model.TrackRoute{every, via}},
		{"ip route replace 203.0.113.0/24 dev eth1", []model.TrackRoute{every, by}},
		{"ip route replace 203.0.113.0/24 nexthop via 192.0.2.9 nexthop via 192.0.2.2", []model.TrackRoute{every, via}},
		{"ip route del 203.0.113.0/24", []model.TrackRoute{every}},
		{"ip nexthop add id 7 via 192.0.2.2 dev eth0", []model.TrackRoute{every}},
		{"ip route add 203.0.113.0/24 nhid 7", []model.TrackRoute{every, via}},
		{"ip nexthop del id 7", []model.TrackRoute{every}}, // and nobody says that the route is gone
		{"ip route add 203.0.113.0/24 via 192.0.2.2 table 100", []model.TrackRoute{every, other}},
		{"ip route add 203.0.113.0/24 via 192.0.2.2 dev eth0", []model.TrackRoute{every, via, other}},
		{"ip -6 route add 2001:db8:7::/48 via 2001:db8::2", []model.TrackRoute{every, via, other, six}},
		{"ip route del 203.0.113.0/24 table 100", []model.TrackRoute{every, via, six}},
	} {
		left.run(step.command)
		w.awaitTracked(step.command, step.want)
	}
	right.run("ip link set eth0 down") // no carrier on the left
	w.awaitTracked("no carrier", nil)
	right.run("ip link set eth0 up")
	w.awaitTracked("a carrier", []model.TrackRoute{every, via, six})
	left.run("ip addr del 192.0.2.1/24 dev eth0") // the kernel removes what is by way of its network, silently
	w.awaitTracked("no address", []model.TrackRoute{six})
}

// awaitTracked waits until these routes are there, and no others.
func (w *watcher) awaitTracked(what string, want []model.TrackRoute) {
	w.t.Helper()
	within(w.t, what, func() bool {
		n := 0
		for _, there := range w.last().Tracked {
			if there {
				n++
			}
		}
		return n == len(want) && len(w.last().Tracked) == 5 && !slices.ContainsFunc(want, func(r model.TrackRoute) bool { return !w.last().Tracked[r] })
	})
}
