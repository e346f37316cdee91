// SPDX-License-Identifier: Apache-2.0

package connsync

// Reason is why a datagram changes nothing. The first ones are found before anything is deciphered.
type Reason uint8

const (
	Taken         Reason = iota // it counts
	ReasonLength                // shorter or longer than its kind is
	ReasonMagic                 // it is none of weir's
	ReasonVersion               // of the protocol, and not spoken here
	ReasonKind                  // there is no such one
	ReasonKey                   // sealed with a key that is not in the file
	ReasonOwn                   // it is this director's own: it came back, or somebody sends it back
	ReasonEpoch                 // of a start of the peer that is over, or has not proved yet that it is now
	ReasonReplay                // it was here already, or is older than can be told

	ReasonSeal       // changed under way, or made by somebody who has not the key
	ReasonUnproved   // a greeting of a new start, which has not answered this one's question yet: it is asked
	ReasonRole       // of a director whose role is none
	ReasonCount      // it holds nothing, or not as much as it says
	ReasonFlags      // those of a record that have no meaning, or not together
	ReasonProtocol   // neither TCP nor UDP nor SCTP
	ReasonForwarding // there is no such method
	ReasonState      // there is no such state, or the protocol has it not
	ReasonLeft       // no time is left, or more than there may be
	ReasonAddress    // 0, or IPv4 written as IPv6
	ReasonFamily     // the way from client to server is through families that the method cannot join
	ReasonPort       // 0, or a template's client has one
	ReasonEdge       // neither begin nor end of slices
	ReasonSlices     // it names none, or digests of others than there are
	ReasonPosition   // it stands at no place of the stream
	ReasonAhead      // it is so far ahead in the stream that what is missing cannot be waited for
	reasons          // their number
)

var reasonNames = [reasons]string{
	Taken: "taken", ReasonLength: "length", ReasonMagic: "magic", ReasonVersion: "version", ReasonKind: "kind", ReasonKey: "key",
	ReasonOwn: "own", ReasonEpoch: "epoch", ReasonReplay: "replay", ReasonSeal: "seal", ReasonUnproved: "unproved",
	ReasonRole: "role", ReasonCount: "count", ReasonFlags: "flags", ReasonProtocol: "protocol",
	ReasonForwarding: "forwarding", ReasonState: "state", ReasonLeft: "left", ReasonAddress: "address", ReasonFamily: "family",
	ReasonPort: "port", ReasonEdge: "edge", ReasonSlices: "slices", ReasonPosition: "position", ReasonAhead: "ahead",
}

func (r Reason) String() string { return reasonNames[r] }
