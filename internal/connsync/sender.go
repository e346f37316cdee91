// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"hash/maphash"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// sender makes the stream of one peer: what has changed, and slices as a whole when they are asked for. Each datagram
// of it has a position, and is kept until the peer says that it is there. Where one is lost for good, a position stays
// empty, and the peer knows that it does not know all.
//
//	closed ──► open      the peer says that it takes this epoch's
//	  ▲          │
//	  └──────────┘       it says otherwise, or nothing for too long: what waits is thrown away
type sender struct {
	role   Role // of this director
	open   bool
	queue  *queue
	latest uint64   // position of what was sent last
	kept   []kept   // the last is of that position, unless they are none
	again  []uint64 // positions to be sent again, each once
	torn   bool     // something was not said that the peer should know, and the position behind latest tells it so
	behind bool     // since it is open not all that has changed before was said
	sole   bool     // there is no other peer, which would have to wait for this one
	pace   budget

	request uint32 // that was heard last
	wanted  *walk  // and has not begun
	walk    *walk  // that goes on
	urgent  uint64 // what is in the queue before this number waits for no more of its kind
	feed    budget // records of a walk

	digestDue time.Time // the next one that nobody asks for
	asked     bool      // somebody does
	round     uint32
	tally     *tally
	seed      maphash.Seed
}

// kept is what may be asked for again.
type kept struct {
	message
	since  time.Time
	resent time.Time
	again  bool // it is to be
}

// message is a datagram before it is sealed.
type message struct {
	kind kind
	body []byte
}

// walk tells all of some slices, between two marks.
type walk struct {
	request uint32
	slices  sliceSet
	told    map[uint64]struct{} // hashes of what has changed since: what the walk has of these may be older
	fed     bool                // nothing more comes
	failed  bool
	until   uint64 // what is in the queue before this number belongs before the end
}

const (
	// What has changed waits for more of its kind, but not long.
	queueWait = 20 * time.Millisecond
	// Datagrams. What lies further back is compared instead; but a peer that is alone is waited for: what has changed
	// stays marked in the table, and is not lost however slow the peer is. A walk over all would make it slower still.
	mostKept = 1 << 12
	// The stream's pace, in datagrams a second, leaves room on a link of 1 Gbit/s, and at most so many go at once.
	streamPace, streamBurst = 20_000, 128
	// A walk's, in records: 100,000 in a second, as 20 Mbit/s.
	walkPace, walkBurst, walkLeast = 100_000, 2_000, 256
	// A walk waits while there is more in the queue: what changes goes first.
	walkQueue   = 2 * mostItems
	digestEvery = 5 * time.Second
	digestAgain = 500 * time.Millisecond
	resendAfter = 10 * time.Millisecond // a datagram is not sent again sooner
	mostTold    = 1 << 20
)

func newSender(sole bool, t *tally, seed maphash.Seed) *sender {
	return &sender{sole: sole, role: RoleNone, queue: newQueue(), pace: newBudget(streamPace, streamBurst), feed: newBudget(walkPace, walkBurst),
		tally: t, seed: seed}
}

// first is the position of the first that is kept.
func (s *sender) first() uint64 { return s.latest - uint64(len(s.kept)) + 1 }

// become serves something else.
func (s *sender) become(now time.Time, role Role) {
	if !s.role.serves() && role.serves() {
		s.digestDue = now
	}
	s.role = role
}

// turn opens and closes, as the peer says.
func (s *sender) turn(now time.Time, open bool) {
	if s.open == open {
		return
	}
	s.open = open
	if open {
		s.digestDue, s.behind = now, true
		return
	}
	s.queue.clear()
	s.wanted, s.walk, s.asked = nil, nil, false
	s.lose()
}

// lose is that something was not said: the next position stays empty, so that the peer knows. While it is closed nothing
// is said at all, so closing is a loss: the peer may hear greetings all the time, and must not believe that it has all.
func (s *sender) lose() {
	if !s.torn {
		s.torn = true
		s.latest++
	}
	s.kept, s.again = nil, nil
}

// collected is that all that had changed was said.
func (s *sender) collected() { s.behind = false }

// forget is that the peer has begun anew: it asks with numbers of its own, and knows that it knows nothing.
func (s *sender) forget(now time.Time) {
	s.turn(now, false)
	s.request = 0
}

// room is how much more of what has changed it takes.
func (s *sender) room() int {
	if !s.open {
		return mostQueued
	}
	return mostQueued - s.queue.len()
}

// change takes in what has changed, or ended.
func (s *sender) change(now time.Time, i item) {
	if !s.open || i.judge() != Taken { // nothing is said, or it has no form on the wire
		return
	}
	if s.walk != nil {
		s.walk.note(maphash.Comparable(s.seed, i.record.Identity()))
	}
	if !s.queue.put(now, i) {
		s.lose()
		s.tally.dropped.Add(1)
	}
}

// note keeps a change from being told as it was before. Past a bound that is not known any more: the walk has failed.
func (w *walk) note(hash uint64) {
	if len(w.told) >= mostTold {
		w.failed = true
		return
	}
	w.told[hash] = struct{}{}
}

// hear is what the peer asks for.
func (s *sender) hear(now time.Time, a ask) {
	if !s.open {
		return
	}
	s.asked = s.asked || a.digests
	if a.request != 0 && a.request != s.request {
		s.request = a.request
		s.wanted = &walk{request: a.request, slices: a.slices, told: map[uint64]struct{}{}}
	}
	for _, h := range a.holes {
		s.resend(now, h)
	}
}

func (s *sender) resend(now time.Time, h hole) {
	for at := max(h.from, s.first()); at <= s.latest && at-h.from < uint64(h.count); at++ {
		k := &s.kept[at-s.first()]
		if k.again || now.Sub(latest(k.since, k.resent)) < resendAfter {
			continue
		}
		k.again = true
		s.again = append(s.again, at)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// acknowledge forgets what the peer has.
func (s *sender) acknowledge(applied uint64) {
	if applied > s.latest {
		return // of another epoch
	}
	if n := min(int64(applied)-int64(s.first())+1, int64(len(s.kept))); n > 0 {
		s.kept = s.kept[n:]
	}
}

// tick sends what is due, and says which slices a walk is to begin for.
func (s *sender) tick(now time.Time) (out []message, begin *sliceSet) {
	if !s.open {
		return nil, nil
	}
	s.pace.refill(now)
	s.feed.refill(now)
	out = s.repeat(now)
	if s.wanted != nil && !s.waits() {
		s.walk, s.wanted = s.wanted, nil
		begin = &s.walk.slices
		out = append(out, s.mark(now, edgeBegin))
	}
	out = append(out, s.flush(now, s.wait())...)
	if w := s.walk; w != nil && w.fed && s.queue.first >= w.until && !s.waits() {
		edge := edgeEnd
		if w.failed {
			edge = edgeFailed
		}
		out = append(out, s.mark(now, edge))
		s.walk = nil
	}
	return out, begin
}

// repeat sends again what was asked for, but for what the peer has got meanwhile.
func (s *sender) repeat(now time.Time) (out []message) {
	for ; len(s.again) > 0; s.again = s.again[1:] {
		at := s.again[0]
		if at < s.first() || at > s.latest {
			continue
		}
		if !s.pace.take() {
			break
		}
		k := &s.kept[at-s.first()]
		k.again, k.resent = false, now
		s.tally.resent.Add(1)
		out = append(out, k.message)
	}
	return out
}

// hurry is that somebody waits until the peer has what it is told by now.
func (s *sender) hurry() { s.urgent = s.queue.next() }

// wait is for how long a datagram may be filled. The end of a walk waits for nothing.
func (s *sender) wait() time.Duration {
	if s.walk != nil && s.walk.fed || s.queue.first < s.urgent {
		return 0
	}
	return queueWait
}

// flush sends what has waited as long as it may.
func (s *sender) flush(now time.Time, wait time.Duration) (out []message) {
	for isDue(s.queue.due(wait), now) && !s.waits() && s.pace.take() {
		c := changes{position: s.latest + 1, items: s.queue.pack()}
		out = append(out, s.keep(now, message{kindChanges, c.body()}))
	}
	return out
}

// waits says whether the peer has to catch up first.
func (s *sender) waits() bool { return s.sole && len(s.kept) >= mostKept }

func (s *sender) mark(now time.Time, e edge) message {
	return s.keep(now, message{kindMark, mark{s.latest + 1, e, s.walk.request, s.walk.slices}.body()})
}

// keep gives a message the next position.
func (s *sender) keep(now time.Time, m message) message {
	s.latest++
	s.torn = false
	s.kept = append(s.kept, kept{message: m, since: now})
	if len(s.kept) > mostKept {
		s.kept = s.kept[1:]
	}
	return m
}

// walkRoom is how many records of a walk it takes now.
func (s *sender) walkRoom(now time.Time) int {
	if s.walk == nil || s.walk.fed || s.queue.len() >= walkQueue {
		return 0
	}
	if s.feed.refill(now); s.feed.have < walkLeast {
		return 0
	}
	return int(s.feed.have)
}

// walked takes in records of the walk.
func (s *sender) walked(now time.Time, records []model.Record) {
	if s.walk == nil {
		return
	}
	s.feed.have -= float64(len(records))
	for _, r := range records {
		s.walkedOne(now, item{record: r})
	}
}

func (s *sender) walkedOne(now time.Time, i item) {
	id := i.record.Identity()
	_, told := s.walk.told[maphash.Comparable(s.seed, id)]
	switch {
	case told, s.queue.has(id):
		return
	case i.judge() != Taken: // it has no form on the wire
		return
	}
	if !s.queue.put(now, i) {
		s.walk.failed = true
	}
}

// walkEnds is that nothing more comes of the walk.
func (s *sender) walkEnds(failed bool) {
	if s.walk != nil {
		s.walk.fed, s.walk.until = true, s.queue.next()
		s.walk.failed = s.walk.failed || failed
	}
}

// wantsDigests says whether the peer is to get some. They leave out what it was not told yet, so they say nothing before
// it was told what has changed while nobody listened.
func (s *sender) wantsDigests(now time.Time) bool {
	return s.digests() && (s.asked || isDue(s.digestDue, now))
}

func (s *sender) digests() bool {
	return s.open && !s.behind && s.role.serves() && s.queue.len() < walkQueue
}

// digested sends them, behind all that has changed before.
func (s *sender) digested(now time.Time, all Digests) []message {
	if !s.open {
		return nil
	}
	s.pace.refill(now)
	out := s.flush(now, 0)
	s.asked, s.digestDue = false, now.Add(digestEvery)
	if s.queue.len() > 0 { // they count what the peer cannot have
		s.digestDue = now.Add(digestAgain)
		return out
	}
	s.round++
	for half := range uint8(2) {
		d := digests{position: s.latest, round: s.round, half: half}
		copy(d.sums[:], all[int(half)*len(d.sums):])
		out = append(out, message{kindDigests, d.body()})
	}
	return out
}

// deadline is when tick has something to do. Digests that are being made are waited for otherwise, and so is a walk
// that may tell more.
func (s *sender) deadline(digesting bool) time.Time {
	if !s.open {
		return time.Time{}
	}
	first := s.sends()
	if !digesting && s.digests() {
		first = earliest(first, s.digestDue)
		if s.asked {
			first = s.pace.at
		}
	}
	if w := s.walk; w != nil && !w.fed && s.queue.len() < walkQueue && s.feed.have < walkLeast {
		first = earliest(first, s.feed.ready(walkLeast))
	}
	return first
}

// sends is when there is something of the stream to send, and it may be.
func (s *sender) sends() time.Time {
	at := s.queue.due(s.wait())
	switch {
	case s.waits() && len(s.again) == 0: // for the peer, which is heard
		return time.Time{}
	case s.wanted != nil, len(s.again) > 0:
		at = s.pace.at
	case s.walk != nil && s.walk.fed && s.queue.first >= s.walk.until:
		return s.pace.at
	}
	if ready := s.pace.ready(1); !at.IsZero() && ready.After(at) {
		return ready
	}
	return at
}

// lag is for how long the oldest of what the peer has not got has waited.
func (s *sender) lag(now time.Time) time.Duration {
	switch {
	case len(s.kept) > 0:
		return now.Sub(s.kept[0].since)
	case s.queue.len() > 0:
		return now.Sub(s.queue.items[0].since)
	}
	return 0
}

// isDone says whether the peer has all that it was told.
func (s *sender) isDone() bool { return !s.open || s.queue.len() == 0 && len(s.kept) == 0 }

func isDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earliest is the first of times; zero ones are none.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
