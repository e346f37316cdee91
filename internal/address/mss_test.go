// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/address"
)

// limit is 1440 for IPv4 and 20 less for IPv6.
func limit(r address.Route) int {
	if r.Destination.Addr().Is4() {
		return 1440
	}
	return 1420
}

func noLimit(address.Route) int { return 0 }

func (n namespace) limitMSS(path string, limit func(address.Route) int) {
	n.t.Helper()
	n.do(func() error { return journal(n.t, path).LimitMSS(limit) })
}

// routes are all of a namespace, in the kernel's order, as iproute2 tells them, but for those that the kernel adds for
// IPv6 addresses of its own, some time after they are there.
func (n namespace) routes() string {
	n.t.Helper()
	var own []string
	for line := range strings.Lines(n.run("ip -d -6 route show table all")) {
		if !strings.Contains(line, " table local ") {
			own = append(own, line)
		}
	}
	shown := n.run("ip -d -4 route show table all") + strings.Join(own, "")
	return strings.ReplaceAll(shown, "linkdown ", "") // the other end may come up meanwhile
}

// newRoutedLAN has all routes that the kernel makes by itself: that of link-local addresses comes when it has noticed that
// an interface is up.
func newRoutedLAN(t *testing.T) (left, right namespace) {
	t.Helper()
	left, right = newLAN(t)
	within(t, "route of link-local addresses", func() bool {
		return strings.Contains(left.run("ip -6 route show dev eth0"), "fe80::/64")
	})
	return left, right
}

// furnish makes routes of every kind that can be given another segment size.
func furnish(n namespace) {
	for _, command := range []string{
		"ip route add default via 192.0.2.254 dev eth0 proto dhcp metric 100",
		"ip route add 198.51.100.0/24 via 192.0.2.253 dev eth0 mtu lock 1500 initcwnd 20",
		"ip route add 198.51.100.0/24 via 192.0.2.252 dev eth0 metric 7",
		"ip route add 203.0.113.0/25 dev eth0 scope link src 192.0.2.1 table 77",
		"ip route add 203.0.113.128/25 nexthop via 192.0.2.251 dev eth0 weight 3 nexthop via 192.0.2.250 dev eth0",
		"ip route add 203.0.113.7/32 via 198.51.100.1 dev eth0 onlink",
		"ip route add 203.0.113.8/32 via inet6 2001:db8::fe dev eth0",
		"ip route add 203.0.113.9/32 via 192.0.2.254 dev eth0 advmss 1450",
		"ip route add tos 0x10 203.0.113.9/32 via 192.0.2.249 dev eth0",
		"ip nexthop add id 5 via 192.0.2.248 dev eth0",
		"ip route add 203.0.113.10/32 nhid 5",
		"ip -6 route add default via 2001:db8::fe dev eth0 proto static pref high",
		"ip -6 route add 2001:db8:1::/64 via fe80::1 dev eth0 metric 33 hoplimit 9",
		"ip -6 route add 2001:db8:2::/64 nexthop via 2001:db8::f1 dev eth0 nexthop via 2001:db8::f2 dev eth0",
	} {
		n.run(command)
	}
}

func TestSegmentsAreLimitedAndRestored(t *testing.T) {
	left, _ := newRoutedLAN(t)
	furnish(left)
	path := filepath.Join(t.TempDir(), "host.json")
	before := left.routes()
	left.limitMSS(path, limit)
	left.limitMSS(path, limit) // a second time changes nothing
	limited := left.routes()
	for _, kind := range []struct {
		mss  string
		want int
	}{{"advmss 1440", 11}, {"advmss 1420", 4}, {"advmss 1450", 0}} {
		if got := strings.Count(limited, kind.mss); got != kind.want {
			t.Errorf("%s: %d routes, want %d:\n%s", kind.mss, got, kind.want, limited)
		}
	}
	if got := withoutMSS(limited); got != withoutMSS(before) {
		t.Errorf("more than segment sizes changed:\n%s\nwas:\n%s", limited, before)
	}
	left.do(func() error { return journal(t, path).Restore() })
	if after := left.routes(); after != before {
		t.Errorf("after Restore:\n%s\nwas:\n%s", after, before)
	}
}

// withoutMSS drops what LimitMSS may change.
func withoutMSS(routes string) string {
	var words []string
	for line := range strings.Lines(routes) {
		fields := strings.Fields(line)
		for i, word := range fields {
			if word != "advmss" && (i == 0 || fields[i-1] != "advmss") {
				words = append(words, word)
			}
		}
		words = append(words, "\n")
	}
	return strings.Join(words, " ")
}

func TestAnotherLimitCountsFromWhatWasThere(t *testing.T) {
	left, _ := newRoutedLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	before := left.routes()
	smaller := func(r address.Route) int { return limit(r) - 100 }
	left.limitMSS(path, smaller)
	left.limitMSS(path, limit)
	if routes := left.routes(); strings.Count(routes, "advmss 1440") != 1 || strings.Count(routes, "advmss 1420") != 1 {
		t.Errorf("want one each of 1440 and 1420:\n%s", routes)
	}
	left.limitMSS(path, noLimit)
	if after := left.routes(); after != before {
		t.Errorf("without a limit:\n%s\nwas:\n%s", after, before)
	}
}

func TestSmallerSegmentsStay(t *testing.T) {
	left, _ := newLAN(t)
	left.run("ip route add 198.51.100.0/24 via 192.0.2.254 advmss 1200")
	left.run("ip route add 203.0.113.0/24 via 192.0.2.254 mtu 1300")
	before := left.run("ip route show via 192.0.2.254")
	left.limitMSS(filepath.Join(t.TempDir(), "host.json"), limit)
	if after := left.run("ip route show via 192.0.2.254"); after != before {
		t.Errorf("now:\n%s\nwas:\n%s", after, before)
	}
}

// TestRouteThatChangedMeanwhile: what is there now is given its old segment size, nothing else.
func TestRouteThatChangedMeanwhile(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	left.run("ip route add default via 192.0.2.254")
	left.run("ip route add 198.51.100.0/24 via 192.0.2.254")
	left.run("ip route add 203.0.113.0/24 via 192.0.2.254 advmss 1450")
	left.limitMSS(path, limit)
	left.run("ip route replace default via 192.0.2.253 advmss 1400")
	left.run("ip route del 198.51.100.0/24")
	left.run("ip route replace 203.0.113.0/24 via 192.0.2.254")
	left.do(func() error { return journal(t, path).Restore() })
	const want = "default via 192.0.2.253 dev eth0 \n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.1 \n" +
		"203.0.113.0/24 via 192.0.2.254 dev eth0 \n"
	if got := left.run("ip route"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRoutesThatAreStuckSayWhy(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	left.run("ip link add eth9 type veth peer name eth8")
	left.run("ip link set eth8 up")
	left.run("ip link set eth9 up")
	left.run("ip addr add 2001:db8::9/64 dev eth9 nodad")
	left.run("ip -6 route add 2001:db8:1::/64 via 2001:db8::fe dev eth0 proto ra")
	left.run("ip -6 route add 2001:db8:2::/64 via 2001:db8::fe dev eth0 expires 1000")
	left.limitMSS(path, limit)
	if routes := left.run("ip -6 route"); strings.Contains(routes, "advmss") {
		t.Errorf("changed:\n%s", routes)
	}
	why := map[string]string{
		"2001:db8::/64":   "there is another one with the same destination and metric",
		"2001:db8:1::/64": "it comes from router advertisements",
		"2001:db8:2::/64": "it expires",
	}
	left.do(func() error {
		routes, err := address.Routes()
		for _, r := range routes {
			if want := why[r.Destination.String()]; r.Stuck != want {
				err = errors.Join(err, errors.New(r.Destination.String()+" is stuck: "+r.Stuck+", want: "+want))
			}
		}
		if len(routes) != 5 { // and 192.0.2.0/24
			t.Errorf("%d routes: %+v", len(routes), routes)
		}
		return err
	})
}

// TestAddressTakesItsRouteAlong: the kernel finds its own route again after it was replaced.
func TestAddressTakesItsRouteAlong(t *testing.T) {
	left, _ := newLAN(t)
	left.limitMSS(filepath.Join(t.TempDir(), "host.json"), limit)
	left.run("ip addr del 192.0.2.1/24 dev eth0")
	left.run("ip addr del 2001:db8::1/64 dev eth0")
	if got := left.run("ip route") + left.run("ip -6 route"); strings.Contains(got, "2001:db8") || strings.Contains(got, "192.0.2.0") {
		t.Errorf("left:\n%s", got)
	}
}
