// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/weir-lb/weir/internal/packet"
)

// ipPacket is an IP packet taken apart once more, by somebody who knows nothing of the twin.
type ipPacket struct {
	bytes    []byte // header and body
	header   int    // with extension headers
	protocol byte
	fragment bool
}

// wrongSums names the checksums that are wrong in an IP packet and in all that is within.
func wrongSums(b []byte) []string {
	p := readIP(b)
	var wrong []string
	if p.bytes[0]>>4 == 4 && packet.Checksum(p.bytes[:p.header]) != 0 {
		wrong = append(wrong, "ipv4")
	}
	if p.fragment {
		return wrong
	}
	return append(wrong, p.wrongBody()...)
}

// readIP trusts what it reads: a packet that was sent on.
func readIP(b []byte) ipPacket {
	if b[0]>>4 == 4 {
		fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
		return ipPacket{b[:binary.BigEndian.Uint16(b[2:])], int(b[0]&0xf) * 4, b[9], fragment}
	}
	p := ipPacket{b[:40+int(binary.BigEndian.Uint16(b[4:]))], 40, b[6], false}
	for {
		extension := p.bytes[p.header:]
		switch p.protocol {
		case 0, 43, 60, 135, 139, 140:
			p.header += 8 + int(extension[1])*8
		case 51:
			p.header += 8 + int(extension[1])*4
		case 44:
			p.header += 8
			p.fragment = binary.BigEndian.Uint16(extension[2:])&0xfff9 != 0
		default:
			return p
		}
		p.protocol = extension[0]
		if p.fragment {
			return p
		}
	}
}

func (p ipPacket) wrongBody() []string {
	body := p.bytes[p.header:]
	switch p.protocol {
	case 1:
		return append(wrongIf("icmp", packet.Checksum(body) != 0), wrongQuote(body)...)
	case 58:
		return append(wrongIf("icmpv6", p.wrongTransport(body)), wrongQuote(body)...)
	case 4, 41:
		return wrongSums(body)
	case 47:
		return p.wrongGRE(body)
	case 6:
		return wrongIf("tcp", p.wrongTransport(body))
	case 17:
		return p.wrongUDP(body)
	case 132:
		return wrongIf("sctp", binary.LittleEndian.Uint32(body[8:]) != packet.ChecksumSCTP(body))
	}
	return nil
}

func wrongIf(name string, wrong bool) []string {
	if wrong {
		return []string{name}
	}
	return nil
}

// wrongTransport: the checksum of body and pseudo-header is wrong.
func (p ipPacket) wrongTransport(body []byte) bool {
	addresses := p.bytes[12:20]
	if p.bytes[0]>>4 == 6 {
		addresses = p.bytes[8:40]
	}
	pseudo := binary.BigEndian.AppendUint32(slices.Clone(addresses), uint32(len(body)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(p.protocol))
	return packet.Checksum(append(pseudo, body...)) != 0
}

func (p ipPacket) wrongUDP(body []byte) []string {
	datagram := body[:binary.BigEndian.Uint16(body[4:])]
	wrong := wrongIf("udp", binary.BigEndian.Uint16(body[6:]) != 0 && p.wrongTransport(datagram))
	if port := binary.BigEndian.Uint16(body[2:]); port == packet.PortGUE || port == oddGUE {
		wrong = append(wrong, wrongSums(datagram[12:])...)
	}
	return wrong
}

func (p ipPacket) wrongGRE(body []byte) []string {
	if body[0]&0x80 == 0 {
		return wrongSums(body[4:])
	}
	return append(wrongIf("gre", packet.Checksum(body) != 0), wrongSums(body[8:])...)
}

// wrongQuote looks at what an error of ICMP quotes, where all of it is there.
func wrongQuote(body []byte) []string {
	if kind := body[0]; kind == 8 || kind > 11 || len(body) < 28 {
		return nil
	}
	quoted := body[8:]
	length := int(binary.BigEndian.Uint16(quoted[2:]))
	if quoted[0]>>4 == 6 {
		length = 40 + int(binary.BigEndian.Uint16(quoted[4:]))
	}
	if length > len(quoted) || (quoted[0]>>4 == 6 && len(quoted) < 40) {
		return nil
	}
	var out []string
	for _, name := range wrongSums(quoted) {
		if name != "sctp" { // nobody looks at it there, and translation does not keep it
			out = append(out, "quoted "+name)
		}
	}
	return out
}

// checkSums: what is sent on has the wrong checksums that it came with, and no others. What is told
// has none; what came is in its quote.
func checkSums(t *testing.T, came []byte, o outcome) {
	t.Helper()
	if _, err := packet.Parse(o.out); err != nil {
		t.Errorf("%s: %v", text(o.out), err)
		return
	}
	want, got := wrongSums(networkOf(came)), wrongSums(networkOf(o.out))
	if o.verdict == tooBigTold || o.verdict == ttlTold {
		want = nil
		got = slices.DeleteFunc(got, func(name string) bool { return strings.HasPrefix(name, "quoted ") })
	}
	if !slices.Equal(got, want) {
		t.Errorf("wrong checksums are %q, were %q: %s became %s\n%x\n%x", got, want, text(came), text(o.out), came, o.out)
	}
}

// networkOf is what follows the Ethernet header and its tag.
func networkOf(frame []byte) []byte {
	if binary.BigEndian.Uint16(frame[12:]) == packet.EtherTypeVLAN {
		return frame[18:]
	}
	return frame[14:]
}
