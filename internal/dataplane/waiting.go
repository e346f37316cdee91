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
	frames map[pathFragmentKey][]heldFrame
	count  int                           // of frames
	began  map[pathFragmentKey]time.Time // whose first fragment came, and when: stragglers may go at once
	lost   uint32                        // given up since the last sweep
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

func newWaiting() *waiting {
	return &waiting{frames: map[pathFragmentKey][]heldFrame{}, began: map[pathFragmentKey]time.Time{}}
}

// hold keeps a frame, or returns it when its first fragment was here in between.
func (w *waiting) hold(key pathFragmentKey, f heldFrame) []heldFrame {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.began[key]; ok {
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

// first returns what has waited for this first fragment, in the order in which it came.
func (w *waiting) first(key pathFragmentKey, now time.Time) []heldFrame {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.began) < mostWaiting {
		w.began[key] = now
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
	maps.DeleteFunc(w.began, func(_ pathFragmentKey, at time.Time) bool { return now.Sub(at) > waitAtMost })
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
