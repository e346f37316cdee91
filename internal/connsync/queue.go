// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// queue is what waits to be sent, each identity once: the newest wins, at the place of the oldest.
type queue struct {
	items []queued
	first uint64 // the number of the first of them, of all that ever were
	at    map[model.Identity]uint64
	bytes int
}

type queued struct {
	item
	since time.Time
}

// mostQueued bounds it. What does not fit stays where it is known, in the table.
const mostQueued = 1 << 15

func newQueue() *queue { return &queue{at: map[model.Identity]uint64{}} }

func (q *queue) len() int     { return len(q.items) }
func (q *queue) next() uint64 { return q.first + uint64(len(q.items)) } // the number that the next one gets
func (q *queue) isFull() bool { return len(q.items) >= mostQueued }

// put takes one in. It has room for it if it is not full, or has one of its identity.
func (q *queue) put(now time.Time, i item) bool {
	id := i.record.Identity()
	if at, ok := q.at[id]; ok {
		old := &q.items[at-q.first]
		q.bytes += i.size() - old.size()
		old.item = i
		return true
	}
	if q.isFull() {
		return false
	}
	q.at[id] = q.next()
	q.items = append(q.items, queued{i, now})
	q.bytes += i.size()
	return true
}

func (q *queue) has(id model.Identity) bool {
	_, ok := q.at[id]
	return ok
}

// due is when a datagram is to go: at once if one is full, or when the oldest has waited as long as it may.
func (q *queue) due(wait time.Duration) time.Time {
	switch {
	case len(q.items) == 0:
		return time.Time{}
	case q.bytes > mostBody-changesSize-mostItem, len(q.items) >= mostItems:
		return q.items[0].since
	}
	return q.items[0].since.Add(wait)
}

// pack takes as many out as a datagram holds.
func (q *queue) pack() (out []item) {
	for room := mostBody - changesSize; len(q.items) > 0 && len(out) < mostItems; {
		i := q.items[0].item
		size := i.size()
		if size > room {
			break
		}
		room -= size
		q.bytes -= size
		delete(q.at, i.record.Identity())
		q.items = q.items[1:]
		q.first++
		out = append(out, i)
	}
	return out
}

// clear throws all away, and says how many that were.
func (q *queue) clear() int {
	n := len(q.items)
	*q = queue{first: q.next(), at: map[model.Identity]uint64{}}
	return n
}
