// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"hash/maphash"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// link is this director's end of what it has with one peer. It is pure: it reads no clock.
//
// Each end has an epoch, random and new with each start, and a challenge for the other one. A greeting of an epoch that
// is not known is answered by one with its challenge in it; whoever says that challenge back lives now, and has the key.
// His epoch is accepted then, the one before is over, and there is a new challenge.
//
//	A                                          B
//	epoch a, challenge x  ────────────────────►  not known: who are you?
//	                      ◄────────────────────  epoch b, challenge y, answer x
//	b is accepted         ────────────────────►  epoch a, challenge z, answer y, accepts b
//	                      ◄────────────────────  a is accepted: epoch b, challenge w, accepts a
//	stream                ◄───────────────────►  stream
type link struct {
	with     settings
	sender   *sender
	receiver *receiver
	tally    *tally
	role     Role // of this director

	sequence  uint64
	challenge uint64
	helloDue  time.Time
	answered  time.Time // when a greeting of an unknown epoch was answered last

	// Of the peer.
	accepted bool
	peer     epoch
	window   window
	heard    time.Time
	silent   bool   // for so long that it is held for dead
	greeting hello  // its last one
	greeted  uint64 // the sequence number of that

	digesting purpose // of the digests that are being made
}

// settings are what a link is made with.
type settings struct {
	keys     Keys
	own      epoch
	random   func() uint64
	sole     bool   // there is no other peer
	services uint64 // what the peer is told of them
}

// deed is what a link wants done, in this order.
type deed struct {
	kind     deedKind
	datagram []byte           // send
	records  []model.Record   // insert
	ids      []model.Identity // end
	slices   sliceSet         // walk, list
}

type deedKind uint8

const (
	send      deedKind = iota + 1
	insertAll          // records into the table
	endAll             // what the table has of these identities
	digest             // make digests of the table, and say digested
	walkAll            // say walked with all records of these slices, as there is room; the walk before is over
	listAll            // say listed with the identities in these slices of what lasts; the list before is over
)

// purpose is whom digests are made for.
type purpose uint8

const (
	forNobody  purpose = iota
	forPeer            // it is to compare them
	forCompare         // with the peer's
)

const (
	helloEvery = 200 * time.Millisecond
	// While the peer has not got all, it may have missed the last of it: it is told how much there is.
	helloSoon   = 50 * time.Millisecond
	silentAfter = 2 * time.Second
	answerEvery = 10 * time.Millisecond
)

func newLink(now time.Time, with settings) *link {
	t, seed := &tally{}, maphash.MakeSeed()
	l := &link{with: with, tally: t, role: RoleNone, sender: newSender(with.sole, t, seed), receiver: newReceiver(with.sole, t, seed), helloDue: now}
	l.challenge = l.ask()
	return l
}

// ask is a new challenge; 0 is no answer to any.
func (l *link) ask() uint64 {
	for {
		if c := l.with.random(); c != 0 {
			return c
		}
	}
}

// serve is that this director serves something else. What has come of a peer that served before is taken in first.
func (l *link) serve(now time.Time, role Role) (deeds []deed) {
	if role.serves() {
		deeds = l.receiver.drain(now)
	}
	l.role, l.helloDue = role, now
	l.sender.become(now, role)
	l.receiver.become(role)
	return append(deeds, l.tick(now)...)
}

// reconsider asks for what was refused before, since other servers are known now.
func (l *link) reconsider(now time.Time) []deed {
	l.receiver.again()
	return l.tick(now)
}

// change takes in what has changed, or ended, in the table.
func (l *link) change(now time.Time, i item) { l.sender.change(now, i) }

// deadline is when tick is to be called.
func (l *link) deadline() time.Time {
	first := earliest(l.helloAt(), l.sender.deadline(l.digesting != forNobody))
	if l.talks() {
		first = earliest(first, l.silentAt(), l.receiver.deadline(), l.compareAt())
	}
	return first
}

// compareAt is when the peer's digests are to be compared; zero: not now.
func (l *link) compareAt() time.Time {
	if l.receiver.compares && l.digesting == forNobody {
		return l.heard
	}
	return time.Time{}
}

// talks says whether the peer lives, and understands.
func (l *link) talks() bool { return l.accepted && !l.silent && l.version() != 0 }

// silentAt is when the peer is held for dead; zero: it is.
func (l *link) silentAt() time.Time {
	if !l.accepted || l.silent {
		return time.Time{}
	}
	return l.heard.Add(silentAfter)
}

func (l *link) helloAt() time.Time {
	if l.sender.isDone() {
		return l.helloDue
	}
	return earliest(l.helloDue, l.helloDue.Add(helloSoon-helloEvery))
}

// tick does what is due.
func (l *link) tick(now time.Time) (deeds []deed) {
	if isDue(l.silentAt(), now) {
		l.silent = true
		l.sender.turn(now, false)
	}
	stream, begin := l.sender.tick(now)
	deeds = l.send(stream)
	if begin != nil {
		deeds = append(deeds, deed{kind: walkAll, slices: *begin})
	}
	if l.talks() {
		deeds = append(deeds, l.send(l.receiver.tick(now))...)
	}
	if isDue(l.helloAt(), now) {
		deeds = append(deeds, l.greet(now, l.greeting.challenge)...)
	}
	return append(deeds, l.digest(now)...)
}

// digest makes digests if somebody wants some, one after the other.
func (l *link) digest(now time.Time) []deed {
	switch {
	case l.digesting != forNobody || !l.talks():
		return nil
	case l.receiver.compares:
		l.digesting = forCompare
	case l.sender.wantsDigests(now):
		l.digesting = forPeer
	default:
		return nil
	}
	return []deed{{kind: digest}}
}

// digested takes in the table's digests.
func (l *link) digested(now time.Time, all Digests, failed bool) (deeds []deed) {
	what := l.digesting
	l.digesting = forNobody
	switch {
	case what == forCompare:
		l.receiver.compare(now, all, failed)
	case what == forPeer && failed:
		l.sender.asked, l.sender.digestDue = false, now.Add(digestEvery)
	case what == forPeer:
		deeds = l.send(l.sender.digested(now, all))
	}
	return append(deeds, l.tick(now)...)
}

// walked takes in records of the walk, as many as there is room for.
func (l *link) walked(now time.Time, records []model.Record) []deed {
	l.sender.walked(now, records)
	return l.tick(now)
}

func (l *link) walkEnds(now time.Time, failed bool) []deed {
	l.sender.walkEnds(failed)
	return l.tick(now)
}

// listed takes in what the table has in the slices of the list.
func (l *link) listed(now time.Time, ids []model.Identity) []deed {
	return append(l.receiver.listed(ids), l.tick(now)...)
}

func (l *link) listEnds(now time.Time, failed bool) []deed {
	l.receiver.listEnds(now, failed)
	return l.tick(now)
}

func (l *link) send(messages []message) (deeds []deed) {
	for _, m := range messages {
		deeds = append(deeds, deed{kind: send, datagram: l.seal(m)})
	}
	return deeds
}

func (l *link) seal(m message) []byte {
	l.sequence++
	h := header{version: greetingVersion, kind: m.kind, epoch: l.with.own, sequence: l.sequence}
	if m.kind != kindHello {
		h.version = l.version()
	}
	return l.with.keys.seal(h, m.body)
}

// version is the newest that both speak; 0: there is none.
func (l *link) version() uint8 { return common(l.greeting.newest, l.greeting.oldest) }

func common(newest, oldest uint8) uint8 {
	if both := min(newestVersion, newest); both >= max(oldestVersion, oldest) {
		return both
	}
	return 0
}

// greet says hello, and a challenge back.
func (l *link) greet(now time.Time, answer uint64) []deed {
	l.helloDue = now.Add(helloEvery)
	h := hello{newest: newestVersion, oldest: oldestVersion, role: l.role, inSync: l.inSync(now), challenge: l.challenge, answer: answer,
		latest: l.sender.latest, kept: l.sender.first(), applied: l.receiver.applied, services: l.with.services}
	if l.accepted {
		h.accepts = l.peer
	}
	return l.send([]message{{kindHello, h.body()}})
}

// hear takes in a datagram, and says whether it counts.
func (l *link) hear(now time.Time, datagram []byte) ([]deed, Reason) {
	deeds, why := l.judge(now, datagram)
	l.tally.heard[why].Add(1)
	return deeds, why
}

// judge refuses what it can before it deciphers.
func (l *link) judge(now time.Time, datagram []byte) ([]deed, Reason) {
	h, why := parseHeader(datagram)
	if why != Taken {
		return nil, why
	}
	with, known := l.with.keys.with(h.key), l.accepted && h.epoch == l.peer
	switch {
	case with == nil:
		return nil, ReasonKey
	case h.epoch == l.with.own:
		return nil, ReasonOwn
	case !known && h.kind != kindHello:
		return nil, ReasonEpoch
	case known && l.window.has(h.sequence), h.sequence == 0:
		return nil, ReasonReplay
	}
	body, ok := with.open(datagram)
	switch {
	case !ok:
		return nil, ReasonSeal
	case !known:
		return l.knock(now, h, body)
	}
	l.window.take(h.sequence)
	l.heard, l.silent = now, false
	deeds, why := l.take(now, h, body)
	return append(deeds, l.tick(now)...), why
}

// knock is a greeting of an epoch that is not accepted.
func (l *link) knock(now time.Time, h header, body []byte) ([]deed, Reason) {
	g, why := parseHello(body)
	switch {
	case why != Taken:
		return nil, why
	case g.answer == l.challenge:
		return l.accept(now, h, g), Taken
	case now.Sub(l.answered) < answerEvery:
		return nil, ReasonUnproved
	}
	l.answered = now
	return l.greet(now, g.challenge), ReasonUnproved
}

// accept begins with an epoch. It is told at once: what comes before it knows is lost.
func (l *link) accept(now time.Time, h header, g hello) []deed {
	l.accepted, l.peer, l.heard, l.silent, l.helloDue = true, h.epoch, now, false, now
	l.challenge = l.ask()
	l.window.begin(h.sequence) // what it said before was for another one, who is no more
	l.greeted = h.sequence
	l.sender.forget(now)
	l.receiver.begin(g)
	deeds := l.meet(now, g)
	return append(deeds, l.tick(now)...)
}

// meet takes in a greeting of the epoch that is accepted.
func (l *link) meet(now time.Time, g hello) []deed {
	if l.greeting.challenge != g.challenge {
		l.helloDue = now // it wants to hear another one
	}
	was := l.sender.open
	l.greeting = g
	l.sender.turn(now, g.accepts == l.with.own && l.version() != 0)
	if l.sender.open && !was {
		l.helloDue = now
	}
	if l.sender.open {
		l.sender.acknowledge(g.applied)
	}
	return l.receiver.greet(now, g)
}

// take does what a datagram of the accepted epoch says.
func (l *link) take(now time.Time, h header, body []byte) ([]deed, Reason) {
	switch h.kind {
	case kindHello:
		g, why := parseHello(body)
		if why != Taken || h.sequence < l.greeted { // a newer one has overtaken it
			return nil, why
		}
		l.greeted = h.sequence
		return l.meet(now, g), Taken
	case kindAck:
		a, why := parseAck(body)
		if why == Taken {
			l.sender.acknowledge(a.applied)
		}
		return nil, why
	case kindDigests:
		d, why := parseDigests(body)
		if why == Taken {
			l.receiver.digests(d)
		}
		return nil, why
	case kindAsk:
		a, why := parseAsk(body)
		if why == Taken {
			l.sender.hear(now, a)
		}
		return nil, why
	}
	return l.stream(now, h.kind, body)
}

func (l *link) stream(now time.Time, k kind, body []byte) ([]deed, Reason) {
	if k == kindMark {
		m, why := parseMark(body)
		if why != Taken {
			return nil, why
		}
		return l.receiver.hear(now, m.position, streamed{mark: &m})
	}
	c, why := parseChanges(body)
	if why != Taken {
		return nil, why
	}
	return l.receiver.hear(now, c.position, streamed{changes: &c})
}

// isHeard says whether the peer lives, as far as can be told.
func (l *link) isHeard(now time.Time) bool { return l.talks() && now.Sub(l.heard) < silentAfter }

// inSync says whether this director has all that the peer serves. Who has not heard him has not.
func (l *link) inSync(now time.Time) bool { return l.isHeard(now) && l.receiver.inSync(now) }
