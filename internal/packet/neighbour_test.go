// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"net/netip"
	"testing"

	"github.com/weir-lb/weir/internal/packet"
)

// TestQuestionsReachWhoHasTheAddress, whichever its family, and nobody behind a router.
func TestQuestionsReachWhoHasTheAddress(t *testing.T) {
	for _, c := range []struct {
		from, address netip.Addr
		want          string
	}{
		{client4, vip4, "eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff | arp who-has 192.0.2.10 tell 198.51.100.7 (02:00:00:00:00:01)"},
		{client6, vip6, "eth 02:00:00:00:00:01 > 33:33:ff:00:00:10 | ipv6 2001:db8:7::7 > ff02::1:ff00:10 hop 255 | icmpv6 type 135 code 0 | who-has 2001:db8::10"},
	} {
		layers, err := packet.Parse(packet.WhoHas(client, c.from, c.address))
		if err != nil {
			t.Fatal(err)
		}
		if got := layers.String(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestClaimsAreReadFromFrames(t *testing.T) {
	link := packet.Ethernet{Source: client, Destination: packet.Broadcast}
	request, reply := packet.GratuitousARP(client, vip4)
	na := func(hops uint8, mac packet.MAC) []byte {
		return packet.Build(link, packet.IPv6{Source: vip6, Destination: packet.AllNodes, HopLimit: hops}, packet.ICMPv6{},
			packet.NeighbourAdvertisement{Target: vip6, TargetMAC: mac})
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  netip.Addr // zero: none
	}{
		{"announcement", request, vip4},
		{"reply", reply, vip4},
		{"question", packet.WhoHas(client, client4, vip4), client4},
		{"a question of one who has no address", packet.WhoHas(client, netip.IPv4Unspecified(), vip4), netip.Addr{}},
		{"solicitation", packet.WhoHas(client, client6, vip6), netip.Addr{}},
		{"advertisement", na(255, client), vip6},
		{"advertisement without the option", na(255, packet.MAC{}), vip6},
		{"advertisement that came through a router", na(254, client), netip.Addr{}},
		{"cut short", request[:30], netip.Addr{}},
		{"nothing", nil, netip.Addr{}},
	} {
		address, mac, ok := packet.Claim(c.frame)
		if ok != c.want.IsValid() || ok && (address != c.want || mac != client) {
			t.Errorf("%s: %v at %v, %t", c.name, address, mac, ok)
		}
	}
}
