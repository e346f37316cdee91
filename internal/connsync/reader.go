// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"encoding/binary"
	"net/netip"
)

// reader takes a body apart. What is not there reads as 0, and short says so.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.short, r.rest = true, nil
		return make([]byte, n)
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// done says that there was as much as was read, and no more.
func (r *reader) done() bool { return !r.short && len(r.rest) == 0 }

func (r *reader) uint8() uint8   { return r.take(1)[0] }
func (r *reader) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

// end is an address and port.
func (r *reader) end(is6 bool) netip.AddrPort {
	if is6 {
		address := netip.AddrFrom16([16]byte(r.take(16)))
		return netip.AddrPortFrom(address, r.uint16())
	}
	address := netip.AddrFrom4([4]byte(r.take(4)))
	return netip.AddrPortFrom(address, r.uint16())
}

func (r *reader) slices() (s sliceSet) {
	for i := range s {
		s[i] = r.uint64()
	}
	return s
}

func append16(b []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(b, n) }
func append32(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }
func append64(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

func appendEnd(b []byte, end netip.AddrPort) []byte {
	return append16(append(b, end.Addr().AsSlice()...), end.Port())
}

func appendSlices(b []byte, s sliceSet) []byte {
	for _, word := range s {
		b = append64(b, word)
	}
	return b
}
