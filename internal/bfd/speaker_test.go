// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// TestWhosePacketItIs has a row for each way in which one finds its session, or none (RFC 5880 sections 6.3 and 6.8.6):
// what it names goes before where it comes from, and must agree with that.
func TestWhosePacketItIs(t *testing.T) {
	addr := netip.MustParseAddr
	watches := func(name, peer string, link int, discriminator uint32) *session {
		want := model.BFDWant{BFDSession: wanted(), Link: link}
		want.Name, want.Peer = name, addr(peer)
		s := newSession(dawn, want, discriminator, newNews())
		s.mouth = &mouth{fd: -1} // nobody hears it
		return s
	}
	const one, other, ended, nobodys = 0x11, 0x22, 0x33, 0x44
	for _, c := range []struct {
		name   string
		source string
		link   int
		ttl    int
		packet control
		whose  string // "": nobody's
		want   Reason
	}{
		{"it names the session of its sender", "192.0.2.1", 1, 255, control{yours: one}, "one", Taken},
		{"it names another one's session", "192.0.2.1", 1, 255, control{yours: other}, "other", ReasonPeer},
		{"it comes by another link", "192.0.2.1", 2, 255, control{yours: one}, "one", ReasonPeer},
		{"it names no session of this host, and its sender has one", "192.0.2.1", 1, 255, control{yours: nobodys}, "", ReasonSession},
		{"it names one that ends", "192.0.2.9", 1, 255, control{yours: ended}, "ended", ReasonOff},
		{"it names none, and its sender has one", "192.0.2.1", 1, 255, control{}, "one", Taken},
		{"it names none, and its sender has one on another link", "192.0.2.1", 2, 255, control{}, "", ReasonSession},
		{"it names none, and its sender has none", "192.0.2.7", 1, 255, control{}, "", ReasonSession},
		{"it names none, and that of its sender ends", "192.0.2.9", 1, 255, control{}, "", ReasonSession},
		{"a router passed it on", "192.0.2.1", 1, 254, control{yours: other}, "one", ReasonTTL},
		{"a router passed on what is nobody's", "192.0.2.7", 1, 254, control{yours: one}, "", ReasonTTL},
	} {
		s := &speaker{strangers: &tally{}, sessions: []*session{watches("one", "192.0.2.1", 1, one), watches("other", "192.0.2.2", 1, other)}}
		old := watches("ended", "192.0.2.9", 1, ended)
		old.hear(dawn, control{state: model.BFDDown, mine: peers, multiplier: 3})
		old.end(dawn, anyTime)
		s.parting = append(s.parting, old)
		c.packet.state, c.packet.mine, c.packet.multiplier = model.BFDDown, peers, 3
		got, why := s.hear(dawn, heard{c.packet.bytes(), addr(c.source), beside{c.link, c.ttl}})
		whose := ""
		for _, each := range append(s.sessions, s.parting...) {
			if each.tally == got {
				whose = each.want.Name
			}
		}
		if why != c.want || whose != c.whose {
			t.Errorf("%s: %s of %q, want %s of %q", c.name, why, whose, c.want, c.whose)
		}
	}
}

// TestStopWaitsForNobodyLong: not for a session either that was taken out before, whose peer is a patient one.
func TestStopWaitsForNobodyLong(t *testing.T) {
	s := &speaker{strangers: &tally{}}
	for i, patience := range []time.Duration{time.Hour, 100 * time.Millisecond} {
		each := newSession(dawn, model.BFDWant{BFDSession: wanted()}, uint32(ours+i), newNews())
		each.mouth = &mouth{fd: -1} // nobody hears it
		each.hear(dawn, peer(model.BFDDown, func(c *control) { c.minRx = patience }))
		s.sessions = append(s.sessions, each)
	}
	s.become(dawn, nil, anyTime)
	soon := s.parting[1].machine
	soon.ends = dawn.Add(300 * time.Millisecond)
	if got := s.parting[0].machine.ends.Sub(dawn); got != 3*time.Hour {
		t.Fatalf("it would hear of it within %s", got)
	}
	s.stop = true
	s.obey(dawn)
	if got := s.parting[0].machine.ends.Sub(dawn); got != partingWithin {
		t.Errorf("a stop waits for %s", got)
	}
	if got := soon.ends.Sub(dawn); got != 300*time.Millisecond {
		t.Errorf("what ends sooner ends after %s", got)
	}
}

// TestDiscriminatorsAreTheirOwn: none is 0, which means that none is known, and none is had twice.
func TestDiscriminatorsAreTheirOwn(t *testing.T) {
	s := &speaker{}
	seen := map[uint32]bool{}
	for range model.MaxBFDSessions {
		n := s.discriminator()
		if n == 0 || seen[n] {
			t.Fatalf("%d again", n)
		}
		seen[n] = true
		s.sessions = append(s.sessions, newSession(dawn, model.BFDWant{BFDSession: wanted()}, n, newNews()))
	}
}
