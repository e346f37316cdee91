// SPDX-License-Identifier: Apache-2.0

package realserver_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/realserver"
)

// TestClientsAreOfferedWhatFits sends a SYN through the tunnel and reads the SYN-ACK.
func TestClientsAreOfferedWhatFits(t *testing.T) {
	b := newBed(t)
	b.lan.run("ip link set eth0 mtu 9000")
	b.server.run("ip route add default via 192.0.2.1")
	for _, row := range []struct {
		name   string
		change func(*realserver.Want)
		mtu    int
		v4, v6 uint16
	}{
		{"IPIP", func(w *realserver.Want) {}, 1500, 1420, 1400},
		{"GRE", func(w *realserver.Want) { w.TunnelType = "gre" }, 1500, 1412, 1392},
		{"GUE", func(w *realserver.Want) { w.TunnelType = "gue" }, 1500, 1408, 1388},
		{"jumbo frames", func(w *realserver.Want) {}, 9000, 8920, 8900},
		{"so many", func(w *realserver.Want) { w.MSS = 1000 }, 1500, 1000, 980},
		{"not more than fits", func(w *realserver.Want) { w.MSS = 5000 }, 1500, 1460, 1440},
		{"off", func(w *realserver.Want) { w.MSS = realserver.MSSOff }, 1500, 1460, 1440},
		{"IPv6 alone", func(w *realserver.Want) { w.VIPs = w.VIPs[1:] }, 1500, 0, 1400},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := b
			b.t = t
			row.change(&b.want)
			b.server.run(fmt.Sprintf("ip link set eth0 mtu %d", row.mtu))
			b.up()
			if problems := b.look().Problems; len(problems) > 0 {
				t.Errorf("status: %v", problems)
			}
			b.expectMSS(vip4, row.v4)
			b.expectMSS(vip6, row.v6)
		})
	}
}

func TestMSSWithIPv4AloneHasRoomForIPv4Alone(t *testing.T) {
	b := newBed(t)
	b.server.run("ip addr del 2001:db8::2/64 dev eth0")
	b.up()
	b.expectMSS(vip4, 1440)
}

// expectMSS opens a connection to a VIP that is up; 0: it is not.
func (b bed) expectMSS(vip netip.Addr, want uint16) {
	b.t.Helper()
	if want == 0 {
		return
	}
	b.server.must(func() error { return listenTCP(b.t, vip) })
	tap := b.lan.tap("eth0")
	port := uint16(20000 + rand.IntN(30000)) // answers to earlier ones may still come
	tap.send(packet.Build(b.syn(vip, port)...))
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, frame := range tap.drain() {
			if mss, ok := offered(frame, port); ok {
				if mss != want {
					b.t.Errorf("%s: segments of %d bytes are offered, want %d", vip, mss, want)
				}
				return
			}
		}
	}
	b.t.Errorf("%s: no SYN-ACK within %s", vip, deadline)
}

const tcpPort = 80

// syn comes from a client that would take much more.
func (b bed) syn(vip netip.Addr, port uint16) []packet.Layer {
	tcp := packet.TCP{Source: port, Destination: tcpPort, Flags: packet.SYN, Window: 65535, Options: []byte{2, 4, 0xff, 0xd7}}
	eth := packet.Ethernet{Source: b.lan.mac("eth0"), Destination: b.server.mac("eth0")}
	if vip.Is4() {
		return []packet.Layer{eth, outer4(), packet.IPv4{Source: dip4, Destination: vip, TTL: 63}, tcp}
	}
	return []packet.Layer{eth, outer6(), packet.IPv6{Source: dip6, Destination: vip, HopLimit: 63}, tcp}
}

// offered reads the MSS option, RFC 9293 section 3.2; the kernel puts it first.
func offered(frame []byte, port uint16) (uint16, bool) {
	layers, _ := packet.Parse(frame)
	tcp, ok := packet.Find[packet.TCP](layers)
	if !ok || tcp.Destination != port || tcp.Flags != packet.SYN|packet.ACK || len(tcp.Options) < 4 || tcp.Options[0] != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(tcp.Options[2:]), true
}

// listenTCP listens on an address until the test ends.
func listenTCP(t *testing.T, vip netip.Addr) error {
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: tcpPort})
	if vip.Is6() {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: tcpPort, Addr: vip.As16()}
	}
	socket, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { unix.Close(socket) })
	return errors.Join(unix.Bind(socket, address), unix.Listen(socket, 8))
}

// TestWantOfAnEarlierVersionIsUnderstood: it knows IPIP alone, and no segment sizes.
func TestWantOfAnEarlierVersionIsUnderstood(t *testing.T) {
	b := newBed(t)
	before := b.everything()
	b.up()
	path := b.state + "/realserver-want.json"
	text := `{"vips": ["198.51.100.10", "2001:db8:1::10"], "tunnel": true, "bpffs": "` + b.want.BPFFS + `"}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if problems := b.look().Problems; len(problems) > 0 {
		t.Errorf("status: %v", problems)
	}
	b.down()
	if after := b.everything(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestStatusNamesRoutesThatAreStuck(t *testing.T) {
	b := newBed(t)
	b.server.run("ip -6 route add 2001:db8:7::/64 via 2001:db8::1 dev eth0 proto ra")
	b.up()
	problems := b.look().Problems
	if len(problems) != 1 || !strings.Contains(problems[0].Why, "router advertisements") || !strings.Contains(problems[0].Fix, "1400") {
		t.Errorf("status: %+v", problems)
	}
}
