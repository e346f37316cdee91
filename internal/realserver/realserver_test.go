// SPDX-License-Identifier: Apache-2.0

package realserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/realserver"
)

// deadline is generous: what the tests wait for takes milliseconds.
const deadline = 20 * time.Second

var (
	vip4 = netip.MustParseAddr("198.51.100.10")
	vip6 = netip.MustParseAddr("2001:db8:1::10")
	dip4 = netip.MustParseAddr("192.0.2.1") // the director's
	dip6 = netip.MustParseAddr("2001:db8::1")
	rip4 = netip.MustParseAddr("192.0.2.2") // the real server's
	rip6 = netip.MustParseAddr("2001:db8::2")
)

// bed is a real server, and one who is director and client in one.
type bed struct {
	t           *testing.T
	lan, server namespace
	state       string
	want        realserver.Want
}

func newBed(t *testing.T) bed {
	b := bed{t: t, lan: newNamespace(t), server: newNamespace(t), state: t.TempDir() + "/state"}
	wire(b.lan, b.server, "eth0")
	for n, addresses := range map[namespace][]netip.Addr{b.lan: {dip4, dip6}, b.server: {rip4, rip6}} {
		n.run(fmt.Sprintf("ip addr add %s/24 dev eth0", addresses[0]))
		n.run(fmt.Sprintf("ip addr add %s/64 dev eth0 nodad", addresses[1]))
	}
	b.want = realserver.Want{VIPs: []netip.Addr{vip4, vip6}, Tunnel: true, GUEPorts: []uint16{6080}, BPFFS: t.TempDir() + "/bpf"}
	t.Cleanup(func() {
		if err := dataplane.DetachDecap(b.want.BPFFS); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b bed) up() {
	b.t.Helper()
	b.server.must(func() error {
		return realserver.Up(context.Background(), b.state, b.want, slog.New(slog.NewTextHandler(b.t.Output(), nil)))
	})
}

func (b bed) down() {
	b.t.Helper()
	b.server.must(func() error { return realserver.Down(b.state) })
}

func (b bed) look() (status api.RealServer) {
	b.t.Helper()
	b.server.must(func() (err error) {
		status, err = realserver.Look(b.state)
		return err
	})
	return status
}

// everything is what up may change on the host.
func (b bed) everything() string {
	return b.server.run("ip -o addr show") + b.server.run("sysctl net.ipv4.conf net.ipv6.conf") +
		b.server.run("ip -o link show eth0") + b.server.run("ip -4 route show table all") +
		b.server.run("ip -6 route show table all")
}

func TestDownRestoresWhatUpChanged(t *testing.T) {
	b := newBed(t)
	b.server.run("sysctl -w net.ipv4.conf.eth0.rp_filter=1")
	before := b.everything()
	b.up()
	b.up()
	if b.everything() == before {
		t.Fatal("nothing changed")
	}
	if status := b.look(); len(status.Problems) > 0 {
		t.Errorf("after up: %v", status.Problems)
	}
	b.down()
	if after := b.everything(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	b.down()
	if files, err := os.ReadDir(b.state); len(files) > 0 {
		t.Errorf("left in the state directory: %v %v", files, err)
	}
	if _, err := os.Stat(b.want.BPFFS); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %s: %v", b.want.BPFFS, err)
	}
}

func TestUpWithOthersMakesItSo(t *testing.T) {
	b := newBed(t)
	b.up()
	b.want.VIPs = []netip.Addr{vip6}
	b.want.Tunnel = false
	b.up()
	if shown := b.server.run("ip -o addr show lo"); strings.Contains(shown, vip4.String()) || !strings.Contains(shown, vip6.String()) {
		t.Errorf("want %s alone:\n%s", vip6, shown)
	}
	if got := b.server.run("sysctl -n net.ipv4.conf.all.arp_ignore"); strings.TrimSpace(got) != "0" {
		t.Errorf("arp_ignore is %s although no VIP is IPv4", got)
	}
	if strings.Contains(b.server.run("ip link show eth0"), "xdp") {
		t.Error("the program is still on eth0")
	}
	if status := b.look(); len(status.Problems) > 0 || status.Decapsulation != nil {
		t.Errorf("status: %+v", status)
	}
}

func TestVIPThatWasThereStays(t *testing.T) {
	b := newBed(t)
	b.server.run(fmt.Sprintf("ip addr add %s/32 dev lo", vip4))
	b.up()
	b.down()
	if shown := b.server.run("ip -o addr show lo"); !strings.Contains(shown, vip4.String()) {
		t.Errorf("it is gone:\n%s", shown)
	}
}

func TestStatusNamesWhatIsMissing(t *testing.T) {
	b := newBed(t)
	if status := b.look(); len(status.Problems) != 1 {
		t.Errorf("before up: %v", status.Problems)
	}
	b.up()
	b.server.run(fmt.Sprintf("ip addr del %s/32 dev lo", vip4))
	b.server.run("sysctl -w net.ipv4.conf.all.arp_ignore=0")
	b.server.run("ip addr add 192.0.2.3/24 dev eth0")
	b.server.run("ip route add 203.0.113.0/24 via 192.0.2.1")
	b.loseProgram()
	var got []string
	for _, p := range b.look().Problems {
		got = append(got, p.What)
	}
	want := []string{
		"198.51.100.10 is not on lo", "net/ipv4/conf/all/arp_ignore is 0",
		"tunnels are not taken apart on eth0", "tunnels to 192.0.2.3 are not taken apart",
		"clients behind route 203.0.113.0/24 on eth0 may send segments of 1460 bytes, too large by 40 for the tunnel",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.up()
	if problems := b.look().Problems; len(problems) > 0 {
		t.Errorf("after up: %v", problems)
	}
}

// loseProgram takes the program off eth0, and waits until the kernel has let go of it.
func (b bed) loseProgram() {
	b.t.Helper()
	pin := fmt.Sprintf("%s/decap/links/%d_native", b.want.BPFFS, b.server.index("eth0"))
	if err := os.Remove(pin); err != nil {
		b.t.Fatal(err)
	}
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !strings.Contains(b.server.run("ip link show eth0"), "xdp") {
			return
		}
	}
	b.t.Fatal("the program is still on eth0")
}

func TestForeignProgramIsLeftAloneAndDownStillWorks(t *testing.T) {
	b := newBed(t)
	other := newBed(t)
	other.server = b.server
	other.up()
	err := b.server.do(func() error {
		return realserver.Up(context.Background(), b.state, b.want, slog.New(slog.DiscardHandler))
	})
	if err == nil || !strings.Contains(err.Error(), "eth0") {
		t.Errorf("error is %v, want one that names eth0", err)
	}
	b.down()
	if status := other.look(); status.Decapsulation.Interfaces[0].XDP != "native" {
		t.Errorf("the other one's program: %+v", status.Decapsulation)
	}
}

func TestNobodyIsToldAboutVIPs(t *testing.T) {
	b := newBed(t)
	answered := func(target netip.Addr) bool {
		tap := b.lan.tap("eth0")
		tap.send(question(b.lan.mac("eth0"), target))
		end := time.Now().Add(300 * time.Millisecond)
		for time.Now().Before(end) {
			for _, frame := range tap.drain() {
				if answers(frame, target) {
					return true
				}
			}
			time.Sleep(time.Millisecond)
		}
		return false
	}
	if !answered(rip4) || !answered(rip6) {
		t.Fatal("not even the host's own addresses are told: the test sees nothing")
	}
	b.server.run(fmt.Sprintf("ip addr add %s/32 dev lo", vip4))
	b.server.run(fmt.Sprintf("ip addr add %s/128 dev lo", vip6))
	if !answered(vip4) {
		t.Error("without up, ARP for the IPv4 VIP was not answered: it needs no silencing any more")
	}
	if answered(vip6) {
		t.Error("without up, NDP for the IPv6 VIP was answered: it needs silencing too")
	}
	b.up()
	if answered(vip4) || answered(vip6) {
		t.Error("somebody was told about a VIP")
	}
	if !answered(rip4) || !answered(rip6) {
		t.Error("the host's own addresses are silent too")
	}
}

// question asks everybody on the link for the MAC of an address.
func question(mac packet.MAC, target netip.Addr) []byte {
	if target.Is4() {
		return packet.Build(packet.Ethernet{Source: mac, Destination: packet.Broadcast},
			packet.ARP{Operation: packet.ARPRequest, SenderMAC: mac, Sender: dip4, Target: target})
	}
	return packet.Build(packet.Ethernet{Source: mac, Destination: packet.MulticastMAC(packet.AllNodes)},
		packet.IPv6{Source: dip6, Destination: packet.AllNodes, HopLimit: 255},
		packet.ICMPv6{}, packet.NeighbourSolicitation{Target: target, SourceMAC: mac})
}

func answers(frame []byte, target netip.Addr) bool {
	layers, err := packet.Parse(frame)
	if err != nil {
		return false
	}
	arp, ok := packet.Find[packet.ARP](layers)
	if ok && arp.Operation == packet.ARPReply && arp.Sender == target {
		return true
	}
	na, ok := packet.Find[packet.NeighbourAdvertisement](layers)
	return ok && na.Target == target
}

func TestTunnelledPacketsAreAnswered(t *testing.T) {
	b := newBed(t)
	b.up()
	b.exchange("eth0", dip4, dip6)
}

// TestAnswersMayGoAnotherWay: the server's default route is on another interface than the director,
// and it filters by source, as some distributions do.
func TestAnswersMayGoAnotherWay(t *testing.T) {
	b := newBed(t)
	wire(b.lan, b.server, "eth1")
	b.server.run("ip addr add 203.0.113.1/24 dev eth1")
	b.server.run("ip -6 addr add 2001:db8:2::1/64 dev eth1 nodad")
	b.lan.run("ip addr add 203.0.113.7/24 dev eth1")
	b.lan.run("ip -6 addr add 2001:db8:2::7/64 dev eth1 nodad")
	b.server.run("sysctl -w net.ipv4.conf.all.rp_filter=1")
	b.up()
	b.exchange("eth1", netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8:2::7"))
}

// exchange tunnels a datagram of a client to each VIP through each family, and waits on a link for
// the answer.
func (b bed) exchange(link string, client4, client6 netip.Addr) {
	b.t.Helper()
	director, answers := b.lan.tap("eth0"), b.lan.tap(link)
	inner4 := packet.IPv4{Source: client4, Destination: vip4, TTL: 63}
	inner6 := packet.IPv6{Source: client6, Destination: vip6, HopLimit: 63}
	gue := packet.UDP{Source: 50000, Destination: packet.PortGUE}
	for name, layers := range map[string][]packet.Layer{
		"4 in 4":                  {outer4(), inner4},
		"6 in 4":                  {outer4(), inner6},
		"4 in 6":                  {outer6(), inner4},
		"6 in 6":                  {outer6(), inner6},
		"4 in GRE in 4":           {outer4(), packet.GRE{}, inner4},
		"6 in checked GRE in 4":   {outer4(), packet.GRE{Flags: packet.GREChecksum}, inner6},
		"4 in checked GUE in 6":   {outer6(), gue, packet.GUE{}, inner4},
		"6 in unchecked GUE in 6": {outer6(), unchecked(gue), packet.GUE{}, inner6},
		"4 in GUE with data in 4": {outer4(), gue, packet.GUE{Private: make([]byte, 8)}, inner4},
	} {
		b.t.Run(name, func(t *testing.T) {
			frame := packet.Build(append(append(
				[]packet.Layer{packet.Ethernet{Source: b.lan.mac("eth0"), Destination: b.server.mac("eth0")}}, layers...),
				packet.UDP{Source: 40000, Destination: 7}, packet.Payload(name))...)
			b.serve(t)
			answers.drain()
			director.send(frame)
			waitForAnswer(t, answers, name)
		})
	}
}

func unchecked(u packet.UDP) packet.UDP {
	u.NoChecksum = true
	return u
}

func outer4() packet.Layer { return packet.IPv4{Source: dip4, Destination: rip4, TTL: 64} }
func outer6() packet.Layer { return packet.IPv6{Source: dip6, Destination: rip6, HopLimit: 64} }

// serve answers one datagram to port 7 of any address, from that address.
func (b bed) serve(t *testing.T) {
	t.Helper()
	for _, vip := range b.want.VIPs {
		var socket int
		b.server.must(func() (err error) {
			socket, err = listen(vip)
			return err
		})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			echo(socket)
		}()
		t.Cleanup(func() {
			unix.Shutdown(socket, unix.SHUT_RDWR)
			<-ended
			unix.Close(socket)
		})
	}
}

func listen(vip netip.Addr) (int, error) {
	family, address := unix.AF_INET, unix.Sockaddr(nil)
	if vip.Is4() {
		address = &unix.SockaddrInet4{Port: 7, Addr: vip.As4()}
	} else {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: 7, Addr: vip.As16()}
	}
	socket, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	timeout := unix.NsecToTimeval(int64(deadline))
	return socket, errors.Join(
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.Bind(socket, address),
	)
}

func echo(socket int) {
	buffer := make([]byte, 2048)
	length, from, err := unix.Recvfrom(socket, buffer, 0)
	if err == nil && from != nil {
		_ = unix.Sendto(socket, buffer[:length], 0, from) // the test waits for it and says what is missing
	}
}

func waitForAnswer(t *testing.T, tap wiretap, text string) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, frame := range tap.drain() {
			layers, _ := packet.Parse(frame)
			udp, ok := packet.Find[packet.UDP](layers)
			payload, _ := packet.Find[packet.Payload](layers)
			if ok && udp.Source == 7 && string(payload) == text {
				return
			}
		}
	}
	t.Errorf("no answer within %s", deadline)
}
