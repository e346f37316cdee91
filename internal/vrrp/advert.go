// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// advert is an advertisement (RFC 9568 section 5.2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version| Type  |      ID       |   Priority    |Count of addr. |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| v3: 0 |   Interval, 10 ms     |          Checksum             |
//	| v2: Auth type | Interval, s   |          Checksum             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Addresses; v2: 8 bytes of authentication             |
//	|          Trailer, if it is signed                             |
type advert struct {
	version   model.VRRPVersion
	id        uint8
	priority  uint8 // 0: the master has let go of the addresses
	interval  time.Duration
	addresses []netip.Addr
	auth      auth               // of version 2
	checksum  model.VRRPChecksum // of version 3 over IPv4: how it was read, or is to be made
	trailer   *trailer           // nil: it is not signed
	text      []byte             // of one that is heard, as it came
}

// way is how an advert went.
type way struct {
	source      netip.Addr
	destination netip.Addr
	hops        int // TTL or hop limit when it arrived
}

const (
	protocol      = 112 // of IP
	advertisement = 1   // the one type
	hops          = 255 // of adverts: whoever is not on the link cannot make them (RFC 5082)
	headLength    = 8
	checksumAt    = 6
	centisecond   = 10 * time.Millisecond
	mostInterval  = 0xfff // centiseconds of version 3
)

// parse reads an advert, or says why there is none. What is reserved is overlooked (RFC 9568 section 5.2.6). Of another
// version it reads no more than that and the id, which has always stood there.
func parse(b []byte, w way) (advert, Reason) {
	if w.hops != hops {
		return advert{}, ReasonTTL
	}
	if len(b) < headLength {
		return advert{}, ReasonLength
	}
	a := advert{version: model.VRRPVersion(b[0] >> 4), id: b[1], priority: b[2]}
	switch {
	case a.version != model.VRRP3 && (a.version != model.VRRP2 || !w.source.Is4()):
		return advert{version: a.version, id: a.id}, ReasonVersion
	case b[0]&0xf != advertisement:
		return advert{}, ReasonType
	case a.version == model.VRRP2:
		return a.parse2(b)
	}
	return a.parse3(b, w)
}

func (a advert) parse3(b []byte, w way) (advert, Reason) {
	size := len(w.source.AsSlice())
	end := headLength + int(b[3])*size
	if !isWhole(b, end) {
		return advert{}, ReasonLength
	}
	covered := b
	if w.source.Is4() {
		covered = b[:end]
	}
	var ok bool
	if a.checksum, ok = readChecksum(covered, w); !ok {
		return advert{}, ReasonChecksum
	}
	a.interval = time.Duration(binary.BigEndian.Uint16(b[4:])&mostInterval) * centisecond
	a.addresses = parseAddresses(b[headLength:end], size)
	return a.sound(b[end:])
}

// isWhole says whether an advert that ends there does so, or with a trailer.
func isWhole(b []byte, end int) bool { return len(b) == end || len(b) == end+trailerLength }

// sound refuses what would leave nothing to be master of, or no time to be one, and what is no trailer behind it.
func (a advert) sound(behind []byte) (advert, Reason) {
	var why Reason
	if a.trailer, why = parseTrailer(behind); why != Taken {
		return advert{}, why
	}
	switch {
	case len(a.addresses) == 0:
		return advert{}, ReasonCount // RFC 9568 section 5.2.5
	case a.interval == 0:
		return advert{}, ReasonInterval
	}
	return a, Taken
}

func parseAddresses(b []byte, size int) (out []netip.Addr) {
	for ; len(b) >= size; b = b[size:] {
		address, _ := netip.AddrFromSlice(b[:size]) // 4 or 16 bytes are one
		out = append(out, address)
	}
	return out
}

// readChecksum says how the checksum of an advert of version 3 is right (RFC 9568 section 5.2.8), if it is.
func readChecksum(b []byte, w way) (model.VRRPChecksum, bool) {
	if w.source.Is4() && packet.Checksum(b) == 0 {
		return model.ChecksumMessage, true
	}
	if packet.Checksum(append(pseudoHeader(w, len(b)), b...)) != 0 {
		return 0, false
	}
	if w.source.Is4() {
		return model.ChecksumPseudo, true
	}
	return model.ChecksumPeer, true // of IPv6 there is one reading only
}

// pseudoHeader is that of RFC 9293 section 3.1 or RFC 8200 section 8.1.
func pseudoHeader(w way, length int) []byte {
	b := append(w.source.AsSlice(), w.destination.AsSlice()...)
	if w.source.Is4() {
		return binary.BigEndian.AppendUint16(append(b, 0, protocol), uint16(length))
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(length)), 0, 0, 0, protocol)
}

// bytes is the advert as it goes this way.
func (a advert) bytes(w way) []byte {
	b := a.message()
	end := len(b)
	b = a.trailer.append(b)
	var covered []byte
	switch {
	case w.source.Is6():
		covered = append(pseudoHeader(w, len(b)), b...)
	case a.version == model.VRRP3 && a.checksum != model.ChecksumMessage:
		covered = append(pseudoHeader(w, end), b[:end]...)
	default:
		covered = b[:end]
	}
	binary.BigEndian.PutUint16(b[checksumAt:], packet.Checksum(covered))
	return b
}

// message is the advert without its checksum and its trailer.
func (a advert) message() []byte {
	if a.version == model.VRRP2 {
		return a.message2()
	}
	b := a.head()
	binary.BigEndian.PutUint16(b[4:], uint16(a.interval/centisecond))
	return appendAddresses(b, a.addresses)
}

func (a advert) head() []byte {
	return []byte{byte(a.version)<<4 | advertisement, a.id, a.priority, byte(len(a.addresses)), 0, 0, 0, 0}
}

func appendAddresses(b []byte, addresses []netip.Addr) []byte {
	for _, address := range addresses {
		b = append(b, address.AsSlice()...)
	}
	return b
}
