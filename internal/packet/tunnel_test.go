// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/packet"
)

// none6 is an IPv6 packet with nothing in it.
var none6 = packet.IPv6{Source: client6, Destination: vip6, HopLimit: 64, Next: packet.ProtocolNoNext}

// tunnels are the headers of GRE and GUE. Their checksums were worked out by another program.
var tunnels = []struct {
	name   string
	layers packet.Layers // behind the outer IP header
	hex    string
	text   string
}{
	{
		"gre", packet.Layers{packet.GRE{}, packet.Payload("x")},
		"0000 0000 78",
		"gre flags 0x0000 | 1 bytes",
	},
	{
		"ipv4 in gre", packet.Layers{packet.GRE{}, ip4},
		"0000 0800 4500 0014 0000 0000 40 00 8ea5 c6336407 c000020a",
		"gre flags 0x0000 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64",
	},
	{
		"ipv6 in gre with everything", packet.Layers{
			packet.GRE{Flags: packet.GREChecksum | packet.GREKey | packet.GRESequence, Key: 7, Sequence: 9}, none6,
		},
		"b000 86dd" + "d240 0000" + "00000007" + "00000009" +
			"60000000 0000 3b 40 20010db8000700000000000000000007 20010db8000000000000000000000010",
		"gre flags 0xb000 | ipv6 2001:db8:7::7 > 2001:db8::10 hop 64",
	},
	{
		"ipv4 in gue", packet.Layers{packet.UDP{Source: 40000, Destination: packet.PortGUE, NoChecksum: true}, packet.GUE{}, ip4},
		"9c40 17c0 0020 0000" + "00 04 0000" + "4500 0014 0000 0000 40 00 8ea5 c6336407 c000020a",
		"udp 40000 > 6080 | gue flags 0x0000 | ipv4 198.51.100.7 > 192.0.2.10 ttl 64",
	},
	{
		"gue with private data", packet.Layers{
			packet.UDP{Source: 40000, Destination: packet.PortGUE, NoChecksum: true}, packet.GUE{Private: []byte{1, 2, 3, 4, 5}}, ask,
		},
		"9c40 17c0 001c 0000" + "02 11 0000 0102030405000000" + "9c40 0035 0008 7723",
		"udp 40000 > 6080 | gue flags 0x0000 | udp 40000 > 53",
	},
	{
		"control message of gue", packet.Layers{
			packet.UDP{Source: 40000, Destination: packet.PortGUE, NoChecksum: true}, packet.GUE{Control: true, Next: 1, Flags: 3},
		},
		"9c40 17c0 000c 0000" + "20 01 0003",
		"udp 40000 > 6080 | gue flags 0x0003",
	},
}

func TestTunnelsReadAsTheyWereBuilt(t *testing.T) {
	for _, row := range tunnels {
		t.Run(row.name, func(t *testing.T) {
			frame := packet.Build(append(packet.Layers{link, ip4}, row.layers...)...)
			const outer = 14 + 20
			equalHex(t, frame[outer:], row.hex)
			layers, err := packet.Parse(frame)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.text, layers[2:].String()); diff != "" {
				t.Error(diff)
			}
			if again := packet.Build(layers...); !bytes.Equal(frame, again) {
				t.Errorf("built again:\n got %x\nwant %x", again, frame)
			}
		})
	}
}

func TestLiesOfTunnelsAreNamed(t *testing.T) {
	gue := func(g packet.Layer) packet.Layers {
		return packet.Layers{packet.UDP{Destination: packet.PortGUE, NoChecksum: true}, g}
	}
	outer := ip4
	outer.Protocol = packet.ProtocolGRE
	for _, row := range []struct {
		layers packet.Layers
		err    string
	}{
		{packet.Layers{outer, packet.Payload("abc")}, "gre: 3 bytes where 4 are needed"},
		{packet.Layers{outer, packet.Payload{0x80, 0, 8, 0, 1, 2, 3}}, "gre: 7 bytes where 8 are needed"},
		{packet.Layers{outer, packet.Payload{0x40, 0, 8, 0}}, "gre: flags 0x4000: routing, or another version"},
		{packet.Layers{outer, packet.Payload{0, 1, 8, 0}}, "gre: flags 0x0001: routing, or another version"},
		{append(packet.Layers{ip4}, gue(packet.Payload("abc"))...), "gue: 3 bytes where 4 are needed"},
		{append(packet.Layers{ip4}, gue(packet.Payload{2, 4, 0, 0, 1, 2, 3, 4})...), "gue: 8 bytes where 12 are needed"},
		{append(packet.Layers{ip4}, gue(packet.GUE{Variant: 1, Next: 4})...), "gue: variant 1"},
	} {
		if _, err := packet.Parse(packet.Build(append(packet.Layers{link}, row.layers...)...)); err == nil || err.Error() != row.err {
			t.Errorf("error %v, want %s", err, row.err)
		}
	}
}

// FuzzTunnels does for tunnels what FuzzParse does.
func FuzzTunnels(f *testing.F) {
	for _, row := range tunnels {
		f.Add(packet.Build(append(packet.Layers{link, ip4}, row.layers...)...))
		f.Add(packet.Build(append(packet.Layers{link, ip6}, row.layers...)...))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		layers, _ := packet.Parse(frame)
		_ = layers.String()
		if again := packet.Build(layers...); !bytes.Equal(frame, again) && !hasZeroChecksum(layers) {
			t.Errorf("%s\n got %x\nwant %x", layers, again, frame)
		}
	})
}
