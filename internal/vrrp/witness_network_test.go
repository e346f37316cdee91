// SPDX-License-Identifier: Apache-2.0

package vrrp_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/vrrp"
)

// front6 is a virtual router of IPv6.
func (n namespace) front6(priority uint8) model.VRRPWant {
	r := n.front(priority)
	r.Addresses, r.Source = prefixes("fe80::51/64", "2001:db8::51/64"), sourceOf("front6", n.Own.String()[8:])
	return r
}

// A backup hears on the link itself that its witness is there, and that somebody has the address still.
func TestWitnessesAreAskedOnTheLink(t *testing.T) {
	t.Parallel()
	for family, c := range map[string]struct {
		want         func(namespace, uint8) model.VRRPWant
		witness, vip string
	}{
		"ipv4": {namespace.front, "192.0.2.77", "192.0.2.100"},
		"ipv6": {namespace.front6, "fe80::77", "2001:db8::51"},
	} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			left, right := newLAN(t)
			above, below := c.want(left, 200), c.want(right, 100)
			below.Witness = addrs(c.witness)
			first, second := left.direct(above), right.direct(below)
			first.becomes(model.VRRPMaster, "front")
			within(t, "the second knows the first", func() bool { return second.seen("front").Master == above.Source })
			first.kill()
			within(t, "it is held back", func() bool { return strings.HasPrefix(second.seen("front").Held, "no witness answers") })
			length := "/" + map[bool]string{true: "32", false: "128"}[netip.MustParseAddr(c.vip).Is4()]
			left.Run("ip addr add " + c.vip + length + " dev eth0")
			within(t, "it hears who has the address", func() bool { return strings.Contains(second.seen("front").Held, "answers for "+c.vip) })
			left.Run("ip addr add " + c.witness + length + " dev eth0")
			left.Run("ip addr del " + c.vip + length + " dev eth0")
			second.becomes(model.VRRPMaster, "front")
			if why := second.seen("front").Why; strings.Contains(why, "no witness") {
				t.Errorf("why: %s", why)
			}
		})
	}
}

// A cable between two directors brings adverts when their link does not, and says which of the two is silent.
func TestCableBringsAdverts(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	left.cable(right)
	above, below := left.by(left.front(200), right), right.by(right.front(100), left)
	first, second := left.direct(above), right.direct(below)
	first.becomes(model.VRRPMaster, "front")
	within(t, "the second knows the first", func() bool { return second.seen("front").Master == left.Own })
	right.Run("nft add table inet deaf")
	right.Run("nft add chain inet deaf in { type filter hook input priority 0 ; }")
	right.Run("nft add rule inet deaf in iifname eth0 ip protocol 112 drop")
	within(t, "it tells which is silent", func() bool {
		return second.seen("front").Silent == "eth0 brings no advert of 192.0.2.1, who is heard otherwise"
	})
	if now := second.seen("front"); now.State != model.VRRPBackup || now.Master != left.Own {
		t.Errorf("%+v", now)
	}
	right.Run("ip link set eth1 down")
	second.becomes(model.VRRPMaster, "front")
}

// TestAdvertsByAPathAreNoStrangers to a virtual router whose own interface that is: another one here has their id.
func TestAdvertsByAPathAreNoStrangers(t *testing.T) {
	t.Parallel()
	left, right := newLAN(t)
	left.cable(right)
	first := left.direct(left.by(left.front(200), right), left.back(200))
	second := right.direct(right.by(right.front(100), left), right.back(100))
	first.becomes(model.VRRPMaster, "front", "back")
	within(t, "adverts come by the link, and by the path", func() bool { return second.order("counts").Counts["front"].Received > 20 })
	for name, counts := range second.order("counts").Counts {
		if n := counts.Discarded[vrrp.ReasonID]; n > 0 || counts.Received == 0 {
			t.Errorf("%s: %d came, and %d of ids that nobody is to have here", name, counts.Received, n)
		}
	}
}

// back is a virtual router of the cable.
func (n namespace) back(priority uint8) model.VRRPWant {
	r := n.front(priority)
	r.Name, r.Interface, r.Link, r.ID = "back", "eth1", n.Index("eth1"), 52
	r.Addresses, r.Source = prefixes("198.51.100.100/24"), n.onCable()
	return r
}

// cable connects two namespaces by eth1.
func (n namespace) cable(other namespace) {
	n.T.Helper()
	n.Run("ip link add eth1 type veth peer name eth1 netns " + strconv.Itoa(other.PID))
	for _, each := range []namespace{n, other} {
		each.Run("ip addr add " + each.onCable().String() + "/24 dev eth1")
		each.Run("ip link set eth1 up")
	}
}

func (n namespace) onCable() netip.Addr {
	b := n.Own.As4()
	return netip.AddrFrom4([4]byte{198, 51, 100, b[3]})
}

// by is a virtual router with a path by the cable.
func (n namespace) by(want model.VRRPWant, other namespace) model.VRRPWant {
	path := model.VRRPPath{Interface: "eth1", Peer: other.onCable(), Director: other.Own, Source: n.onCable()}
	want.Paths, want.Ways = []model.VRRPPath{path}, []model.VRRPWay{{VRRPPath: path, Link: n.Index("eth1")}}
	return want
}
