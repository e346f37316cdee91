// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/binary"
	"net/netip"
)

// Slices is into how many parts directors divide what they know, to find out where it differs.
const Slices = 256

// Of each slice two directors compare the sum of the digests of what lies in it. So the order does not matter in
// which a director comes across it, and neither do ids, clocks and sizes of tables, which no digest has.
//
// digest.go is what bpf/sync.h computes in the kernel: a test of internal/dataplane compares the two.

// Seeds of the digests: digits of pi behind those of the consistent hash. They are no secret: who makes two
// connections with one digest gains nothing by it.
var (
	identitySeed = [10]uint32{
		0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917, 0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac,
	}
	serverSeed = [10]uint32{
		0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96, 0xba7c9045, 0xf12c7f99, 0x24a19947, 0xb3916cf7, 0x0801f2e2, 0x858efc16,
	}
)

// templateMark is what tells the key of a template from that of a connection.
const templateMark = 64

// hashEnds is NH of UMAC (RFC 4418 section 5.2) over two ends and a protocol, mixed once more.
func hashEnds(a, b netip.AddrPort, protocol uint8, seed [10]uint32) uint64 {
	var bytes [40]byte
	putAddr(bytes[0:], a.Addr())
	putAddr(bytes[16:], b.Addr())
	binary.BigEndian.PutUint16(bytes[32:], a.Port())
	binary.BigEndian.PutUint16(bytes[34:], b.Port())
	bytes[36] = protocol
	var sum uint64
	for i := range 5 {
		low := binary.LittleEndian.Uint32(bytes[8*i:]) + seed[2*i]
		high := binary.LittleEndian.Uint32(bytes[8*i+4:]) + seed[2*i+1]
		sum += uint64(low) * uint64(high)
	}
	return mix(sum)
}

// putAddr writes IPv4 as it is mapped into IPv6 (RFC 4291 section 2.5.5.2), and what is no address as zeros.
func putAddr(to []byte, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	bytes := a.As16()
	copy(to, bytes[:])
}

func mix(x uint64) uint64 {
	x = (x ^ x>>32) * 0x9e3779b97f4a7c15
	return x ^ x>>32
}

func (i Identity) hash() uint64 {
	protocol := uint8(i.Protocol)
	if i.Template {
		protocol |= templateMark
	}
	return hashEnds(i.Client, i.Virtual, protocol, identitySeed)
}

// Slice is where the connection, or template, is looked for when directors compare what they know.
func (i Identity) Slice() uint8 { return uint8(i.hash() >> 56) }

// IsLasting tells whether a director holds the connection for as long as its master does not say that it ended. Its
// packets keep it alive, of which nothing is told. All others are on their way to an end, or have not proved
// themselves, and their time runs wherever they are known.
func (r Record) IsLasting() bool {
	return r.Settled && (r.State == "ESTABLISHED" || r.State == "UDP" || r.IsTemplate())
}

// Digest is what the record adds to the sum of its slice, if it IsLasting; others add nothing.
func (r Record) Digest() uint64 {
	if !r.IsLasting() {
		return 0
	}
	forwarding := digestForwarding[r.Forwarding]
	server := hashEnds(r.Server, netip.AddrPort{}, forwarding, serverSeed)
	return mix(r.Identity().hash() ^ (server<<1 | server>>63))
}

// digestForwarding are the numbers of the methods in digests.
var digestForwarding = map[Forwarding]uint8{DR: 1, TUN: 2, NAT: 3}
