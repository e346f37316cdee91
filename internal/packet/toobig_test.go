// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/packet"
)

var (
	ours4    = packet.IPv4{Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("203.0.113.11"), TTL: 63, Flags: packet.DontFragment}
	ours6    = packet.IPv6{Source: netip.MustParseAddr("2001:db8::1"), Destination: netip.MustParseAddr("2001:db8:b::11"), HopLimit: 63}
	inGUE    = packet.UDP{Source: 50000, Destination: 6080}
	optioned = packet.IPv4{Source: ours4.Source, Destination: ours4.Destination, Options: []byte{1, 1, 1}}
)

// needed4 is "fragmentation needed", without the IP header around it.
func needed4(mtu uint16, quoted ...packet.Layer) []byte {
	rest := binary.BigEndian.AppendUint16([]byte{0, 0}, mtu)
	return packet.Build(packet.ICMP{Type: packet.ICMPUnreachable, Code: 4}, packet.Payload(append(rest, packet.Build(quoted...)...)))
}

// needed6 is "packet too big", without the IP header around it.
func needed6(mtu uint32, quoted ...packet.Layer) []byte {
	rest := binary.BigEndian.AppendUint32(nil, mtu)
	message := packet.ICMPv6{Type: packet.ICMPv6TooBig, Checksum: 0x1234}
	return packet.Build(message, packet.Payload(append(rest, packet.Build(quoted...)...)))
}

func TestTooBigSaysWhatWasQuoted(t *testing.T) {
	gre := []byte{0, 0, 8, 0, 0x45, 0, 5, 220}
	for _, row := range []struct {
		name    string
		message []byte
		want    packet.TooBig
	}{
		{"ipip", needed4(1400, ours4, ip4, syn), packet.TooBig{MTU: 1400, Protocol: packet.ProtocolIPv4}},
		{"ipv6 in ipv4", needed4(1400, ours4, ip6, syn), packet.TooBig{MTU: 1400, Protocol: packet.ProtocolIPv6}},
		{"gre", needed4(1400, with(ours4, 47), packet.Payload(gre)), packet.TooBig{MTU: 1400, Protocol: 47}},
		{"gue", needed4(1400, ours4, inGUE, packet.Payload(gre)), packet.TooBig{MTU: 1400, Protocol: packet.ProtocolUDP, Port: 6080}},
		{"behind options", needed4(1400, optioned, inGUE), packet.TooBig{MTU: 1400, Protocol: packet.ProtocolUDP, Port: 6080}},
		{"a router older than RFC 1191", needed4(0, ours4, ip4, syn), packet.TooBig{MTU: 0, Protocol: packet.ProtocolIPv4}},
		{"ipv4 in ipv6", needed6(1400, ours6, ip4, syn), packet.TooBig{MTU: 1400, Protocol: packet.ProtocolIPv4}},
		{"gue in ipv6", needed6(1400, ours6, inGUE), packet.TooBig{MTU: 1400, Protocol: packet.ProtocolUDP, Port: 6080}},
		{"an MTU beyond all", needed6(0xffffffff, ours6, ip6, syn), packet.TooBig{MTU: 1<<31 - 1, Protocol: packet.ProtocolIPv6}},
	} {
		got, err := parseTooBig(row.message)
		row.want.Source, row.want.Destination = ours4.Source, ours4.Destination
		if row.message[0] == packet.ICMPv6TooBig {
			row.want.Source, row.want.Destination = ours6.Source, ours6.Destination
		}
		if err != nil || got != row.want {
			t.Errorf("%s: %+v, %v; want %+v", row.name, got, err, row.want)
		}
	}
}

func with(ip packet.IPv4, p packet.Protocol) packet.IPv4 {
	ip.Protocol = p
	return ip
}

// parseTooBig chooses by the type: no message is of both families.
func parseTooBig(message []byte) (packet.TooBig, error) {
	if len(message) > 0 && message[0] == packet.ICMPv6TooBig {
		return packet.ParseTooBig6(message)
	}
	return packet.ParseTooBig4(message)
}

func TestOtherMessagesAreNotTooBig(t *testing.T) {
	quoted := packet.Build(ours4, ip4, syn)
	lie := needed4(1400, ours4, ip4, syn)
	lie[7]--
	for _, row := range []struct {
		name    string
		message []byte
		want    string
	}{
		{"port unreachable", packet.Build(packet.ICMP{Type: packet.ICMPUnreachable, Code: 3}, packet.Payload(quoted)), "not about a packet that is too big"},
		{"echo", packet.Build(packet.ICMP{Type: packet.ICMPEchoRequest}, packet.Payload(quoted)), "not about a packet that is too big"},
		{"a wrong checksum", lie, "the checksum is wrong"},
		{"a later fragment", needed4(1400, packet.IPv4{Source: ours4.Source, Destination: ours4.Destination, Offset: 1}, packet.Payload(quoted)), "a later fragment"},
		{"IPv6 quoted in ICMPv4", needed4(1400, ours6, ip6, syn), "version 6"},
		{"IPv4 quoted in ICMPv6", needed6(1400, ours4, ip4, syn), "version 4"},
		{"a quoted header of 16 bytes", needed4(1400, packet.Payload(slices.Concat([]byte{0x44}, quoted[1:]))), "header of 16 bytes"},
		{"options beyond the end", needed4(1400, packet.Payload(slices.Concat([]byte{0x4f}, quoted[1:48]))), "0 bytes where 8 are needed"},
	} {
		got, err := parseTooBig(row.message)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
		if got != (packet.TooBig{}) {
			t.Errorf("%s: it says %+v all the same", row.name, got)
		}
		if isOther := strings.HasPrefix(row.want, "not about"); errors.Is(err, packet.ErrNotTooBig) != isOther {
			t.Errorf("%s: ErrNotTooBig is %t", row.name, !isOther)
		}
	}
}

// TestTooBigNeedsWhatEveryRouterQuotes: the IP header and 8 bytes, whatever is cut off behind.
func TestTooBigNeedsWhatEveryRouterQuotes(t *testing.T) {
	for name, row := range map[string]struct {
		quoted []byte
		build  func(quoted packet.Layer) []byte
		need   int
	}{
		"ipv4":         {packet.Build(ours4, ip4, syn), func(q packet.Layer) []byte { return needed4(1400, q) }, 28},
		"ipv4 options": {packet.Build(optioned, ip4, syn), func(q packet.Layer) []byte { return needed4(1400, q) }, 32},
		"ipv6":         {packet.Build(ours6, ip4, syn), func(q packet.Layer) []byte { return needed6(1400, q) }, 48},
	} {
		for n := range row.quoted {
			_, err := parseTooBig(row.build(packet.Payload(row.quoted[:n])))
			if (err == nil) != (n >= row.need) {
				t.Errorf("%s: %d quoted bytes: %v", name, n, err)
			}
		}
	}
	for n := range 8 {
		if _, err := packet.ParseTooBig4(needed4(1400)[:n]); err == nil {
			t.Errorf("%d bytes of ICMP are enough", n)
		}
		if _, err := packet.ParseTooBig6(needed6(1400)[:n]); err == nil {
			t.Errorf("%d bytes of ICMPv6 are enough", n)
		}
	}
}

// FuzzTooBig: whatever comes in, nothing is read beyond it, and what is believed stands in it.
func FuzzTooBig(f *testing.F) {
	f.Add(needed4(1400, ours4, ip4, syn))
	f.Add(needed4(0, optioned, inGUE))
	f.Add(needed6(1400, ours6, ip6, syn))
	f.Fuzz(func(t *testing.T, b []byte) {
		if said, err := packet.ParseTooBig4(b); err == nil {
			holds(t, said, b, said.Source.Is4() && said.MTU <= 0xffff)
		}
		if said, err := packet.ParseTooBig6(b); err == nil {
			holds(t, said, b, said.Source.Is6() && said.MTU >= 0)
		}
	})
}

func holds(t *testing.T, said packet.TooBig, b []byte, family bool) {
	t.Helper()
	addresses := string(append(said.Source.AsSlice(), said.Destination.AsSlice()...))
	if !family || !strings.Contains(string(b[8:]), addresses) {
		t.Errorf("%+v of %x", said, b)
	}
	if said.Port != 0 && said.Protocol != packet.ProtocolUDP {
		t.Errorf("port %d of protocol %d", said.Port, said.Protocol)
	}
}
