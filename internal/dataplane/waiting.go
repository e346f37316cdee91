// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"maps"
	"sync"
	"time"
)

// waiting is the room for fragments that came before the first one of their packet, which alone has
// the ports. The path hands them over and tells when the first one came. Its size is bounded, and
// nobody waits for long.
type waiting struct {
	mu     sync.Mutex
	cpus   int
	frames map[pathFragmentKey][]heldFrame
	count  int // of frames
	began  map[pathFragmentKey]*begun
	lost   uint32 // given up since the last sweep
}

// begun is a packet whose first fragment came. Others were on their way to us at that moment, one for
// each CPU at most, and may go at once. More would be those that we sent ourselves, again and again.
type begun struct {
	at         time.Time
	stragglers int
}

// heldFrame is a frame as it came.
type heldFrame struct {
	ifindex uint32
	since   time.Time
	bytes   []byte
}

const (
	mostWaiting = 1024            // frames
	waitAtMost  = 5 * time.Second // FRAGMENT_SECONDS of bpf/fragment.h
)

func newWaiting(cpus int) *waiting {
	return &waiting{cpus: cpus, frames: map[pathFragmentKey][]heldFrame{}, began: map[pathFragmentKey]*begun{}}
}

// hold keeps a frame, or returns it when its first fragment was here in between.
func (w *waiting) hold(key pathFragmentKey, f heldFrame) []heldFrame {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.straggler(key) {
		return []heldFrame{f}
	}
	if w.count >= mostWaiting {
		w.lost++
		return nil
	}
	w.frames[key] = append(w.frames[key], f)
	w.count++
	return nil
}

func (w *waiting) straggler(key pathFragmentKey) bool {
	b := w.began[key]
	if b == nil {
		return false
	}
	if b.stragglers--; b.stragglers == 0 {
		delete(w.began, key)
	}
	return true
}

// first returns what has waited for this first fragment, in the order in which it came.
func (w *waiting) first(key pathFragmentKey, now time.Time) []heldFrame {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.began) < mostWaiting {
		w.began[key] = &begun{now, w.cpus}
	}
	frames := w.frames[key]
	delete(w.frames, key)
	w.count -= len(frames)
	return frames
}

// giveUp counts frames that cannot be sent through the path again.
func (w *waiting) giveUp(n uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost += n
}

// expire lets go of those who waited for too long, and returns how many were lost since last time.
func (w *waiting) expire(now time.Time) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.began, func(_ pathFragmentKey, b *begun) bool { return now.Sub(b.at) > waitAtMost })
	maps.DeleteFunc(w.frames, func(_ pathFragmentKey, frames []heldFrame) bool {
		old := now.Sub(frames[0].since) > waitAtMost
		if old {
			w.count -= len(frames)
			w.lost += uint32(len(frames))
		}
		return old
	})
	lost := w.lost
	w.lost = 0
	return lost
}
