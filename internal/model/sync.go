// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"time"
)

// Sync says which other directors are told of connections, and tell of theirs, so that these outlive a takeover. The
// zero value is nobody.
type Sync struct {
	Interface string // by which the peers are reached
	Peers     []Addr // of one family; empty: there are none
	Source    Addr   // that they know this one by; zero: the address that the way to each of them says
	Port      uint16 // of UDP, here and there
	KeyFile   string // path of the file with the keys that all of them have
	IPVS      IPVSSync
}

// IPVSSync is how directors of LVS are told, and heard, as their kernels do it: what `ipvsadm --start-daemon` takes.
type IPVSSync struct {
	Interface string         // "": nobody is
	ID        uint8          // of those that belong together (syncid); 0: all are heard
	Send      bool           // what is served here is told
	Receive   bool           // what others serve is heard
	Group     netip.AddrPort // multicast, and the port of UDP
	TTL       uint8          // of IPv6 the hop limit
	Size      int            // bytes of a message at most; 0: what goes through the interface
	From      []Addr         // who is heard; empty: whoever is on the link
}

// What is no matter for a moment is one after so long.
const (
	SyncSilence = 10 * time.Second // of a peer
	SyncJoin    = time.Minute      // that both need to tell all
)

// SyncWant is connection sync as it shall run.
type SyncWant struct {
	Sync
	Revision  uint64 // of the configuration: with another one the keys are read again
	Link      int    // index of Interface; 0: there is none
	Fault     string // why no peer can be spoken with; "": they can, or there are none
	IPVSLink  int    // the same of IPVS.Interface
	IPVSFault string
}

// SyncState is how a peer stands.
type SyncState uint8

const (
	SyncSilent  SyncState = iota // nothing of it was heard for long, or ever
	SyncJoining                  // it is heard, and one of the two has not got all that the other serves yet
	SyncReady                    // each of the two has all that the other serves
)

var syncStates = map[SyncState]string{SyncSilent: "silent", SyncJoining: "joining", SyncReady: "in sync"}

func (s SyncState) String() string { return syncStates[s] }

// SyncSeen is how connection sync stands.
type SyncSeen struct {
	Fault     string // why no peer is spoken with, although the plan knows of no reason: its socket, or its keys
	IPVSFault string // the same of directors of LVS
	Peers     map[Addr]SyncPeerSeen
}

// SyncPeerSeen is how a peer stands.
type SyncPeerSeen struct {
	State     SyncState
	Since     time.Time
	Why       string    // it is in this state: "12 of 256 slices are not here yet"; "": it is plain
	Role      string    // what it serves, by its own word: "master", "backup", "mixed"; "": it has not said so
	RoleSince time.Time // when it first said that
	Other     bool      // it has other services or servers: some connections have no place here, or there
	// Foreign is the newest version of the protocol that it speaks, where none of its versions is spoken here.
	Foreign uint8
}

// Peer is how a peer stands that is one since then. Of one that was never heard it is known only that it is silent.
func (s Seen) Peer(peer Addr, since time.Time) SyncPeerSeen {
	out := s.Sync.Peers[peer]
	if out.Since.Before(since) {
		out.Since = since
	}
	return out
}

// TroubledAt is when a peer that stays as it is becomes a trouble that people are told of; zero: never.
func (p SyncPeerSeen) TroubledAt() time.Time {
	switch p.State {
	case SyncSilent:
		return p.Since.Add(SyncSilence)
	case SyncJoining:
		return p.Since.Add(SyncJoin)
	}
	return time.Time{}
}

// IsTroubled says whether it is one.
func (p SyncPeerSeen) IsTroubled(now time.Time) bool {
	at := p.TroubledAt()
	return !at.IsZero() && !now.Before(at)
}
