// SPDX-License-Identifier: Apache-2.0

package connsync

// window remembers which sequence numbers of an epoch were taken (as RFC 4303 section 3.4.3 does): each one once, and
// none that is older than can be remembered.
type window struct {
	top   uint64 // the highest that was taken; 0: none
	taken [windowSize / 64]uint64
}

const windowSize = 1024

// begin takes a number, and all before it.
func (w *window) begin(sequence uint64) {
	w.top = sequence
	for i := range w.taken {
		w.taken[i] = ^uint64(0)
	}
}

// has says whether a number was taken, or is too old to know.
func (w *window) has(sequence uint64) bool {
	switch {
	case sequence == 0:
		return true
	case sequence > w.top:
		return false
	case w.top-sequence >= windowSize:
		return true
	}
	return w.taken[sequence/64%uint64(len(w.taken))]&(1<<(sequence%64)) != 0
}

// take remembers a number that it has not.
func (w *window) take(sequence uint64) {
	if sequence > w.top {
		w.advance(sequence)
	}
	w.taken[sequence/64%uint64(len(w.taken))] |= 1 << (sequence % 64)
}

// advance makes room up to a number: what falls out is what is too old.
func (w *window) advance(to uint64) {
	if to-w.top >= windowSize {
		w.taken = [len(w.taken)]uint64{}
		w.top = to
		return
	}
	for w.top < to {
		w.top++
		w.taken[w.top/64%uint64(len(w.taken))] &^= 1 << (w.top % 64)
	}
}
