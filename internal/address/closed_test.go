// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

func closedAddress(a model.Addr, services ...model.ServiceKey) model.ClosedAddress {
	out := model.ClosedAddress{Address: a}
	for _, s := range services {
		s.Address = a
		out.Services = append(out.Services, s)
	}
	return out
}

// TestClosedAddressTakesItsServicesAlone, in both families, and what no host can do without.
func TestClosedAddressTakesItsServicesAlone(t *testing.T) {
	left, right := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	l := newLife(t, left, path)
	right.run("ip route add 198.51.100.0/24 via 192.0.2.1")
	right.run("ip route add 2001:db8:1::/64 via 2001:db8::1")
	for _, port := range []int{80, 81, 8000, 8001, 8002} {
		left.answers(port)
	}
	services := []model.ServiceKey{
		{Protocol: model.TCP, Port: 80}, {Protocol: model.TCP, Port: 8000, Last: 8001}, {Protocol: model.UDP, Port: 53},
	}
	want := model.AddressWant{VIPs: []model.VIP{vip4, vip6}, Closed: []model.ClosedAddress{
		closedAddress(vip4.Address, services...), closedAddress(vip6.Address, services...),
	}}
	l.apply(model.AddressWant{VIPs: want.VIPs})
	for _, vip := range []model.VIP{vip4, vip6} {
		if !right.connects(vip.Address, 81) || !right.echoed(vip.Address) {
			t.Errorf("%s is closed before it should be", vip.Address)
		}
	}
	l.apply(want)
	own := map[model.VIP]model.Addr{vip4: addr("192.0.2.1"), vip6: addr("2001:db8::1")}
	for vip, host := range own {
		for port, open := range map[int]bool{80: true, 81: false, 8000: true, 8001: true, 8002: false} {
			if right.connects(vip.Address, port) != open {
				t.Errorf("%s port %d: want open %v", vip.Address, port, open)
			}
		}
		if !right.connects(host, 81) || !right.echoed(host) {
			t.Errorf("%s, the host's own, is closed", host)
		}
		if right.echoed(vip.Address) {
			t.Errorf("%s answers a ping", vip.Address)
		}
		if !left.connects(vip.Address, 81) {
			t.Errorf("the host does not reach %s itself", vip.Address)
		}
		// In pieces: IPv6's are put together behind the rules.
		if got := right.sends(left, vip.Address, 53, 4000); got != 4000 {
			t.Errorf("of a datagram of 4000 bytes to %s came %d", vip.Address, got)
		}
		if got := right.sends(left, vip.Address, 54, 4000); got != 0 {
			t.Errorf("of a datagram to another port of %s came %d", vip.Address, got)
		}
	}
	want.Closed = want.Closed[:1]
	l.apply(want)
	if right.connects(vip4.Address, 81) || !right.connects(vip6.Address, 81) {
		t.Errorf("want %s closed, and no more", vip4.Address)
	}
	newLife(t, left, path).apply(model.AddressWant{VIPs: want.VIPs})
	if !right.connects(vip4.Address, 81) || left.run("nft list ruleset") != "" {
		t.Errorf("the next process has left\n%s", left.run("nft list ruleset"))
	}
}

// TestClosedAddressAnswersItsNeighbours: on the link itself it is found, in IPv6 by neighbour discovery (RFC 9568
// section 6.1).
func TestClosedAddressAnswersItsNeighbours(t *testing.T) {
	left, right := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	near4, near6 := model.VIP{Address: addr("192.0.2.10"), Interface: "eth0"}, model.VIP{Address: addr("2001:db8::10"), Interface: "eth0"}
	left.answers(80)
	http := model.ServiceKey{Protocol: model.TCP, Port: 80}
	l.apply(model.AddressWant{VIPs: []model.VIP{near4, near6}, Closed: []model.ClosedAddress{closedAddress(near4.Address, http), closedAddress(near6.Address, http)}})
	for _, vip := range []model.VIP{near4, near6} {
		if !right.connects(vip.Address, 80) {
			t.Errorf("%s is not found", vip.Address)
		}
		right.run(fmt.Sprintf("ip neigh change %s dev eth0 nud probe", vip.Address)) // by unicast
		right.eventually(func() bool { return right.nud(vip.Address.String()) == "REACHABLE" })
	}
}

// TestClosedTableComesBack when somebody flushes all rules, and stays as it is when nothing has changed.
func TestClosedTableComesBack(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	want := model.AddressWant{Closed: []model.ClosedAddress{closedAddress(vip4.Address)}}
	l.apply(want)
	rules := left.run("nft --handle list table inet weir")
	l.apply(want)
	if again := left.run("nft --handle list table inet weir"); again != rules {
		t.Errorf("it was made again without need:\n%s\n%s", rules, again)
	}
	defer left.start(l.run)()
	left.run("nft flush ruleset")
	left.eventually(func() bool {
		return strings.Contains(left.run("nft list ruleset"), "what else is sent to 198.51.100.10")
	})
}

// TestStrangersTableStays: weir removes none that it has not made.
func TestStrangersTableStays(t *testing.T) {
	left, _ := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.run("nft add table inet weir")
	want := model.AddressWant{VIPs: []model.VIP{vip4}, Closed: []model.ClosedAddress{closedAddress(vip4.Address)}}
	left.do(func() error {
		err := l.target.Apply(context.Background(), want)
		if err == nil || !strings.Contains(err.Error(), "somebody else has a table inet weir") {
			t.Errorf("want a complaint about the table, not %v", err)
		}
		return nil
	})
	if !left.holds(vip4.Address) {
		t.Error("the address is missing for it")
	}
	left.run("nft delete table inet weir")
	l.apply(want)
	left.run("nft list table inet weir")
}

// TestManyServicesAreOpen: a transaction that the kernel's usual buffers do not hold.
func TestManyServicesAreOpen(t *testing.T) {
	left, right := newLAN(t)
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	right.run("ip route add 198.51.100.0/24 via 192.0.2.1")
	var services []model.ServiceKey
	for port := range 4000 {
		services = append(services, model.ServiceKey{Protocol: model.TCP, Port: uint16(1 + port)})
	}
	left.answers(4000)
	left.answers(4001)
	l.apply(model.AddressWant{VIPs: []model.VIP{vip4}, Closed: []model.ClosedAddress{closedAddress(vip4.Address, services...)}})
	if !right.connects(vip4.Address, 4000) || right.connects(vip4.Address, 4001) {
		t.Error("want 4000 open, and 4001 closed")
	}
}

// answers accepts connections at a port until the test ends.
func (n namespace) answers(port int) {
	n.t.Helper()
	n.do(func() error {
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			n.t.Cleanup(func() { listener.Close() })
		}
		return err
	})
}

// connects is whether the handshake is over before long: a drop is silent.
func (n namespace) connects(to model.Addr, port int) (open bool) {
	n.t.Helper()
	const wait = time.Second
	n.do(func() error {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, uint16(port)).String(), wait)
		if open = err == nil; open {
			c.Close()
		}
		return nil
	})
	return open
}

// echoed is whether a ping is answered.
func (n namespace) echoed(to model.Addr) (answered bool) {
	n.t.Helper()
	network, ask, answer := "ip4:icmp", []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, byte(0) // with its checksum
	if to.Is6() {
		network, ask, answer = "ip6:ipv6-icmp", []byte{128, 0, 0, 0, 0, 0, 0, 0}, 129 // the kernel adds it
	}
	n.do(func() error {
		c, err := net.Dial(network, to.String())
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(ask); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			return err
		}
		for got := make([]byte, 100); err == nil && !answered; answered = err == nil && got[0] == answer {
			_, _, err = c.(*net.IPConn).ReadFrom(got) // without the header of IPv4
		}
		return nil
	})
	return answered
}

// sends is how much of a datagram comes to a port of the other side.
func (n namespace) sends(other namespace, to model.Addr, port, size int) (came int) {
	n.t.Helper()
	var at net.PacketConn
	other.do(func() (err error) {
		at, err = net.ListenPacket("udp", netip.AddrPortFrom(to, uint16(port)).String())
		return err
	})
	defer at.Close()
	n.do(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(to, uint16(port)).String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(slices.Repeat([]byte{1}, size))
		return err
	})
	if err := at.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		n.t.Fatal(err)
	}
	came, _, _ = at.ReadFrom(make([]byte, size))
	return came
}

// eventually waits for what takes a while.
func (n namespace) eventually(is func() bool) {
	n.t.Helper()
	for end := time.Now().Add(deadline); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatal("it does not come")
		}
	}
}
