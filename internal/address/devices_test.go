// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

var (
	mac4     = model.MAC{0, 0, 0x5e, 0, 1, 51}
	mac6     = model.MAC{0, 0, 0x5e, 0, 2, 52}
	virtual4 = model.VIP{Address: addr("192.0.2.10"), Interface: "eth0", MAC: mac4}
	virtual6 = model.VIP{Address: addr("2001:db8::10"), Interface: "eth0", MAC: mac6}
	virtual  = model.AddressWant{VIPs: []model.VIP{virtual4, virtual6}, OwnARP: []string{"eth0"}}
)

// upon is the name of the interface that has a virtual MAC upon eth0.
func (n namespace) upon(mac model.MAC) string {
	family := map[byte]int{1: 4, 2: 6}[mac[4]]
	return fmt.Sprintf("weir%d-%d-%d", family, mac[5], n.link("eth0").Index)
}

// asks is the MAC that somebody is told who asks where an address is, and for whom it answers.
func (n namespace) asks(a model.Addr) string {
	n.t.Helper()
	n.run("ip neigh flush dev eth0")
	n.do(func() error {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(a, 9).String(), 10*time.Second)
		if !errors.Is(err, unix.ECONNREFUSED) {
			return fmt.Errorf("%s is asked: %v, %v", a, conn, err)
		}
		return nil
	})
	out := n.run(fmt.Sprintf("ip neigh show %s dev eth0", a))
	_, mac, _ := strings.Cut(out, "lladdr ")
	mac, _, _ = strings.Cut(mac, " ")
	return mac
}

func text(mac model.MAC) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}

// TestVirtualMAC: whoever asks for an address hears of its virtual MAC alone, whoever asks for another one of the host
// of the interface's own; and packets to both are answered.
func TestVirtualMAC(t *testing.T) {
	left, right := newLAN(t)
	for _, all := range []string{"0", "1"} { // the strictest wins
		left.run("sysctl -w net.ipv4.conf.all.rp_filter=" + all)
		l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
		l.apply(virtual)
		l.apply(virtual)
		own := text(left.link("eth0").MAC)
		for range 3 {
			for a, want := range map[model.Addr]string{virtual4.Address: text(mac4), virtual6.Address: text(mac6), addr("192.0.2.1"): own, addr("2001:db8::1"): own} {
				if is := right.asks(a); is != want {
					t.Errorf("rp_filter %s: %s is at %s, want %s", all, a, is, want)
				}
			}
			left.asks(addr("192.0.2.2")) // which tells the other one whose address is at which MAC
			left.asks(addr("2001:db8::2"))
		}
		shown := left.run("ip -o addr show")
		for _, want := range []string{left.upon(mac4) + "    inet 192.0.2.10/32 ", left.upon(mac6) + "    inet6 2001:db8::10/128 "} {
			if !strings.Contains(shown, want) {
				t.Errorf("no %q in\n%s", want, shown)
			}
		}
		if strings.Contains(left.run("ip -o -6 addr show"), "fe80::200:5eff:fe00") {
			t.Errorf("a link-local address of a virtual MAC:\n%s", shown)
		}
		l.apply(model.AddressWant{})
		if links := left.run("ip -o link"); strings.Contains(links, "weir") || left.holds(virtual4.Address) {
			t.Errorf("left:\n%s", links)
		}
		if is := left.sysctl("net/ipv4/conf/eth0/arp_ignore") + left.sysctl("net/ipv4/conf/eth0/arp_announce"); is != "00" {
			t.Errorf("arp_ignore and arp_announce are %s afterwards", is)
		}
	}
}

// TestVirtualMACIsAnnounced by frames that come from it, from which switches learn.
func TestVirtualMACIsAnnounced(t *testing.T) {
	left, right := newLAN(t)
	frames := right.capture("eth0")
	l := newLife(t, left, filepath.Join(t.TempDir(), "host.json"))
	left.start(l.run)
	l.apply(virtual)
	arp, na := 0, 0
	within(t, "announcements", func() bool {
		for _, f := range frames() {
			switch {
			case f.isARPFor(mac4, virtual4.Address):
				arp++
			case f.isNAFor(mac6, virtual6.Address):
				na++
			}
		}
		return arp >= 10 && na >= 5
	})
}

// TestVirtualMACIsPutBack by another process, and comes back that somebody has removed.
func TestVirtualMACIsPutBack(t *testing.T) {
	left, _ := newLAN(t)
	path := filepath.Join(t.TempDir(), "host.json")
	l := newLife(t, left, path)
	crash := left.start(l.run)
	l.apply(virtual)
	left.listens()
	left.run("ip link del " + left.upon(mac4))
	within(t, "back after it was removed", func() bool { return left.holds(virtual4.Address) })
	left.run("ip link set " + left.upon(mac6) + " down") // with which the address goes
	within(t, "back after it was set down", func() bool {
		return left.holds(virtual6.Address) && left.link(left.upon(mac6)).Up
	})
	left.run("ip link set " + left.upon(mac4) + " down") // of which the kernel says nothing of addresses
	within(t, "up after it was set down", func() bool { return left.link(left.upon(mac4)).Up })
	before := left.link(left.upon(mac4)).Index
	crash() // a process that lives would put back what Restore removes
	newLife(t, left, path).apply(virtual)
	if after := left.link(left.upon(mac4)).Index; after != before {
		t.Errorf("the next process has made another one: %d, before %d", after, before)
	}
	put := journal(t, path).VIPs()
	if !slices.Contains(put, model.VIP{Address: virtual4.Address, Interface: "eth0", Bits: 32}) {
		t.Errorf("the journal knows of %v", put)
	}
	left.do(journal(t, path).Restore)
	if links := left.run("ip -o link"); strings.Contains(links, "weir") {
		t.Errorf("left:\n%s", links)
	}
}

// TestVirtualMACLeavesOthersAlone: what has its name and is another interface, and settings that are stricter.
func TestVirtualMACLeavesOthersAlone(t *testing.T) {
	left, _ := newLAN(t)
	left.run("sysctl -w net.ipv4.conf.eth0.arp_ignore=2")
	left.run("sysctl -w net.ipv6.conf.default.disable_ipv6=1") // for interfaces that come
	name := left.upon(mac4)
	left.run("ip link add " + name + " type veth peer name other")
	path := filepath.Join(t.TempDir(), "host.json")
	target := address.NewTarget(journal(t, path), nil, logger(t))
	left.do(func() error {
		err := target.Apply(context.Background(), virtual)
		if err == nil || !strings.Contains(err.Error(), "interface "+name+" is there, and is another one: remove it") {
			t.Errorf("apply: %v", err)
		}
		return nil
	})
	if !left.holds(virtual6.Address) {
		t.Error("the other one is missing")
	}
	left.do(journal(t, path).Restore)
	if !strings.Contains(left.run("ip -o link"), name) {
		t.Error("somebody else's interface is gone")
	}
	left.run("ip link del " + name)
	newLife(t, left, path).apply(virtual)
	left.run("ip link del " + name)
	left.run("ip link add " + name + " link eth0 address 00:00:5e:00:01:63 type macvlan mode bridge")
	left.do(journal(t, path).Restore)
	if !strings.Contains(left.run("ip -o link"), name) {
		t.Error("somebody else's macvlan is gone, which has another MAC")
	}
	if is := left.sysctl("net/ipv4/conf/eth0/arp_ignore"); is != "2" {
		t.Errorf("arp_ignore was 2, and is %s", is)
	}
}
