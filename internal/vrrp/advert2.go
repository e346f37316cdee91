// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"time"

	"github.com/weir-lb/weir/internal/packet"
)

// auth is the authentication of an advert of version 2. RFC 3768 has none any more, but a place for it; keepalived
// still fills it with a password.
type auth struct {
	kind uint8
	data [authLength]byte
}

const (
	authNone     = 0
	authPassword = 1 // RFC 2338 section 5.3.6: readable by everybody on the link
	authLength   = 8
)

// parse2 reads an advert of version 2 (RFC 3768 section 5.3). An authentication header of IPsec is a protocol of
// its own around it, and never comes here.
func (a advert) parse2(b []byte) (advert, Reason) {
	const size = 4
	end := headLength + int(b[3])*size
	switch {
	case !isWhole(b, end+authLength):
		return advert{}, ReasonLength
	case packet.Checksum(b[:end+authLength]) != 0:
		return advert{}, ReasonChecksum
	}
	a.auth = auth{b[4], [authLength]byte(b[end:])}
	a.interval = time.Duration(b[5]) * time.Second
	a.addresses = parseAddresses(b[headLength:end], size)
	return a.sound(b[end+authLength:])
}

func (a advert) message2() []byte {
	b := a.head()
	b[4], b[5] = a.auth.kind, byte(a.interval/time.Second)
	return append(appendAddresses(b, a.addresses), a.auth.data[:]...)
}
