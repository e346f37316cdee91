// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/packet"
)

var (
	client   = packet.MAC{0x02, 0, 0, 0, 0, 0x01}
	director = packet.MAC{0x02, 0, 0, 0, 0, 0x02}

	client4 = netip.MustParseAddr("198.51.100.7")
	vip4    = netip.MustParseAddr("192.0.2.10")
	client6 = netip.MustParseAddr("2001:db8:7::7")
	vip6    = netip.MustParseAddr("2001:db8::10")

	link = packet.Ethernet{Source: client, Destination: director}
	ip4  = packet.IPv4{Source: client4, Destination: vip4, TTL: 64}
	ip6  = packet.IPv6{Source: client6, Destination: vip6, HopLimit: 64}
	syn  = packet.TCP{Source: 40000, Destination: 80, Flags: packet.SYN, Window: 0xffff}
	ask  = packet.UDP{Source: 40000, Destination: 53}
)

// frames are every protocol in every place. Their bytes were read by tcpdump -vv, which found all
// lengths and checksums right.
var frames = []struct {
	name   string
	layers packet.Layers
	hex    string // where we have them from elsewhere, or others rely on them
	text   string
}{
	{
		"tcp in ipv4", packet.Layers{link, ip4, syn}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | tcp 40000 > 80 S seq 0 ack 0",
	},
	{
		"tcp in ipv6", packet.Layers{link, ip6, syn, packet.Payload("hello")}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64 | tcp 40000 > 80 S seq 0 ack 0 | 5 bytes",
	},
	{
		"udp in ipv4, odd length", packet.Layers{link, ip4, ask, packet.Payload("odd")}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | udp 40000 > 53 | 3 bytes",
	},
	{
		"udp in ipv6", packet.Layers{link, ip6, ask}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64 | udp 40000 > 53",
	},
	{
		"options", packet.Layers{
			link,
			packet.IPv4{Source: client4, Destination: vip4, TTL: 1, TOS: 0xb8, ID: 7, Flags: packet.DontFragment, Options: []byte{7, 7, 4, 0, 0, 0, 0, 0}},
			packet.TCP{Source: 1, Destination: 2, Seq: 3, Ack: 4, Flags: packet.PSH | packet.ACK, Options: []byte{2, 4, 5, 0xb4}},
		}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 1 | tcp 1 > 2 P. seq 3 ack 4",
	},
	{
		"tagged", packet.Layers{link, packet.VLAN{ID: 42, Priority: 5}, ip4, ask}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | vlan 42 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | udp 40000 > 53",
	},
	{
		"a tunnel in a tunnel", packet.Layers{link, ip6, ip4, ip6, ask}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64 | udp 40000 > 53",
	},
	{
		"ping", packet.Layers{link, ip4, packet.ICMP{Type: packet.ICMPEchoRequest}, packet.Payload{0, 1, 0, 2}}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | icmp type 8 code 0 | 4 bytes",
	},
	{
		"ping in ipv6", packet.Layers{link, ip6, packet.ICMPv6{Type: packet.ICMPv6EchoRequest}, packet.Payload{0, 1, 0, 2}}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64 | icmpv6 type 128 code 0 | 4 bytes",
	},
	{
		"fragment", packet.Layers{
			link, packet.IPv4{Source: client4, Destination: vip4, TTL: 64, ID: 9, Offset: 185, Protocol: packet.ProtocolUDP}, packet.Payload("the end"),
		}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 fragment 9 at 1480 | 7 bytes",
	},
	{
		"extension headers", packet.Layers{
			link, ip6,
			packet.Extension{Kind: packet.ProtocolHopByHop, Body: []byte{5, 2, 0, 0, 1, 0}},
			packet.Extension{Kind: packet.ProtocolDstOptions, Body: []byte{1, 4}},
			packet.Extension{Kind: packet.ProtocolAH, Body: make([]byte, 22)},
			packet.Fragment{ID: 9, Flags: packet.MoreFragments, Next: packet.ProtocolUDP},
			packet.Payload("beginning"),
		}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64 | extension 0 | extension 60 | extension 51 | fragment 9 at 0 | 9 bytes",
	},
	{
		"padded by Ethernet", packet.Layers{link, ip4, ask, packet.Trailer(make([]byte, 18))}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | udp 40000 > 53 | trailer 18 bytes",
	},
	{
		"arp", packet.Layers{
			packet.Ethernet{Source: client, Destination: packet.Broadcast},
			packet.ARP{Operation: packet.ARPRequest, SenderMAC: client, Sender: client4, Target: vip4},
		},
		"ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c6336407 000000000000 c000020a",
		"eth 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff | arp who-has 192.0.2.10 tell 198.51.100.7 (02:00:00:00:00:01)",
	},
	{
		"neighbour solicitation", packet.Layers{
			link, packet.IPv6{Source: client6, Destination: vip6, HopLimit: 255}, packet.ICMPv6{},
			packet.NeighbourSolicitation{Target: vip6, SourceMAC: client},
		}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 255 | icmpv6 type 135 code 0 | who-has 2001:db8::10",
	},
	{
		"neighbour advertisement", packet.Layers{
			link, packet.IPv6{Source: vip6, Destination: client6, HopLimit: 255}, packet.ICMPv6{},
			packet.NeighbourAdvertisement{Target: vip6, TargetMAC: director, Router: true, Solicited: true, Override: true},
		}, "",
		"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv6 2001:db8::10 > 2001:db8:7::7 hop 255 | icmpv6 type 136 code 0 | 2001:db8::10 is-at 02:00:00:00:00:02",
	},
}

func TestFramesReadAsTheyWereBuilt(t *testing.T) {
	for _, row := range frames {
		t.Run(row.name, func(t *testing.T) {
			frame := packet.Build(row.layers...)
			if row.hex != "" {
				equalHex(t, frame, row.hex)
			}
			layers, err := packet.Parse(frame)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.text, layers.String()); diff != "" {
				t.Error(diff)
			}
			if again := packet.Build(layers...); !bytes.Equal(frame, again) {
				t.Errorf("built again:\n got %x\nwant %x", again, frame)
			}
		})
	}
}

func equalHex(t *testing.T, got []byte, want string) {
	t.Helper()
	if want = strings.ReplaceAll(want, " ", ""); hex.EncodeToString(got) != want {
		t.Errorf("\n got %x\nwant %s", got, want)
	}
}

func TestGratuitousARPIsRequestAndReply(t *testing.T) {
	request, reply := packet.GratuitousARP(director, vip4)
	equalHex(t, request, "ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 c000020a 000000000000 c000020a")
	equalHex(t, reply, "ffffffffffff 020000000002 0806 0001 0800 06 04 0002 020000000002 c000020a 020000000002 c000020a")
}

func TestUnsolicitedNAOverridesAndWasNotRouted(t *testing.T) {
	equalHex(t, packet.UnsolicitedNA(director, vip6), "333300000001 020000000002 86dd"+
		"60000000 0020 3a ff 20010db8000000000000000000000010 ff020000000000000000000000000001"+
		"88 00 f90b 20000000 20010db8000000000000000000000010 02 01 020000000002")
}

func TestSetFieldsAreLeftAlone(t *testing.T) {
	frame := packet.Build(
		packet.Ethernet{Type: 0x1234},
		packet.IPv4{Length: 1, Checksum: 2, Protocol: 3, TTL: 4},
		packet.UDP{Length: 5, Checksum: 6})
	equalHex(t, frame, "000000000000 000000000000 1234"+
		"45 00 0001 0000 0000 04 03 0002 00000000 00000000"+
		"0000 0000 0005 0006")
}

func TestUDPWithoutChecksumStaysWithout(t *testing.T) {
	frame := packet.Build(link, ip4, packet.UDP{Source: 1, Destination: 2, NoChecksum: true})
	layers, err := packet.Parse(frame)
	if err != nil {
		t.Fatal(err)
	}
	if udp, _ := packet.Find[packet.UDP](layers); !udp.NoChecksum || udp.Checksum != 0 {
		t.Errorf("read back: %+v", udp)
	}
	if again := packet.Build(layers...); !bytes.Equal(frame, again) {
		t.Errorf("built again:\n got %x\nwant %x", again, frame)
	}
}

func TestBuildingLeavesItsInputAlone(t *testing.T) {
	backing := []byte("options and more")
	tcp := packet.TCP{Options: backing[:3]}
	packet.Build(link, ip4, tcp, packet.Payload(backing[8:11]), packet.Trailer(backing[3:5]))
	if string(backing) != "options and more" {
		t.Errorf("now %q", backing)
	}
}

func TestLiesAreNamedAndTheRestIsKept(t *testing.T) {
	for _, row := range []struct {
		name   string
		layers packet.Layers
		text   string
		err    string
	}{
		{"frame of nothing", packet.Layers{packet.Payload("x")}, "1 bytes", "ethernet: 1 bytes where 14 are needed"},
		{"length beyond the frame", packet.Layers{link, packet.IPv4{Length: 21}},
			"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | 20 bytes", "ipv4: total length 21, header of 20, 20 bytes there"},
		{"udp beyond ip", packet.Layers{link, ip4, packet.UDP{Length: 9}},
			"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | 8 bytes", "udp: length 9, 8 bytes there"},
		{"tcp header beyond ip", packet.Layers{link, ip4, packet.TCP{DataOffset: 6}},
			"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64 | 20 bytes", "tcp: header of 24 bytes, 20 there"},
		{"ipv6 beyond the frame", packet.Layers{link, packet.IPv6{Length: 9}, packet.UDP{}},
			"eth 02:00:00:00:00:01 > 02:00:00:00:00:02 | 48 bytes", "ipv6: payload of 9 bytes, 8 there"},
	} {
		t.Run(row.name, func(t *testing.T) {
			frame := packet.Build(row.layers...)
			layers, err := packet.Parse(frame)
			if err == nil || err.Error() != row.err {
				t.Errorf("error %v, want %s", err, row.err)
			}
			if diff := cmp.Diff(row.text, layers.String()); diff != "" {
				t.Error(diff)
			}
			if again := packet.Build(layers...); !bytes.Equal(frame, again) {
				t.Errorf("built again:\n got %x\nwant %x", again, frame)
			}
		})
	}
}

// FuzzParse: whatever comes in, Parse returns, and Build makes the same bytes of what it returned,
// but for checksums of zero, which Build fills in.
func FuzzParse(f *testing.F) {
	for _, row := range frames {
		frame := packet.Build(row.layers...)
		f.Add(frame)
		f.Add(frame[:len(frame)-1])
	}
	f.Add(packet.Build(init4...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		layers, _ := packet.Parse(frame)
		_ = layers.String()
		if again := packet.Build(layers...); !bytes.Equal(frame, again) && !hasZeroChecksum(layers) {
			t.Errorf("%s\n got %x\nwant %x", layers, again, frame)
		}
	})
}

func hasZeroChecksum(layers packet.Layers) bool {
	for _, layer := range layers {
		switch l := layer.(type) {
		case packet.IPv4:
			if l.Checksum == 0 {
				return true
			}
		case packet.TCP:
			if l.Checksum == 0 {
				return true
			}
		case packet.ICMP:
			if l.Checksum == 0 {
				return true
			}
		case packet.ICMPv6:
			if l.Checksum == 0 {
				return true
			}
		case packet.SCTP:
			if l.Checksum == 0 {
				return true
			}
		case packet.GRE:
			if l.Checksum == 0 && l.Flags&packet.GREChecksum != 0 {
				return true
			}
		case packet.GUE:
			if l.Next == 0 { // Build fills it in too
				return true
			}
		}
	}
	return false
}
