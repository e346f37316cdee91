// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"sync"

	"github.com/weir-lb/weir/internal/model"
)

// Change is news of a session.
type Change struct {
	Name string
	Seen model.BFDSeen
}

// news waits for whoever tells it, so that no packet waits for him.
type news struct {
	come chan struct{} // there is some

	mu      sync.Mutex
	waiting []Change
}

func newNews() *news { return &news{come: make(chan struct{}, 1)} }

// add keeps each state, but of one state only the newest.
func (n *news) add(c Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.latest(c.Name); old != nil && old.Seen.State == c.Seen.State && old.Seen.Since.Equal(c.Seen.Since) {
		*old = c
	} else {
		n.waiting = append(n.waiting, c)
	}
	select {
	case n.come <- struct{}{}:
	default: // it is known already
	}
}

func (n *news) latest(name string) *Change {
	for i := len(n.waiting) - 1; i >= 0; i-- {
		if n.waiting[i].Name == name {
			return &n.waiting[i]
		}
	}
	return nil
}

func (n *news) take() []Change {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.waiting
	n.waiting = nil
	return out
}
