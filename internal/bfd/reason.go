// SPDX-License-Identifier: Apache-2.0

package bfd

// Reason is why a packet that came does not count (RFC 5880 section 6.8.6, RFC 5881 section 5).
type Reason uint8

const (
	Taken               Reason = iota // it counts
	ReasonTTL                         // it did not begin on this link: TTL or hop limit is not 255
	ReasonVersion                     // not version 1
	ReasonLength                      // shorter than a packet has to be, or than it says
	ReasonMultiplier                  // it has no detection time: Detect Mult is 0
	ReasonMultipoint                  // it is for many (M)
	ReasonDiscriminator               // its sender does not say which session it is: My Discriminator is 0
	ReasonState                       // it does not say which session it is for, although its sender must know by now
	ReasonAuth                        // it is authenticated (A), and here nobody knows how
	ReasonSession                     // it is for no session
	ReasonPeer                        // it is for a session, and not from its peer
	ReasonOff                         // the session is switched off: it ends, or something hinders it
	reasons                           // their number
)

var reasonNames = [reasons]string{
	Taken: "taken", ReasonTTL: "ttl", ReasonVersion: "version", ReasonLength: "length", ReasonMultiplier: "multiplier",
	ReasonMultipoint: "multipoint", ReasonDiscriminator: "discriminator", ReasonState: "state", ReasonAuth: "auth",
	ReasonSession: "session", ReasonPeer: "peer", ReasonOff: "off",
}

func (r Reason) String() string { return reasonNames[r] }
