// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/packet"
)

// decapTwin says in plain Go what becomes of a frame, and what comes out.
func decapTwin(want dataplane.DecapWant, frame []byte) (verdict string, out []byte) {
	d := decapsulation{want: want, frame: frame}
	d.judge()
	if d.verdict != "decapsulated" {
		return d.verdict, frame
	}
	return d.verdict, d.strip()
}

// decapsulation is a frame on its way. A verdict ends it.
type decapsulation struct {
	want     dataplane.DecapWant
	frame    []byte
	verdict  string
	v6       bool   // the outer header is IPv6
	body     []byte // what is inside of the headers read until now
	at       int    // and where that is in the frame
	protocol byte   // what body is
	ecn      byte   // of the outer header
	marked   byte   // what the inner header is to say
	sums     []byte // bytes under a checksum, if there is one
}

func (d *decapsulation) judge() {
	for _, stage := range []func() string{d.outer, d.unwrap, d.inner, d.verify, d.combine} {
		if d.verdict = stage(); d.verdict != "" {
			return
		}
	}
	d.verdict = "decapsulated"
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }

// addr: IPv4 is mapped into IPv6 in the program, so one that comes mapped is the same.
func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// isGUE looks at what may be the beginning of a UDP header.
func (d *decapsulation) isGUE(at int) bool {
	return len(d.frame) >= at+8 && slices.Contains(d.want.GUEPorts, uint16(be16(d.frame[at+2:])))
}

func (d *decapsulation) outer() string {
	ip := d.frame[min(14, len(d.frame)):]
	switch {
	case len(ip) >= 20 && be16(d.frame[12:]) == 0x0800:
		return d.outer4(ip)
	case len(ip) >= 40 && be16(d.frame[12:]) == 0x86dd:
		return d.outer6(ip)
	}
	return "passed"
}

func (d *decapsulation) outer4(ip []byte) string {
	header, total, fragment := int(ip[0]&15)*4, be16(ip[2:]), be16(ip[6:])&0x3fff
	d.protocol, d.ecn = ip[9], ip[1]&3
	if !slices.Contains([]byte{4, 41, 47, 17}, d.protocol) || !slices.Contains(d.want.Tunnels, addr(ip[16:20])) {
		return "passed"
	}
	if d.protocol == 17 && (fragment&0x1fff != 0 || !d.isGUE(14+header)) {
		return "passed"
	}
	if ip[0]>>4 != 4 || header < 20 || total < header || total > len(ip) {
		return "malformed"
	}
	if fragment != 0 {
		return "fragment"
	}
	d.body, d.at = ip[header:total], 14+header
	return ""
}

func (d *decapsulation) outer6(ip []byte) string {
	d.v6, d.protocol, d.ecn = true, ip[6], ip[1]>>4&3
	if !slices.Contains([]byte{4, 41, 47, 17}, d.protocol) || !slices.Contains(d.want.Tunnels, addr(ip[24:40])) {
		return "passed"
	}
	if d.protocol == 17 && !d.isGUE(14+40) {
		return "passed"
	}
	length := be16(ip[4:])
	if ip[0]>>4 != 6 || length > len(ip)-40 {
		return "malformed"
	}
	d.body, d.at = ip[40:40+length], 14+40
	return ""
}

func (d *decapsulation) unwrap() string {
	switch d.protocol {
	case 47:
		return d.unwrapGRE()
	case 17:
		return d.unwrapGUE()
	}
	return ""
}

func (d *decapsulation) unwrapGRE() string {
	if len(d.body) < 4 {
		return "malformed"
	}
	flags, known := be16(d.body), map[int]byte{0x0800: 4, 0x86dd: 41}
	d.protocol = known[be16(d.body[2:])]
	if flags&0x7c07 != 0 || d.protocol == 0 {
		return "unsupported"
	}
	if flags&0x8000 == 0 {
		return d.skip(4)
	}
	d.sums = d.body
	return d.skip(8)
}

func (d *decapsulation) unwrapGUE() string {
	if len(d.body) < 12 || be16(d.body[4:]) < 12 || be16(d.body[4:]) > len(d.body) {
		return "malformed"
	}
	d.body = d.body[:be16(d.body[4:])]
	d.protocol = d.body[9]
	if d.body[8]&0xe0 != 0 || be16(d.body[10:]) != 0 || d.protocol != 4 && d.protocol != 41 {
		return "unsupported"
	}
	if be16(d.body[6:]) != 0 {
		d.sums = d.pseudo()
	}
	return d.skip(12 + int(d.body[8]&31)*4)
}

// pseudo is UDP's pseudo header and what it stands before.
func (d *decapsulation) pseudo() []byte {
	addresses := d.frame[14+12 : 14+20]
	if d.v6 {
		addresses = d.frame[14+8 : 14+40]
	}
	return slices.Concat(addresses, []byte{0, 17, d.body[4], d.body[5]}, d.body)
}

func (d *decapsulation) skip(size int) string {
	if len(d.body) < size {
		return "malformed"
	}
	d.body, d.at = d.body[size:], d.at+size
	return ""
}

func (d *decapsulation) inner() string {
	header, version := 20, byte(4)
	if d.protocol == 41 {
		header, version = 40, 6
	}
	if len(d.body) < header || d.body[0]>>4 != version {
		return "malformed"
	}
	total, destination := be16(d.body[2:]), d.body[16:20]
	if version == 6 {
		total, destination = 40+be16(d.body[4:]), d.body[24:40]
	} else {
		header = int(d.body[0]&15) * 4
	}
	if header < 20 || total < header || total > len(d.body) {
		return "malformed"
	}
	if !slices.Contains(d.want.VIPs, addr(destination)) {
		return "refused"
	}
	return ""
}

func (d *decapsulation) verify() string {
	if d.sums != nil && packet.Checksum(d.sums) != 0 {
		return "bad_checksum"
	}
	return ""
}

// figure4 of RFC 6040, by inner and outer field: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE; 4 is to drop.
var figure4 = [4][4]byte{
	{0, 0, 0, 4},
	{1, 1, 1, 3},
	{2, 1, 2, 3},
	{3, 3, 3, 3},
}

func (d *decapsulation) combine() string {
	if d.marked = figure4[d.innerECN()][d.ecn]; d.marked > 3 {
		return "congested"
	}
	return ""
}

func (d *decapsulation) innerECN() byte {
	if d.protocol == 41 {
		return d.body[1] >> 4 & 3
	}
	return d.body[1] & 3
}

// strip is what comes out: with all that follows the packet in the frame.
func (d *decapsulation) strip() []byte {
	out := slices.Concat(d.frame[:14], d.frame[d.at:])
	binary.BigEndian.PutUint16(out[12:], map[byte]uint16{4: 0x0800, 41: 0x86dd}[d.protocol])
	d.mark(out[14:])
	return out
}

func (d *decapsulation) mark(ip []byte) {
	switch {
	case d.innerECN() == d.marked:
	case d.protocol == 41:
		ip[1] = ip[1]&^0x30 | d.marked<<4
	default:
		old := slices.Clone(ip[:2])
		ip[1] = ip[1]&^3 | d.marked
		binary.BigEndian.PutUint16(ip[10:], packet.Update(binary.BigEndian.Uint16(ip[10:]), old, ip[:2]))
	}
}
