// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"slices"
	"sync"
)

// mailbox is what a peer is told. Who tells it does not wait.
type mailbox struct {
	come chan struct{} // there is something

	mu   sync.Mutex
	mail mail
	room int  // as the peer said last, less what has come since
	open bool // as the peer said last
}

// mail is all that was told since it was taken last.
type mail struct {
	items   []item
	torn    bool // there were more
	all     bool // and that was all that had changed
	role    Role // 0: as before
	want    *Want
	flushes []chan<- struct{} // to be closed when the peer has all that this director has told
}

// mostMailed bounds what waits, for a peer that is busy.
const mostMailed = mostQueued

func newMailbox() *mailbox { return &mailbox{come: make(chan struct{}, 1)} }

func (b *mailbox) put(change func(m *mail)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.mail)
	select {
	case b.come <- struct{}{}:
	default: // it is known already
	}
}

func (b *mailbox) putItems(items []item) {
	b.put(func(m *mail) {
		if len(m.items)+len(items) > mostMailed {
			m.torn = true
			return
		}
		m.items = append(m.items, items...)
		b.room -= len(items)
	})
}

func (b *mailbox) take() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.mail
	b.mail = mail{}
	return out
}

// publish says how much more the peer takes, and whether it takes anything.
func (b *mailbox) publish(open bool, room int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.room = open, room-len(b.mail.items)
}

// takes is how much the peer takes; false: nothing, it is not there.
func (b *mailbox) takes() (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.room), b.open
}

// same says whether a peer can become what is wanted without a new start.
func (w Want) same(other Want) bool {
	return w.Local == other.Local && w.Interface == other.Interface && slices.Equal(w.Peers, other.Peers)
}
