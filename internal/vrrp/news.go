// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"sync"

	"github.com/weir-lb/weir/internal/model"
)

// Change is news of a virtual router.
type Change struct {
	Name     string
	Seen     model.VRRPSeen
	Priority uint8 // it had then
	Over     bool  // it has ended, or ends as soon as its addresses are let go of
	Announce bool  // a master's: the neighbours are to be told again whose the addresses are, somebody else has said otherwise
}

// news waits for whoever tells it, so that no virtual router waits for him.
type news struct {
	come chan struct{} // there is some

	mu      sync.Mutex
	waiting []Change
	remarks []func() // to the log
}

func newNews() *news { return &news{come: make(chan struct{}, 1)} }

// add keeps each state, but of one state only the newest.
func (n *news) add(c Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.latest(c.Name); old != nil && old.Seen.State == c.Seen.State && old.Seen.Since.Equal(c.Seen.Since) {
		c.Announce = c.Announce || old.Announce
		*old = c
	} else {
		n.waiting = append(n.waiting, c)
	}
	n.rings()
}

func (n *news) rings() {
	select {
	case n.come <- struct{}{}:
	default: // it is known already
	}
}

// mostRemarks wait at once: who reads no log would not read more.
const mostRemarks = 64

// remark has something logged, which may take as long as who reads the log likes.
func (n *news) remark(log func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.remarks) < mostRemarks {
		n.remarks = append(n.remarks, log)
	}
	n.rings()
}

func (n *news) latest(name string) *Change {
	for i := len(n.waiting) - 1; i >= 0; i-- {
		if n.waiting[i].Name == name {
			return &n.waiting[i]
		}
	}
	return nil
}

func (n *news) take() ([]Change, []func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changes, remarks := n.waiting, n.remarks
	n.waiting, n.remarks = nil, nil
	return changes, remarks
}
