// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"net/netip"
	"sync"
	"time"
)

// State is how it stands with a peer.
type State struct {
	Peer    netip.AddrPort
	Problem string // why there is no socket; "": there is one
	Heard   bool   // it lives, has the key, and speaks a version that is spoken here
	Newest  uint8  // version of the protocol that it speaks; 0: it was never heard, or is silent
	Version uint8  // that is spoken with it; 0: there is none, or it was never heard
	Role    Role   // of the peer; 0: it was never heard
	InSync  bool   // this director has all that the peer serves
	Has     bool   // the peer has all that this director serves, as it says
	// Servers says that the peer has other services or servers: their connections cannot come over.
	Servers bool

	Queue  int           // changes that wait to be sent
	Lag    time.Duration // since when the oldest of them, or of those that the peer has not got, has waited
	Counts Counts
}

// turned says whether people want to know that it is so now.
func (s State) turned(was State) bool {
	return s.Problem != was.Problem || s.Heard != was.Heard || s.Newest != was.Newest || s.Version != was.Version || s.Role != was.Role || s.InSync != was.InSync ||
		s.Has != was.Has || s.Servers != was.Servers
}

// state is what the link knows.
func (l *link) state(now time.Time) State {
	s := State{Heard: l.isHeard(now), Version: l.version(), Role: l.greeting.role, InSync: l.inSync(now),
		Queue: l.sender.queue.len(), Lag: l.sender.lag(now), Counts: l.tally.read()}
	if !l.silent {
		s.Newest = l.greeting.newest
	}
	s.Has = s.Heard && l.sender.open && l.greeting.inSync
	s.Servers = s.Heard && l.greeting.services != l.with.services
	return s
}

// news waits for whoever tells it, so that no peer waits for him. Of one peer only the newest is of interest.
type news struct {
	come chan struct{}

	mu      sync.Mutex
	waiting []State
}

func newNews() *news { return &news{come: make(chan struct{}, 1)} }

func (n *news) add(s State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := false
	for i := range n.waiting {
		if n.waiting[i].Peer == s.Peer {
			n.waiting[i], known = s, true
		}
	}
	if !known {
		n.waiting = append(n.waiting, s)
	}
	select {
	case n.come <- struct{}{}:
	default: // it is known already
	}
}

func (n *news) take() []State {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.waiting
	n.waiting = nil
	return out
}
