// SPDX-License-Identifier: Apache-2.0

package ipvs

// Reason is why a message that was heard, or one entry of it, does not count.
type Reason uint8

const (
	Taken Reason = iota // it counts

	// Of a message. Nothing of it is taken.
	ReasonSource  // from somebody who may not tell
	ReasonLength  // shorter than a header, or not as long as it says
	ReasonVersion // of a version that nobody knows, or an entry of it is
	ReasonSyncID  // of other directors
	ReasonCount   // it has more entries than it says, or less
	ReasonEntry   // an entry is shorter than its addresses, or longer than the message
	ReasonType    // an entry is of neither IPv4 nor IPv6
	ReasonPadding // there is something between entries
	ReasonOption  // an option is empty, ends behind its entry, is there twice, or has a length that its kind has not

	// Of an entry. Others of its message are taken.
	ReasonMandatory  // it cannot be understood without an option that nobody here knows
	ReasonFlags      // one-packet, or flags that mean nothing
	ReasonForwarding // to the director itself, past all servers, or by a method that there is not
	ReasonSequence   // the kernel shifts its sequence numbers (ip_vs_ftp), which weir cannot
	ReasonEngine     // a template by something else than the client's address (a persistence engine)
	ReasonProtocol   // neither TCP, UDP nor SCTP
	ReasonState      // a connection of its protocol, or a template, has no such state
	ReasonMark       // a template of a firewall mark that stands for no service
	ReasonAddress    // nobody can have one of its addresses
	ReasonPort       // a connection without one of its ports, or a template with its client's
	ReasonTimeout    // longer than anything may be remembered
	reasons          // their number
)

var reasonNames = [reasons]string{
	Taken: "taken", ReasonSource: "source", ReasonLength: "length", ReasonVersion: "version", ReasonSyncID: "syncid",
	ReasonCount: "count", ReasonEntry: "entry", ReasonType: "type", ReasonPadding: "padding", ReasonOption: "option",
	ReasonMandatory: "mandatory", ReasonFlags: "flags", ReasonForwarding: "forwarding", ReasonSequence: "sequence",
	ReasonEngine: "engine", ReasonProtocol: "protocol", ReasonState: "state", ReasonMark: "mark", ReasonAddress: "address",
	ReasonPort: "port", ReasonTimeout: "timeout",
}

func (r Reason) String() string { return reasonNames[r] }
