// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"encoding/binary"
)

// A datagram is a header in the clear and a sealed body (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha; the header is
// authenticated with it). All numbers are big-endian.
//
//	 0   magic     2  "ws"
//	 2   version   1
//	 3   kind      1
//	 4   key       4  id of the key that it is sealed with
//	 8   epoch    16  random, of one start of one director towards one peer
//	24   sequence  8  of the epoch, from 1
//	32   body         sealed: 16 bytes longer than what it says
//
// Epoch and sequence are the nonce. No two epochs are the same, of whatever director with the same key, so no nonce
// is used twice, and none need be remembered over a restart.
type header struct {
	version  uint8
	kind     kind
	key      keyID
	epoch    epoch
	sequence uint64
}

type epoch [16]byte

const (
	magic      = "ws"
	headerSize = 32
	sealSize   = 16
	// mostDatagram passes through a tunnel or two on links of 1,500 bytes.
	mostDatagram = 1400
	mostBody     = mostDatagram - headerSize - sealSize

	// greetingVersion is that of greetings, for ever: version.go.
	greetingVersion = 1
)

// kind is what a datagram is.
type kind uint8

const (
	kindHello   kind = iota + 1 // who is there, and how far it is: five times a second
	kindAck                     // how far it is, at once
	kindChanges                 // records, and identities of what has ended; of the stream
	kindMark                    // slices begin, or end; of the stream
	kindDigests                 // half of the digests
	kindAsk                     // what is missing, which slices are wanted, or digests
	kinds                       // one more than there are
)

// leastOf and mostOf are the bytes of a body.
func (k kind) leastOf() int {
	return [kinds]int{kindHello: helloSize, kindAck: ackSize, kindChanges: changesSize + leastItem, kindMark: markSize, kindDigests: digestsSize, kindAsk: askSize}[k]
}

func (k kind) mostOf() int {
	return [kinds]int{kindHello: helloSize, kindAck: ackSize, kindChanges: mostBody, kindMark: markSize, kindDigests: digestsSize, kindAsk: askSize + mostHoles*holeSize}[k]
}

// parseHeader reads what is in the clear, and judges all that needs no key.
func parseHeader(datagram []byte) (h header, why Reason) {
	if len(datagram) < headerSize+sealSize || len(datagram) > mostDatagram {
		return h, ReasonLength
	}
	if string(datagram[:2]) != magic {
		return h, ReasonMagic
	}
	h = header{version: datagram[2], kind: kind(datagram[3]), key: keyID(datagram[4:8]), epoch: epoch(datagram[8:24]),
		sequence: binary.BigEndian.Uint64(datagram[24:32])}
	switch body := len(datagram) - headerSize - sealSize; {
	case !h.isSpoken():
		return h, ReasonVersion
	case h.kind == 0 || h.kind >= kinds:
		return h, ReasonKind
	case body < h.kind.leastOf() || body > h.kind.mostOf():
		return h, ReasonLength
	}
	return h, Taken
}

// isSpoken says whether its version is one that is spoken here. A greeting's is, though nothing else may be said in it
// any more.
func (h header) isSpoken() bool {
	if h.kind == kindHello {
		return h.version == greetingVersion
	}
	return h.version >= oldestVersion && h.version <= newestVersion
}

func (h header) append(to []byte) []byte {
	to = append(to, magic...)
	to = append(to, h.version, byte(h.kind))
	to = append(to, h.key[:]...)
	to = append(to, h.epoch[:]...)
	return binary.BigEndian.AppendUint64(to, h.sequence)
}

// nonce is the header's end.
func nonce(datagram []byte) []byte { return datagram[8:headerSize] }

// seal makes a datagram, with the first of the keys.
func (k Keys) seal(h header, body []byte) []byte {
	with := k[0].secret
	h.key = with.id
	out := h.append(make([]byte, 0, headerSize+len(body)+sealSize))
	return with.aead.Seal(out, nonce(out), body, out)
}

// open is the body of a datagram whose header was read; false: it is not what somebody with the key has sealed.
func (s *secret) open(datagram []byte) ([]byte, bool) {
	body, err := s.aead.Open(nil, nonce(datagram), datagram[headerSize:], datagram[:headerSize])
	return body, err == nil
}
