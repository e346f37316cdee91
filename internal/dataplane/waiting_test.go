// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"testing"
	"time"
)

func frames(list []heldFrame) (out string) {
	for _, f := range list {
		out += string(f.bytes)
	}
	return out
}

func TestFragmentsWaitForTheirFirst(t *testing.T) {
	w, start := newWaiting(2), time.Unix(0, 0)
	one, other := pathFragmentKey{Id: 1}, pathFragmentKey{Id: 2}
	hold := func(key pathFragmentKey, text string) string {
		return frames(w.hold(key, heldFrame{since: start, bytes: []byte(text)}))
	}
	if got := hold(one, "a") + hold(other, "x") + hold(one, "b"); got != "" {
		t.Errorf("%q went without a first fragment", got)
	}
	if got := frames(w.first(one, start)); got != "ab" {
		t.Errorf("%q went, want those of the packet, in order", got)
	}
	if got := hold(one, "c"); got != "c" {
		t.Errorf("%q went behind the first fragment, want the straggler", got)
	}
	if got := w.expire(start.Add(waitAtMost)); got != 0 {
		t.Errorf("%d were given up in time", got)
	}
	if got := w.expire(start.Add(waitAtMost + 1)); got != 1 {
		t.Errorf("%d were given up, want the one whose first did not come", got)
	}
	if got := hold(one, "d"); got != "" || w.count != 1 {
		t.Errorf("%q went long after its first fragment, %d wait", got, w.count)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	w, start := newWaiting(2), time.Unix(0, 0)
	for i := range mostWaiting + 10 {
		w.hold(pathFragmentKey{Id: uint32(i)}, heldFrame{since: start})
	}
	if w.count != mostWaiting {
		t.Errorf("%d wait, want %d", w.count, mostWaiting)
	}
	if got := w.expire(start.Add(time.Hour)); got != mostWaiting+10 || w.count != 0 {
		t.Errorf("%d were given up and %d wait still, want all and none", got, w.count)
	}
	for i := range 2 * mostWaiting {
		w.first(pathFragmentKey{Id: uint32(i)}, start)
	}
	if len(w.began) > mostWaiting {
		t.Errorf("%d packets are remembered", len(w.began))
	}
}

// TestAFrameThatComesBackWaits: a fragment whose packet is over comes back each time it is sent.
func TestAFrameThatComesBackWaits(t *testing.T) {
	const cpus = 2
	w, start := newWaiting(cpus), time.Unix(0, 0)
	key := pathFragmentKey{Id: 1}
	w.first(key, start)
	for turn := range cpus + 1 {
		gone := len(w.hold(key, heldFrame{since: start})) == 1
		if gone != (turn < cpus) {
			t.Errorf("turn %d: it was sent again: %t", turn, gone)
		}
	}
}
