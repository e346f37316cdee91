// SPDX-License-Identifier: Apache-2.0

package health

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/weir-lb/weir/internal/model"
)

// radiusCheck asks Status-Server (RFC 5997), or Access-Request for a user (RFC 2865).
type radiusCheck struct{ ask model.AskRADIUS }

// radiusCode is the first byte of a packet (RFC 2865 section 3).
type radiusCode byte

const (
	accessRequest      radiusCode = 1
	accessAccept       radiusCode = 2
	accessReject       radiusCode = 3
	accountingResponse radiusCode = 5 // to Status-Server at the port of accounting (RFC 5997 section 4.3)
	accessChallenge    radiusCode = 11
	statusServer       radiusCode = 12
)

var radiusCodes = map[radiusCode]string{
	accessAccept: "Access-Accept", accessReject: "Access-Reject", accountingResponse: "Accounting-Response",
	accessChallenge: "Access-Challenge",
}

func (c radiusCode) String() string {
	if name := radiusCodes[c]; name != "" {
		return name
	}
	return fmt.Sprintf("code %d", byte(c))
}

// Attributes (RFC 2865 section 5, RFC 3579 section 3.2).
const (
	radiusUserName      = 1
	radiusUserPassword  = 2
	radiusReplyMessage  = 18
	radiusNASIdentifier = 32
	radiusSignature     = 80 // Message-Authenticator
)

const (
	radiusHeader    = 20   // code, identifier, length, authenticator
	maxRADIUS       = 4096 // a packet (RFC 2865 section 3)
	maxRADIUSSecret = 128  // a password (RFC 2865 section 5.2)
)

func probeRADIUS(ask model.AskRADIUS) probe {
	r := radiusCheck{ask}
	return func(ctx context.Context, to netip.AddrPort) error { return tame(r.probe(ctx, to)) }
}

func (r radiusCheck) probe(ctx context.Context, to netip.AddrPort) error {
	secret, err := secretIn(r.ask.SecretFile)
	if err != nil {
		return err
	}
	password, err := secretIn(r.ask.PasswordFile)
	if err != nil {
		return err
	}
	if len(password) > maxRADIUSSecret {
		return ownFault{fmt.Errorf("radius: the password is longer than %d bytes", maxRADIUSSecret)}
	}
	var random [17]byte
	_, _ = rand.Read(random[:]) // it never fails
	request := r.request(random[0], [16]byte(random[1:]), secret, password)
	c, err := dialUDP(ctx, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer obey(ctx, c)()
	if _, err := c.Write(request); err != nil {
		return plainly(err)
	}
	space := make([]byte, maxRADIUS)
	for strange := range maxStrange {
		n, err := c.Read(space)
		if err != nil {
			return unsigned(err, strange)
		}
		if answer, ok := signedAnswer(space[:n], request, secret); ok {
			return r.judge(answer)
		}
	}
	return unsigned(nil, maxStrange)
}

// unsigned says what came instead of an answer that is signed with our secret. Servers drop in silence what is not,
// and so do we (RFC 2865 section 3), until the time is over.
func unsigned(err error, strange int) error {
	err = plainly(err)
	_, much := errors.AsType[tooMuch](err)
	if strange > 0 && (err == nil || much || errors.Is(err, errSilent)) {
		return fmt.Errorf("radius: %d answers, none signed with our secret", strange)
	}
	return err
}

// request is signed, which RFC 5997 section 3 demands, and servers do since CVE-2024-3596.
func (r radiusCheck) request(id byte, authenticator [16]byte, secret, password string) []byte {
	code := statusServer
	if r.ask.User != "" {
		code = accessRequest
	}
	out := append([]byte{byte(code), id, 0, 0}, authenticator[:]...)
	signature := len(out) + 2
	out = attribute(out, radiusSignature, make([]byte, md5.Size))
	out = attribute(out, radiusNASIdentifier, []byte(cmp.Or(r.ask.NAS, model.DefaultNAS)))
	if r.ask.User != "" {
		out = attribute(out, radiusUserName, []byte(r.ask.User))
		out = attribute(out, radiusUserPassword, hidden(password, secret, authenticator))
	}
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	copy(out[signature:], radiusMAC(out, secret))
	return out
}

func attribute(packet []byte, kind byte, value []byte) []byte {
	return append(append(packet, kind, byte(2+len(value))), value...)
}

// radiusMAC is over a packet with zeros where it will stand (RFC 3579 section 3.2).
func radiusMAC(packet []byte, secret string) []byte {
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write(packet)
	return mac.Sum(nil)
}

// hidden is a password as RFC 2865 section 5.2 has it.
func hidden(password, secret string, authenticator [16]byte) []byte {
	out := make([]byte, max(md5.Size, (len(password)+md5.Size-1)/md5.Size*md5.Size))
	copy(out, password)
	before := authenticator[:]
	for at := 0; at < len(out); at += md5.Size {
		pad := md5.Sum(append([]byte(secret), before...))
		block := out[at : at+md5.Size]
		subtle.XORBytes(block, block, pad[:])
		before = block
	}
	return out
}

// radiusAnswer is one that was made by somebody who knows the secret, for our question.
type radiusAnswer struct {
	code radiusCode
	text string // Reply-Message
}

// signedAnswer is false for all others (RFC 2865 section 3, Response Authenticator).
func signedAnswer(packet, request []byte, secret string) (out radiusAnswer, ok bool) {
	if len(packet) < radiusHeader || packet[1] != request[1] {
		return out, false
	}
	length := int(binary.BigEndian.Uint16(packet[2:]))
	if length < radiusHeader || length > len(packet) {
		return out, false
	}
	packet = packet[:length] // what is behind it is padding
	asked := bytes.Clone(packet)
	copy(asked[4:radiusHeader], request[4:radiusHeader])
	sum := md5.Sum(append(bytes.Clone(asked), secret...))
	if !hmac.Equal(sum[:], packet[4:radiusHeader]) {
		return out, false
	}
	out.code = radiusCode(packet[0])
	for at := radiusHeader; at < length; {
		size := 0
		if at+1 < length {
			size = int(asked[at+1])
		}
		if size < 2 || at+size > length {
			return out, false
		}
		kind, value := asked[at], asked[at+2:at+size]
		if kind == radiusSignature && !isSigned(asked, value, secret) {
			return out, false
		}
		if kind == radiusReplyMessage && out.text == "" {
			out.text = string(value)
		}
		at += size
	}
	return out, true
}

// isSigned looks at the signature that is a part of a packet.
func isSigned(packet, signature []byte, secret string) bool {
	is := bytes.Clone(signature)
	if len(is) != md5.Size {
		return false
	}
	clear(signature)
	good := hmac.Equal(is, radiusMAC(packet, secret))
	copy(signature, is)
	return good
}

// judge knows what is good: to Status-Server each of its answers, to a login that it is let in.
func (r radiusCheck) judge(answer radiusAnswer) error {
	switch {
	case answer.code == accessAccept:
		return nil
	case r.ask.User == "" && answer.code == accountingResponse:
		return nil
	case r.ask.Reject && (answer.code == accessReject || answer.code == accessChallenge):
		return nil
	case answer.text != "":
		return fmt.Errorf("radius: %s, expected %s: %s", answer.code, accessAccept, shown(answer.text))
	}
	return fmt.Errorf("radius: %s, expected %s", answer.code, accessAccept)
}
