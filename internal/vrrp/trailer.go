// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// trailer follows an advert that is signed (draft-cassen-vrrp-auth-hmac, as keepalived 2.4 has it: auth_hmac):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    Type: 1    |    Key id     |         Reserved: 0           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 Sequence: seconds since 1970                  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Sequence: 1/65536 s       |      Sequence: counter        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 HMAC-SHA256, its first 16 bytes               |
//
// The checksum of an advert covers it over IPv6, where it is that of the whole payload, and not over IPv4.
type trailer struct {
	key      uint8
	sequence sequence
	hmac     [hmacLength]byte
}

const (
	trailerLength = 12 + hmacLength
	hmacLength    = 16
	hmacSHA256    = 1 // the one type
)

// parseTrailer reads what is behind an advert. Of nothing there is none.
func parseTrailer(b []byte) (*trailer, Reason) {
	switch {
	case len(b) == 0:
		return nil, Taken
	case len(b) != trailerLength:
		return nil, ReasonLength
	case b[0] != hmacSHA256 || b[2] != 0 || b[3] != 0:
		return nil, ReasonTrailer
	}
	return &trailer{b[1], sequence(binary.BigEndian.Uint64(b[4:])), [hmacLength]byte(b[12:])}, Taken
}

func (t *trailer) append(b []byte) []byte {
	if t == nil {
		return b
	}
	b = append(b, hmacSHA256, t.key, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(t.sequence))
	return append(b, t.hmac[:]...)
}

// sign is an advert as who has the key sends it from there.
func (s *secret) sign(a advert, source netip.Addr, number sequence) advert {
	a.trailer = &trailer{key: s.id, sequence: number}
	a.trailer.hmac = s.hmac(a.trailer.append(a.message()), source)
	return a
}

// signed says whether a whole advert is as somebody with the key has sent it from there.
func (s *secret) signed(text []byte, source netip.Addr) bool {
	want := s.hmac(text, source)
	return hmac.Equal(want[:], text[len(text)-hmacLength:])
}

// hmac is that of an advert with its trailer. The checksum and the HMAC itself count as zero: whoever computes the one
// need not know the other. That the IP header is left out but for the source lets the same bytes go to each peer.
func (s *secret) hmac(text []byte, source netip.Addr) [hmacLength]byte {
	b := make([]byte, signedHead, signedHead+len(text))
	b[0], b[1], b[2] = 4, text[0]>>4, text[1] // the family, the version, the virtual router's id
	if source.Is6() {
		b[0] = 6
	}
	copy(b[4:], source.AsSlice())
	b = append(b, text...)
	clear(b[signedHead+checksumAt : signedHead+checksumAt+2])
	clear(b[len(b)-hmacLength:])
	h := hmac.New(sha256.New, s.key)
	h.Write(b) // it never fails
	return [hmacLength]byte(h.Sum(nil))
}

// signedHead is the length of what is signed before the advert: a pseudo header of three bytes, one of zero, and room
// for an address of IPv6.
const signedHead = 20
