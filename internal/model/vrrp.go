// SPDX-License-Identifier: Apache-2.0

package model

import (
	"maps"
	"net/netip"
	"time"
)

// VirtualRouter is an instance of VRRP (RFC 9568): of all directors with its id on a link one is the master,
// which alone holds the addresses and balances what is sent to them.
type VirtualRouter struct {
	Name         string
	Interface    string
	ID           uint8 // VRID, 1..255
	Version      VRRPVersion
	Priority     uint8          // 1..254, the highest is master; 255: the addresses are this host's own
	Advertise    time.Duration  // from advert to advert: 10ms..40.95s, in version 2 whole seconds up to 255
	Addresses    []netip.Prefix // of one family, in the order in which adverts name them
	Peers        []Addr         // adverts go to each of them; empty: to all by multicast
	Source       Addr           // of adverts; zero: the interface's own (IPv6: its link-local one)
	Preempt      bool           // a backup of a higher priority than the master takes over
	PreemptDelay time.Duration  // a backup of a higher priority waits so long before it takes over from a living master
	StartDelay   time.Duration  // nothing is begun, and no advert missed, for so long after the start
	Checksum     VRRPChecksum   // of adverts of version 3 over IPv4
	Group        string         // of virtual routers that are master together or not at all; "": it stands alone
	Track        []Track        // what else decides; its whole group has it
	VirtualMAC   bool           // the addresses are at a MAC of the virtual router's own, whoever is master
	Auth         VRRPAuth       // by which adverts of its directors are known
	Paths        []VRRPPath     // adverts go by these, too, and are heard by them
	Witness      []Addr         // neighbours on its interface, one of which must answer before it takes over from a silent master; empty: nobody is asked
	Fence        Fence          // what a silent master is made harmless by before; zero: nothing
	Closed       bool           // what is sent to its addresses and to no service is dropped: Accept_Mode of the RFC is false
	Routes       []VirtualRoute // what the master's host has among its routes besides
}

// VRRPAuth is how adverts are signed, and whose are believed (draft-cassen-vrrp-auth-hmac). The zero value is not at all.
type VRRPAuth struct {
	KeyFile string // path of the file with the keys that all directors have; "": there are none
	Mode    VRRPAuthMode
}

// VRRPAuthMode is how far signing has got. On all directors one step after the other is taken.
type VRRPAuthMode uint8

const (
	AuthEnforce    VRRPAuthMode = iota // signed, and what is not is not believed
	AuthPermissive                     // signed; what is not is believed, too
	AuthReceive                        // not signed; what others sign must be right
)

var vrrpAuthModes = map[VRRPAuthMode]string{AuthEnforce: "enforce", AuthPermissive: "permissive", AuthReceive: "receive-only"}

func (m VRRPAuthMode) String() string { return vrrpAuthModes[m] }

// ParseVRRPAuthMode is the inverse of VRRPAuthMode.String.
func ParseVRRPAuthMode(s string) (VRRPAuthMode, bool) {
	for m, name := range vrrpAuthModes {
		if name == s {
			return m, true
		}
	}
	return 0, false
}

// VRRPPath is another way to one other director, such as a cable between the two: who is silent on all of them is dead.
type VRRPPath struct {
	Interface string
	Peer      Addr // where the other director is there
	Director  Addr // the same one on the virtual router's own interface, by which it is known
	Source    Addr // of adverts; zero: the interface's address in the network of the peer
}

// Fence is a program that makes a silent master harmless, as STONITH does.
type Fence struct {
	Path    string // "": there is none
	Args    string // joined: JoinArguments
	User    string // who it runs as; "": as weir does
	Timeout time.Duration
	Failed  FenceFailed
}

// FenceFailed is what a backup does when its fence has failed.
type FenceFailed uint8

const (
	FenceStay     FenceFailed = iota // it stays backup until somebody is heard again
	FenceTakeover                    // it takes over all the same
)

var fenceFailed = map[FenceFailed]string{FenceStay: "stay", FenceTakeover: "takeover"}

func (f FenceFailed) String() string { return fenceFailed[f] }

// DefaultFenceTimeout is what a fence has that says nothing of it: the power of a machine is off in less.
const DefaultFenceTimeout = 30 * time.Second

// Doubtful is the priority in the adverts of a master whose witness has fallen silent: whoever has one that answers is
// the better master. It is nobody's who has a witness.
const Doubtful = 1

// OwnerPriority is that of the host whose own the addresses are (RFC 9568 section 5.2.4).
const OwnerPriority = 255

// IsOwner tells whether the addresses are this host's own.
func (r VirtualRouter) IsOwner() bool { return r.Priority == OwnerPriority }

// MAC is where the addresses are (RFC 9568 section 7.3); zero: at that of the master's interface.
func (r VirtualRouter) MAC() MAC {
	if !r.VirtualMAC {
		return MAC{}
	}
	const ipv4, ipv6 = 1, 2
	family := byte(ipv4)
	if r.Addresses[0].Addr().Is6() {
		family = ipv6
	}
	return MAC{0x00, 0x00, 0x5e, 0x00, family, r.ID}
}

// MaxVirtualRouters is the largest number of virtual routers.
const MaxVirtualRouters = 1023

// MaxVirtualAddresses is the largest number of addresses of all virtual routers together.
const MaxVirtualAddresses = 16384

// Leased are the addresses of virtual routers that have a lease, and whose it is: nobody is told here where they are
// unless that is master. A lease is found by the address alone; so one has none that two virtual routers have, as a
// link-local one on two links may be: this director may be master of one and not of the other.
func (s Spec) Leased() map[Addr]string {
	out, shared := map[Addr]string{}, map[Addr]bool{}
	for _, r := range s.VirtualRouters {
		for _, p := range r.Addresses {
			_, twice := out[p.Addr()]
			shared[p.Addr()] = shared[p.Addr()] || twice
			out[p.Addr()] = r.Name
		}
	}
	maps.DeleteFunc(out, func(a Addr, _ string) bool { return shared[a] })
	return out
}

// TrackedRoutes are those of all virtual routers, each once.
func (s Spec) TrackedRoutes() []TrackRoute { return tracked[TrackRoute](s) }

// TrackedProcesses are those of all virtual routers, each once.
func (s Spec) TrackedProcesses() []TrackProcess { return tracked[TrackProcess](s) }

func tracked[T interface {
	Tracked
	comparable
}](s Spec) (out []T) {
	known := map[T]bool{}
	for _, r := range s.VirtualRouters {
		for _, t := range r.Track {
			if of, ok := t.Of.(T); ok && !known[of] {
				known[of], out = true, append(out, of)
			}
		}
	}
	return out
}

// VRRPVersion is one of the protocol.
type VRRPVersion uint8

const (
	VRRP2 VRRPVersion = 2 // RFC 3768: IPv4 only, whole seconds
	VRRP3 VRRPVersion = 3 // RFC 9568
)

// VRRPChecksum is what the checksum of an advert of version 3 over IPv4 covers. RFC 9568 says the message alone;
// RFC 5798 was read by keepalived and FRR as the message and a pseudo header. Both are taken from others.
type VRRPChecksum uint8

const (
	ChecksumPeer    VRRPChecksum = iota // as the last advert of somebody else had it, RFC 5798's before there was one
	ChecksumMessage                     // RFC 9568
	ChecksumPseudo                      // RFC 5798, as keepalived and FRR have it
)

var vrrpChecksums = map[VRRPChecksum]string{ChecksumPeer: "peer", ChecksumMessage: "rfc9568", ChecksumPseudo: "rfc5798"}

func (c VRRPChecksum) String() string { return vrrpChecksums[c] }

// ParseVRRPChecksum is the inverse of VRRPChecksum.String.
func ParseVRRPChecksum(s string) (VRRPChecksum, bool) {
	for c, name := range vrrpChecksums {
		if name == s {
			return c, true
		}
	}
	return 0, false
}

// VRRPState is one of the RFC's states, or keepalived's FAULT.
type VRRPState uint8

const (
	VRRPInit   VRRPState = iota // it has not begun
	VRRPBackup                  // another one has the addresses
	VRRPMaster                  // this one has them
	VRRPFault                   // it cannot take part, for a reason
)

var vrrpStates = map[VRRPState]string{VRRPInit: "init", VRRPBackup: "backup", VRRPMaster: "master", VRRPFault: "fault"}

func (s VRRPState) String() string { return vrrpStates[s] }

// VRRPSeen is how a virtual router stands.
type VRRPSeen struct {
	State    VRRPState
	Since    time.Time
	Why      string // it is in this state: "no advert of 192.0.2.2 for 3.609s"
	Master   Addr   // who advertises, as a backup hears it; zero: nobody is known, or it is this one
	Priority uint8  // of that master's adverts
	Unsaid   string // why no advert gets away of one that is or would be master; "": they do
	Silent   string // what of its paths and witnesses says nothing that should: "eth1 brings no advert of 192.0.2.2"; "": all is well
	Outranks bool   // it became master although another one lives, of a lower priority
	Held     string // why it does not take over from a master who is silent: "no witness answers (192.0.2.1): …"; "": nothing keeps it from that
	Conflict string // somebody else's adverts that cannot be right: "192.0.2.9 advertises id 51 with other addresses (…)"; "": none of late

	ConflictFix string // the way out of it; "": another id, or the same on all directors
}

// VRRPTurn is what a virtual router became, however shortly it was that.
type VRRPTurn struct {
	Name     string
	Priority uint8 // of this director in it, then
	Seen     VRRPSeen
	Over     bool // it has ended: weir stops, or it is not configured any more, or as another one
}

// VRRPWant is a virtual router as it shall run. Its Source is chosen, unless there is a fault, and its Priority is what
// is left of the one that is written.
type VRRPWant struct {
	VirtualRouter
	Link    int       // index of its interface; 0: there is none
	Fault   string    // why it can take no part; "": it can
	Written uint8     // the priority that the config has
	Tracked string    // what is wrong with what it tracks, and what that does to the priority; "": nothing is
	Unknown string    // why it is not known how something stands that it tracks, which stays as it was; "": it is
	Ways    []VRRPWay // its Paths
	Waits   string    // when it takes over from a master who lives, which the Spec lets it: "when bfd uplink has come up"; "": nothing keeps it from that
	// Revision is that of the configuration where there are keys: with another one they are read again.
	Revision uint64
}

// VRRPWay is a path as it shall be used. Its Source is chosen, unless there is a fault.
type VRRPWay struct {
	VRRPPath
	Link  int    // index of its interface; 0: there is none
	Fault string // why it cannot be used; "": it can
}
