// SPDX-License-Identifier: Apache-2.0

package vrrp

// Reason is why an advert that was heard does not count (RFC 9568 section 7.1, RFC 3768 section 7.1; of signatures
// guard.go).
type Reason uint8

const (
	Taken             Reason = iota // it counts
	ReasonTTL                       // it did not begin on this link: TTL or hop limit is not 255
	ReasonVersion                   // neither 2 nor 3, or not that of the virtual router
	ReasonType                      // it is something else than an advertisement
	ReasonLength                    // shorter or longer than its count of addresses says
	ReasonCount                     // it names no address
	ReasonChecksum                  // wrong by each reading
	ReasonOwn                       // from an address of this one's own: it came back, or somebody pretends
	ReasonDestination               // by multicast where peers are named, or the other way round
	ReasonPeer                      // from somebody who is not among the peers
	ReasonAuth                      // version 2 with authentication, of which this one has none
	ReasonInterval                  // version 2: not that of the virtual router; version 3: none
	ReasonAddresses                 // of other addresses than the virtual router's
	ReasonOwner                     // the addresses are this host's own: nobody else is master of them
	ReasonSigned                    // it is signed, and here there is no key
	ReasonUnsigned                  // it is not, and here there is one
	ReasonTrailer                   // what is behind it is no signature of a kind that is known
	ReasonKey                       // signed with a key that is not in the file
	ReasonHMAC                      // changed under way, or signed by somebody who has not the key
	ReasonStale                     // of an earlier time than its sender's is by now
	ReasonReplay                    // it was here already, or a later one was
	ReasonSource                    // from 0.0.0.0 or ::, which is nobody
	ReasonID                        // of no virtual router here: another pair's on the link, or the files differ
	reasons                         // their number
)

var reasonNames = [reasons]string{
	Taken: "taken", ReasonTTL: "ttl", ReasonVersion: "version", ReasonType: "type", ReasonLength: "length", ReasonCount: "count",
	ReasonChecksum: "checksum", ReasonOwn: "own", ReasonDestination: "destination", ReasonPeer: "peer", ReasonAuth: "auth",
	ReasonInterval: "interval", ReasonAddresses: "addresses", ReasonOwner: "owner", ReasonSigned: "signed", ReasonUnsigned: "unsigned",
	ReasonTrailer: "trailer", ReasonKey: "key", ReasonHMAC: "hmac", ReasonStale: "stale", ReasonReplay: "replay",
	ReasonSource: "source", ReasonID: "id",
}

func (r Reason) String() string { return reasonNames[r] }
