// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/urgent"
)

// speaker has all sessions. It has a thread for itself, since nobody else's work shall delay a packet.
type speaker struct {
	bell  *urgent.Bell
	news  *news
	done  chan struct{} // closed when it has ended
	slack chan error    // why it has no priority, if it has none

	mu        sync.Mutex
	want      *[]model.BFDWant // the newest list; nil: it was taken
	stop      bool
	tallies   map[string]*tally // by name
	strangers *tally            // of what is for no session

	// Of its own goroutine.
	wants    []model.BFDWant
	sessions []*session // of each of them
	parting  []*session // that end
	ears     []*ear
	retry    time.Time // when what could not be opened is tried again; zero: nothing is
	stopping bool
}

const (
	// retryEvery is how often a socket is tried to open.
	retryEvery = 200 * time.Millisecond
	// partingWithin is how long a session that is switched off is kept at most, when weir stops; where only the session is
	// not wanted any more, it is as long as its peer may wait.
	partingWithin = time.Second
	anyTime       = time.Duration(1<<63 - 1)
)

func newSpeaker(n *news) (*speaker, error) {
	bell, err := urgent.NewBell()
	if err != nil {
		return nil, err
	}
	return &speaker{bell: bell, news: n, done: make(chan struct{}), slack: make(chan error, 1), tallies: map[string]*tally{}, strangers: &tally{}}, nil
}

// follow says which sessions shall run.
func (s *speaker) follow(wants []model.BFDWant) {
	s.mu.Lock()
	s.want = &wants
	s.mu.Unlock()
	s.bell.Ring()
}

// end ends all of them.
func (s *speaker) end() {
	s.mu.Lock()
	s.stop = true
	s.mu.Unlock()
	s.bell.Ring()
}

func (s *speaker) run() {
	defer close(s.done)
	defer s.bell.Close()
	runtime.LockOSThread() // and it stays: the thread ends with it
	if err := urgent.Hurry(); err != nil {
		s.slack <- err
	}
	for !s.stopping || len(s.parting) > 0 {
		s.bell.Wait(s.deadline(), s.sockets()...)
		s.turn(time.Now())
	}
	for _, e := range s.ears {
		e.close()
	}
}

// turn takes in first what has come already: who was held up must not miss packets that wait for him.
func (s *speaker) turn(now time.Time) {
	s.listen(now)
	s.obey(now)
	if isDue(s.retry, now) {
		s.settle(now)
	}
	for _, each := range slices.Concat(s.sessions, s.parting) {
		each.tick(now)
	}
	s.bury()
}

// bury closes what has ended.
func (s *speaker) bury() {
	before := len(s.parting)
	s.parting = slices.DeleteFunc(s.parting, func(each *session) bool {
		if each.machine.over {
			each.hangUp()
		}
		return each.machine.over
	})
	if len(s.parting) < before {
		s.attend()
	}
}

func (s *speaker) deadline() time.Time {
	first := s.retry
	for _, each := range slices.Concat(s.sessions, s.parting) {
		if at := each.machine.deadline(); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

func (s *speaker) sockets() (out []int) {
	for _, e := range s.ears {
		out = append(out, e.fd)
	}
	return out
}

func (s *speaker) obey(now time.Time) {
	s.mu.Lock()
	want, stop := s.want, s.stop
	s.want = nil
	s.mu.Unlock()
	switch {
	case s.stopping:
	case stop:
		s.stopping = true
		s.become(now, nil, partingWithin)
		for _, each := range s.parting { // those too that were not wanted any more before
			each.machine.hasten(now.Add(partingWithin))
		}
	case want != nil:
		s.become(now, *want, anyTime)
	}
}

// become begins and ends sessions until exactly those run that are wanted.
func (s *speaker) become(now time.Time, wants []model.BFDWant, most time.Duration) {
	before, sessions := s.sessions, []*session(nil)
	for _, want := range wants {
		i := slices.IndexFunc(before, func(each *session) bool { return each.is(want) })
		if i < 0 {
			sessions = append(sessions, newSession(now, want, s.discriminator(), s.news))
			continue
		}
		sessions = append(sessions, before[i])
		before = slices.Delete(before, i, i+1)
	}
	for _, each := range before {
		each.end(now, most)
		s.parting = append(s.parting, each)
	}
	s.sessions, s.wants = sessions, wants
	s.publish()
	s.settle(now)
}

// discriminator is a number that no session has: by it packets find theirs. Nobody who does not see them shall guess it.
func (s *speaker) discriminator() uint32 {
	for {
		if n := rand.Uint32(); n != 0 && s.of(n) == nil {
			return n
		}
	}
}

// publish lets others read the counts of those that run.
func (s *speaker) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tallies = map[string]*tally{}
	for _, each := range s.sessions {
		s.tallies[each.want.Name] = each.tally
	}
}

// settle opens what is closed and wanted, closes what is not, and lets the sessions know what is wanted and what
// hinders them.
func (s *speaker) settle(now time.Time) {
	s.retry = time.Time{}
	deaf := s.attend()
	for i, each := range s.sessions {
		each.settle(now, s.wants[i], deaf[familyOf(s.wants[i].Peer)])
		if each.isStuck() {
			s.retry = now.Add(retryEvery)
		}
	}
}

// attend has an ear for each family that a session is of, and says why there is none.
func (s *speaker) attend() (deaf map[*family]string) {
	deaf = map[*family]string{}
	for _, f := range []*family{&family4, &family6} {
		wanted := slices.ContainsFunc(slices.Concat(s.sessions, s.parting), func(each *session) bool { return familyOf(each.want.Peer) == f })
		at := slices.IndexFunc(s.ears, func(e *ear) bool { return e.family == f })
		switch {
		case wanted && at < 0:
			e, err := listen(f)
			if err != nil {
				deaf[f] = err.Error()
				continue
			}
			s.ears = append(s.ears, e)
		case !wanted && at >= 0:
			s.ears[at].close()
			s.ears = slices.Delete(s.ears, at, at+1)
		}
	}
	return deaf
}

func (s *speaker) listen(now time.Time) {
	for _, e := range s.ears {
		for range mostAtOnce {
			h, ok := e.receive()
			if !ok {
				break
			}
			to, why := s.hear(now, h)
			to.heard[why].Add(1)
		}
	}
}

// hear says whose a packet is, and whether it counts. One that nobody can read counts for who has its sender for a peer.
func (s *speaker) hear(now time.Time, h heard) (*tally, Reason) {
	c, why := parse(h.text, h.hops)
	near := s.near(h)
	if why == Taken && c.yours != 0 {
		if near, why = s.of(c.yours), Taken; near != nil && !near.isFor(h.link, h.source) {
			return near.tally, ReasonPeer
		}
	}
	switch {
	case near == nil && why == Taken:
		return s.strangers, ReasonSession
	case near == nil:
		return s.strangers, why
	case why == Taken:
		why = near.hear(now, c)
	}
	return near.tally, why
}

// near is the session whose peer a packet comes from; nil: none is.
func (s *speaker) near(h heard) *session {
	return find(s.sessions, func(each *session) bool { return each.isFor(h.link, h.source) })
}

// of is the session of a discriminator of this host's; nil: none has it.
func (s *speaker) of(discriminator uint32) *session {
	return find(slices.Concat(s.sessions, s.parting), func(each *session) bool { return each.machine.local == discriminator })
}

func find(in []*session, is func(*session) bool) *session {
	if i := slices.IndexFunc(in, is); i >= 0 {
		return in[i]
	}
	return nil
}

// counts are those of each session, by name, and those of packets that were for none.
func (s *speaker) counts() (of map[string]Counts, strangers map[Reason]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of = map[string]Counts{}
	for name, t := range s.tallies {
		of[name] = t.read()
	}
	return of, s.strangers.read().Discarded
}
