// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// spool is how many events wait at most for one notice whose messages do not get through.
const spool = 1000

// What lies between two attempts, the first time and at most.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// queue is what one notice has to tell, and when. Nothing happens in it by itself: time is an argument.
//
//	add ──► waiting ──── due ────► flying ──► sent
//	           ▲   (a digest is over) │
//	           └────── failed ────────┴────► gaveUp
type queue struct {
	notice  model.Notice
	waiting []model.Event // the oldest first
	flying  []model.Event // those of the message that is under way
	opened  time.Time     // when the first of waiting came: with it a digest begins
	lost    int           // events that nobody was told of, and no message said so yet

	down   map[subject]model.Event // what was found down, is to be told, and is not up yet
	repeat time.Time               // when that is said again

	tries int       // failures in a row
	retry time.Time // nothing is due before it
}

// subject is what events are about: they begin it, and end it.
type subject struct {
	service string
	server  model.ServerKey // zero: the service itself
	router  string          // a virtual router, and no service
	peer    model.Addr      // another director, and neither
	topic   topic
}

// topic is what else there is to tell of who may be down besides.
type topic uint8

const (
	lives topic = iota // it is up or down, or in maintenance; of a virtual router: in which state; of a director: in sync or not
	panics
	certificates
	conflicts
	helds
	silences
)

func subjectOf(e model.Event) subject {
	out := subject{service: e.Service, server: e.Server, router: e.Router, peer: e.Peer}
	switch e.Kind {
	case model.PanicBegin, model.PanicEnd:
		out.topic = panics
	case model.CertificateEnds, model.CertificateRenewed:
		out.topic = certificates
	case model.ConflictBegin, model.ConflictEnd:
		out.topic = conflicts
	case model.HeldBegin, model.HeldEnd:
		out.topic = helds
	case model.SilentBegin, model.SilentEnd:
		out.topic = silences
	}
	return out
}

func newQueue(notice model.Notice) queue {
	return queue{notice: notice, down: map[subject]model.Event{}}
}

func concerns(n model.Notice, e model.Event) bool {
	return len(n.Services) == 0 || slices.Contains(n.Services, e.Service)
}

func wants(n model.Notice, e model.Event) bool {
	return concerns(n, e) && (len(n.Kinds) == 0 || slices.Contains(n.Kinds, e.Kind)) && e.Severity() >= n.Least
}

// add takes what is to be told, and returns how many older ones had to go for it.
func (q *queue) add(now time.Time, events []model.Event) (dropped int) {
	for _, e := range events {
		q.track(now, e)
		if !wants(q.notice, e) {
			continue
		}
		if len(q.waiting) == 0 {
			q.opened = now
		}
		q.waiting = append(q.waiting, e)
	}
	return q.trim()
}

// track keeps what is down. That it is up again counts even if it is not to be told. When a whole service is in
// maintenance nothing more is said of its servers, not even that they came up.
func (q *queue) track(now time.Time, e model.Event) {
	switch {
	case e.Kind == model.MaintenanceBegin && e.Server == (model.ServerKey{}):
		maps.DeleteFunc(q.down, func(s subject, _ model.Event) bool { return s.service == e.Service && s.topic == lives })
	case !e.Kind.Begins():
		delete(q.down, subjectOf(e))
	case wants(q.notice, e):
		if len(q.down) == 0 {
			q.repeat = now.Add(q.notice.Repeat)
		}
		q.down[subjectOf(e)] = e
	}
}

// trim lets the oldest go that wait, when more do than the spool holds.
func (q *queue) trim() int {
	excess := max(0, len(q.flying)+len(q.waiting)-spool)
	excess = min(excess, len(q.waiting))
	q.waiting = slices.Delete(q.waiting, 0, excess)
	q.lost += excess
	return excess
}

// due is the message that it is time for.
func (q *queue) due(now time.Time) (message, bool) {
	switch {
	case now.Before(q.retry):
	case len(q.waiting) > 0 && !now.Before(q.opened.Add(q.notice.Digest)):
		return q.take(now), true
	case q.repeats() && !now.Before(q.repeat):
		return message{at: now, events: q.still(), repeat: true, lost: q.lost}, true
	}
	return message{}, false
}

// take makes a message of all that waits; without a digest, of the first.
func (q *queue) take(now time.Time) message {
	n := len(q.waiting)
	if q.notice.Digest == 0 {
		n = 1
	}
	q.flying = slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return message{at: now, events: q.flying, lost: q.lost}
}

func (q *queue) repeats() bool { return q.notice.Repeat > 0 && len(q.down) > 0 }

// still is what is down, the longest first.
func (q *queue) still() []model.Event {
	return slices.SortedFunc(maps.Values(q.down), func(a, b model.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Router, b.Router), a.Peer.Compare(b.Peer), cmp.Compare(a.Service, b.Service),
			a.Server.Address.Compare(b.Server.Address), cmp.Compare(a.Server.Port, b.Server.Port))
	})
}

// next is when due will say more, if nothing else happens; zero: never.
func (q *queue) next() time.Time {
	var out time.Time
	if len(q.waiting) > 0 {
		out = q.opened.Add(q.notice.Digest)
	}
	if q.repeats() && (out.IsZero() || q.repeat.Before(out)) {
		out = q.repeat
	}
	if !out.IsZero() && out.Before(q.retry) {
		out = q.retry
	}
	return out
}

// sent: somebody has the message.
func (q *queue) sent(now time.Time, m message) {
	q.lost -= m.lost
	q.landed(now, m)
}

// gaveUp: nobody will ever have it.
func (q *queue) gaveUp(now time.Time, m message) (dropped int) {
	dropped = len(q.flying)
	q.lost += dropped
	q.landed(now, m)
	return dropped
}

func (q *queue) landed(now time.Time, m message) {
	q.flying = nil
	q.tries, q.retry = 0, time.Time{}
	if m.repeat {
		q.repeat = now.Add(q.notice.Repeat)
	}
}

// failed: it is tried again later, with what came meanwhile.
func (q *queue) failed(now time.Time) (dropped int) {
	q.retry = now.Add(min(firstPause<<min(q.tries, 10), longestPause))
	q.tries++
	return q.putBack(now)
}

// putBack lets what was under way wait in its old place. Its digest is over.
func (q *queue) putBack(now time.Time) (dropped int) {
	if len(q.flying) > 0 {
		q.waiting = slices.Concat(q.flying, q.waiting)
		q.opened = now.Add(-q.notice.Digest)
	}
	q.flying = nil
	return q.trim()
}

// hurry makes all due that waits.
func (q *queue) hurry(now time.Time) {
	q.opened, q.retry = now.Add(-q.notice.Digest), time.Time{}
}

// become keeps what waits for the notice that takes the place of this one, unless that does not want it.
func (q *queue) become(now time.Time, notice model.Notice) {
	q.notice = notice
	q.tries, q.retry = 0, time.Time{}
	q.repeat = now.Add(notice.Repeat)
	unwanted := func(e model.Event) bool { return !wants(notice, e) }
	q.waiting = slices.DeleteFunc(q.waiting, unwanted)
	maps.DeleteFunc(q.down, func(_ subject, e model.Event) bool { return unwanted(e) })
}

// forget lets go of what was down and is gone.
func (q *queue) forget(known map[subject]bool) {
	maps.DeleteFunc(q.down, func(s subject, _ model.Event) bool {
		if s.topic != certificates {
			s.topic = lives
		}
		return !known[s]
	})
}
