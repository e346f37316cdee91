// SPDX-License-Identifier: Apache-2.0

package address

import (
	"net/netip"
	"testing"
	"time"
)

// TestAnnouncementsNeverEnd, but become few.
func TestAnnouncementsNeverEnd(t *testing.T) {
	begun := time.Unix(1000, 0)
	for _, c := range []struct {
		sent int
		want time.Duration
	}{
		{0, 0}, {4, 750 * time.Millisecond}, {5, time.Second}, {9, 10 * time.Second}, {10, 70 * time.Second}, {11, 130 * time.Second}, {70, 3670 * time.Second},
	} {
		if got := (announcement{begun, c.sent}).due().Sub(begun); got != c.want {
			t.Errorf("after %d the next is due at %s, want %s", c.sent, got, c.want)
		}
	}
}

// TestAnnouncementsStartOver of what is asked for, and of nothing else. Who asks does not wait for Apply, which may wait
// for a disk.
func TestAnnouncementsStartOver(t *testing.T) {
	ours, other := holding{2, netip.MustParseAddr("192.0.2.1")}, holding{2, netip.MustParseAddr("192.0.2.2")}
	old := announcement{begun: time.Unix(1000, 0), sent: 9}
	target := NewTarget(nil, nil, nil)
	target.announced[ours], target.announced[other] = old, old
	asked := make(chan struct{})
	target.mu.Lock() // as Apply does
	go func() {
		defer close(asked)
		target.Announce([]netip.Addr{ours.address, netip.MustParseAddr("192.0.2.3")})
	}()
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Error("who asks waits")
	}
	target.mu.Unlock()
	now := time.Unix(2000, 0)
	target.announceClaimed(now)
	if target.announced[ours] != (announcement{begun: now}) || target.announced[other] != old || len(target.announced) != 2 || len(target.wake) != 1 {
		t.Errorf("%+v", target.announced)
	}
	target.announceClaimed(now.Add(time.Second))
	if target.announced[ours] != (announcement{begun: now}) {
		t.Errorf("it starts over twice: %+v", target.announced)
	}
}

// TestAnnouncementsArePaced: who has waited longest is first, and the rest has its turn after a pause.
func TestAnnouncementsArePaced(t *testing.T) {
	now := time.Unix(1000, 0)
	target := &Target{announced: map[holding]announcement{}}
	at := func(n byte) holding { return holding{2, netip.AddrFrom4([4]byte{192, 0, 2, n})} }
	for n := range byte(100) {
		target.announced[at(n)] = announcement{begun: now}
	}
	target.announced[at(99)] = announcement{begun: now.Add(-time.Minute), sent: 3}
	target.announced[at(0)] = announcement{begun: now, sent: 1} // not due
	due := target.dueAnnouncements(now)
	if len(due) != announceMost || due[0] != at(99) || due[1] != at(1) {
		t.Errorf("%d are due, %v first", len(due), due[:2])
	}
	if got := target.announceDue(); !got.Equal(now.Add(-time.Minute + announceAt[3])) {
		t.Errorf("something is due at %s", got)
	}
	target.paced = now.Add(announcePause)
	if got := target.announceDue(); !got.Equal(target.paced) {
		t.Errorf("something is due at %s, want %s", got, target.paced)
	}
	if err := target.announce(nil, now); err != nil || target.announced[at(99)].sent != 3 {
		t.Errorf("announced in the pause: %v", err)
	}
}
