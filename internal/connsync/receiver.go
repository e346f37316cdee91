// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// receiver takes the stream of one peer in, in the order of its positions. What is missing is asked for; where the peer
// has it no more, nothing is proved any more, and all slices are compared: those that differ are asked for as a whole.
//
//	a slice:  unproved ──► proved      the digests agree, or all of it came
//	             ▲           │
//	             └───────────┘         something is missing for good, or the peer has begun anew
//
// A slice that is proved may differ for a moment, whenever connections come and go. One that goes on to differ is asked
// for again, and stays proved: nothing that was told is missing.
type receiver struct {
	own  Role // of this director
	sole bool // there is no other peer, which may have told of what this one does not
	role Role // of the peer

	applied, latest, kept uint64 // positions: taken in, sent last, and the first that can be asked for
	waiting               map[uint64]streamed
	missed                time.Time // since when the next one is missing; zero: none is
	askedMissing          time.Time
	ackDue                time.Time

	proved    sliceSet
	suspected [model.Slices]uint8 // how often in a row they differed
	patience  uint8               // so often they may
	request   *request
	requests  uint32 // the number of the last one

	wants    bool // digests
	asked    time.Time
	round    uint32
	halves   [2]bool
	theirs   Digests
	position uint64 // that they are of
	compares bool   // this director's own are wanted, to be compared with them

	tally *tally
	seed  maphash.Seed
}

// streamed is a datagram of the stream; one of the two.
type streamed struct {
	changes *changes
	mark    *mark
}

// request is the wish for all of some slices.
type request struct {
	id     uint32
	slices sliceSet
	asked  time.Time
	begun  bool
	latest time.Time           // when something of it came
	told   map[uint64]struct{} // hashes of the identities that are there
	lists  bool                // it has ended: what is in the table besides is looked for
}

const (
	missingAfter = 5 * time.Millisecond // a datagram that overtakes another one is no loss
	missingEvery = 30 * time.Millisecond
	missingTold  = time.Second // what is missing for so long makes a director lag
	askEvery     = 300 * time.Millisecond
	requestLasts = 10 * time.Second // without any of it coming
	ackAfter     = 5 * time.Millisecond
	mostWaiting  = mostKept

	leastPatience, mostPatience = 2, 16
)

func newReceiver(sole bool, t *tally, seed maphash.Seed) *receiver {
	return &receiver{own: RoleNone, role: RoleNone, sole: sole, waiting: map[uint64]streamed{}, patience: leastPatience,
		tally: t, seed: seed}
}

// begin is a new epoch of the peer, that has sent so much before.
func (r *receiver) begin(h hello) {
	clear(r.waiting)
	r.applied, r.latest, r.kept = h.latest, h.latest, h.kept
	r.missed, r.ackDue = time.Time{}, time.Time{}
	r.role, r.round = h.role, 0
	r.doubt()
}

// doubt is that nothing is proved.
func (r *receiver) doubt() {
	r.proved, r.suspected, r.patience = sliceSet{}, [model.Slices]uint8{}, leastPatience
	r.request, r.compares, r.wants, r.asked = nil, false, true, time.Time{}
	r.halves = [2]bool{}
}

// wait says whether it waits for the peer to tell anything.
func (r *receiver) wait() bool { return r.role.serves() && r.own != RoleAll }

// become is that this director serves something else.
func (r *receiver) become(own Role) {
	was := r.own
	if r.own = own; was == RoleAll && own != RoleAll {
		r.doubt()
	}
}

// greet is what the peer says of itself.
func (r *receiver) greet(now time.Time, h hello) (deeds []deed) {
	if !r.role.serves() && h.role.serves() {
		r.doubt()
	}
	r.role, r.kept = h.role, max(r.kept, h.kept)
	r.latest = max(r.latest, h.latest)
	return r.advance(now)
}

// hear takes a datagram of the stream.
func (r *receiver) hear(now time.Time, position uint64, s streamed) ([]deed, Reason) {
	if position > r.applied+mostWaiting {
		r.latest = max(r.latest, position)
		return r.advance(now), ReasonAhead
	}
	r.latest = max(r.latest, position)
	if position > r.applied {
		r.waiting[position] = s
	}
	return r.advance(now), Taken
}

// advance applies what follows on what was applied, and leaves out what cannot come any more.
func (r *receiver) advance(now time.Time) (deeds []deed) {
	was := r.applied
	for {
		if s, ok := r.waiting[r.applied+1]; ok {
			delete(r.waiting, r.applied+1)
			r.applied++
			deeds = append(deeds, r.apply(now, s)...)
			continue
		}
		if r.applied >= r.latest || r.applied+1 >= r.kept {
			break
		}
		r.skip()
	}
	switch {
	case r.applied == r.latest:
		r.missed = time.Time{}
	case r.applied != was || r.missed.IsZero():
		r.missed = now
	}
	if r.applied != was && r.ackDue.IsZero() {
		r.ackDue = now.Add(ackAfter)
	}
	r.catchUp()
	return deeds
}

// skip leaves out what the peer does not keep, up to what is there.
func (r *receiver) skip() {
	to := min(r.kept-1, r.latest)
	for position := range r.waiting {
		to = min(to, position-1)
	}
	r.tally.lost.Add(to - r.applied)
	r.applied = to
	r.doubt()
}

// drain applies all that is there, although something before it is missing: there will be no more.
func (r *receiver) drain(now time.Time) (deeds []deed) {
	for _, position := range slices.Sorted(maps.Keys(r.waiting)) {
		r.tally.lost.Add(position - r.applied - 1)
		r.applied = position
		deeds = append(deeds, r.apply(now, r.waiting[position])...)
	}
	clear(r.waiting)
	if len(deeds) > 0 {
		r.doubt()
	}
	return append(deeds, r.advance(now)...)
}

func (r *receiver) apply(now time.Time, s streamed) []deed {
	if s.mark != nil {
		return r.edge(now, *s.mark)
	}
	return r.change(now, s.changes.items)
}

// change makes of items what is to be done, in their order.
func (r *receiver) change(now time.Time, items []item) (deeds []deed) {
	for _, i := range items {
		r.note(now, i.record.Identity(), i.ended)
		deeds = addItem(deeds, i, len(items))
	}
	return deeds
}

// note remembers for a request what is there.
func (r *receiver) note(now time.Time, id model.Identity, ended bool) {
	q := r.request
	if q == nil || !q.begun || !q.slices.has(id.Slice()) {
		return
	}
	q.latest = now
	if ended {
		delete(q.told, maphash.Comparable(r.seed, id))
		return
	}
	q.told[maphash.Comparable(r.seed, id)] = struct{}{}
}

// addItem puts an item to others of its kind, of which there may be so many.
func addItem(deeds []deed, i item, most int) []deed {
	kind := insertAll
	if i.ended {
		kind = endAll
	}
	if n := len(deeds); n == 0 || deeds[n-1].kind != kind {
		deeds = append(deeds, deed{kind: kind})
		if kind == insertAll {
			deeds[n].records = make([]model.Record, 0, most)
		}
	}
	last := &deeds[len(deeds)-1]
	if i.ended {
		last.ids = append(last.ids, i.record.Identity())
	} else {
		last.records = append(last.records, i.record)
	}
	return deeds
}

// edge is where slices begin or end.
func (r *receiver) edge(now time.Time, m mark) []deed {
	q := r.request
	if q == nil || m.request != q.id || m.edge != edgeBegin && !q.begun {
		return nil
	}
	q.latest = now
	switch {
	case m.edge == edgeBegin:
		q.begun, q.told = true, map[uint64]struct{}{}
	case m.edge == edgeFailed:
		r.request, r.wants, r.asked = nil, true, now
	case r.sole || r.role == RoleAll:
		q.lists = true
		return []deed{{kind: listAll, slices: q.slices}}
	default:
		r.complete()
	}
	return nil
}

// listed takes in identities of what lasts, in the slices of the request. What was not told is not there; the table keeps
// what is served here. What does not last ends by itself.
func (r *receiver) listed(ids []model.Identity) []deed {
	if r.request == nil || !r.request.lists {
		return nil
	}
	gone := slices.DeleteFunc(slices.Clone(ids), func(id model.Identity) bool {
		_, told := r.request.told[maphash.Comparable(r.seed, id)]
		return told || !r.request.slices.has(id.Slice())
	})
	if len(gone) == 0 {
		return nil
	}
	r.tally.pruned.Add(uint64(len(gone)))
	return []deed{{kind: endAll, ids: gone}}
}

// listEnds is that there are no more.
func (r *receiver) listEnds(now time.Time, failed bool) {
	switch {
	case r.request == nil || !r.request.lists:
	case failed:
		r.request, r.wants, r.asked = nil, true, now
	default:
		r.complete()
	}
}

// complete is that the slices of the request are as the peer's. Then they are compared once more.
func (r *receiver) complete() {
	r.proved = r.proved.union(r.request.slices)
	r.request, r.wants, r.asked = nil, true, time.Time{}
}

// digests takes in a half.
func (r *receiver) digests(d digests) {
	if r.compares {
		return
	}
	if d.round != r.round || d.position != r.position {
		r.round, r.position, r.halves = d.round, d.position, [2]bool{}
	}
	r.halves[d.half] = true
	copy(r.theirs[int(d.half)*len(d.sums):], d.sums[:])
	r.catchUp()
}

// catchUp wants this director's own digests when both halves of the peer's are here, and all that was said before them.
func (r *receiver) catchUp() {
	if r.halves == [2]bool{true, true} && r.wait() && r.request == nil && r.applied >= r.position {
		r.compares, r.wants, r.halves = true, false, [2]bool{}
	}
}

// again asks for all slices that differ, however often they were.
func (r *receiver) again() {
	for i := range r.suspected {
		r.suspected[i] = mostPatience
	}
	r.patience, r.wants, r.asked = leastPatience, true, time.Time{}
}

// compare finds out which slices differ.
func (r *receiver) compare(now time.Time, own Digests, failed bool) {
	if !r.compares {
		return // it is about a stream that is over
	}
	r.compares = false
	if failed {
		r.wants, r.asked = true, now
		return
	}
	differ, wanted, news := r.differing(own)
	switch {
	case differ.isEmpty():
		r.patience = leastPatience
	case !wanted.isEmpty() && !news:
		// It may be that these never stay equal for long, or never can be: asking ever so often is of no use.
		r.patience = min(2*r.patience, mostPatience)
	}
	r.want(now, wanted)
}

// differing are the slices that differ, and those of them that are to be asked for; news: some of these were not
// proved before.
func (r *receiver) differing(own Digests) (differ, wanted sliceSet, news bool) {
	for i := range model.Slices {
		slice := uint8(i)
		if own[i] == r.theirs[i] {
			r.proved.add(slice)
			r.suspected[i] = 0
			continue
		}
		differ.add(slice)
		if r.suspected[i]++; !r.proved.has(slice) || r.suspected[i] >= r.patience {
			r.suspected[i] = 0
			wanted.add(slice)
			news = news || !r.proved.has(slice)
		}
	}
	return differ, wanted, news
}

// want asks for slices, if there are any.
func (r *receiver) want(now time.Time, wanted sliceSet) {
	if wanted.isEmpty() {
		return
	}
	if r.requests++; r.requests == 0 {
		r.requests = 1
	}
	r.request = &request{id: r.requests, slices: wanted, latest: now}
}

// tick gives up what does not come, and says what is to be asked for and acknowledged.
func (r *receiver) tick(now time.Time) (out []message) {
	if q := r.request; q != nil && !q.lists && now.Sub(q.latest) >= requestLasts {
		r.request, r.wants, r.asked = nil, true, time.Time{}
	}
	if a := r.asks(now); !a.isEmpty() {
		out = append(out, message{kindAsk, a.body()})
	}
	if isDue(r.ackDue, now) {
		r.ackDue = time.Time{}
		out = append(out, message{kindAck, ack{r.applied}.body()})
	}
	return out
}

func (r *receiver) asks(now time.Time) (a ask) {
	if isDue(r.askMissing(), now) {
		r.askedMissing = now
		a.holes = r.holes()
	}
	if isDue(r.askDigests(), now) {
		r.asked, a.digests = now, true
	}
	if isDue(r.askSlices(), now) {
		r.request.asked = now
		a.request, a.slices = r.request.id, r.request.slices
	}
	return a
}

// holes are what is missing of the stream, the first ones.
func (r *receiver) holes() (out []hole) {
	const most = 1<<16 - 1
	for at := r.applied + 1; at <= r.latest && at <= r.applied+mostWaiting && len(out) < mostHoles; at++ {
		if _, ok := r.waiting[at]; ok {
			continue
		}
		if n := len(out); n > 0 && out[n-1].from+uint64(out[n-1].count) == at && out[n-1].count < most {
			out[n-1].count++
			continue
		}
		out = append(out, hole{at, 1})
	}
	return out
}

func (r *receiver) askMissing() time.Time {
	if r.missed.IsZero() {
		return time.Time{}
	}
	return latest(r.missed.Add(missingAfter), r.askedMissing.Add(missingEvery))
}

func (r *receiver) askDigests() time.Time {
	if !r.wants || r.compares || r.request != nil || !r.wait() {
		return time.Time{}
	}
	return soon(r.asked.Add(askEvery))
}

func (r *receiver) askSlices() time.Time {
	if r.request == nil || r.request.begun || !r.wait() {
		return time.Time{}
	}
	return soon(r.request.asked.Add(askEvery))
}

// soon is a time that was never, as one that is over.
func soon(t time.Time) time.Time { return latest(t, time.Unix(0, 1)) }

// deadline is when tick has something to do.
func (r *receiver) deadline() time.Time {
	first := earliest(r.ackDue, r.askMissing(), r.askDigests(), r.askSlices())
	if r.request != nil && !r.request.lists {
		first = earliest(first, r.request.latest.Add(requestLasts))
	}
	return first
}

// inSync says whether all is here that the peer has told, and nothing is here that it has not.
func (r *receiver) inSync(now time.Time) bool {
	return !r.wait() || r.proved == allSlices && (r.missed.IsZero() || now.Sub(r.missed) < missingTold)
}
