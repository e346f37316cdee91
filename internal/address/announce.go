// SPDX-License-Identifier: Apache-2.0

package address

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// announceAt says when a new address is announced, counted from when it came. keepalived sends five at once, and five
// more after 5 seconds. What loses one of five at once mostly loses all of them, a switch that still learns as well as
// a full queue; so these ten are spread out, and the first five have passed when clients try again (RFC 6298: after 1 s).
// Where all five are lost, the sixth comes soon enough for them to be served within 1.5 s of the fault, a takeover by
// adverts each 100 ms included.
var announceAt = []time.Duration{
	0, 50 * time.Millisecond, 150 * time.Millisecond, 350 * time.Millisecond, 750 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 7 * time.Second, 10 * time.Second,
}

// After that they are told for ever, to those who have missed it all, or believe somebody else.
const announceEvery = time.Minute

// A thousand addresses that come at once are not thrown at switches at once: they take ARP in by their processors.
const (
	announceMost  = 64 // in a turn
	announcePause = 10 * time.Millisecond
)

// announcement is how far the announcing of an address has come.
type announcement struct {
	begun time.Time
	sent  int // how often
}

// due says when the next turn is.
func (a announcement) due() time.Time {
	if last := len(announceAt) - 1; a.sent > last {
		return a.begun.Add(announceAt[last] + time.Duration(a.sent-last)*announceEvery)
	}
	return a.begun.Add(announceAt[a.sent])
}

// beginAnnouncing announces the addresses that this process did not hold before, or that were missing. On a loopback
// interface nobody is to be told.
func (t *Target) beginAnnouncing(handle *netlink.Handle, wanted, missing map[holding]place, now time.Time) error {
	for h := range t.announced {
		if _, ok := wanted[h]; !ok {
			delete(t.announced, h)
		}
	}
	for h, at := range wanted {
		_, known := t.announced[h]
		if _, lost := missing[h]; (!known || lost) && !at.link.Loopback {
			t.announced[h] = announcement{begun: now}
		}
	}
	return t.announce(handle, now)
}

// announceAgain starts over on a link: its neighbours may be others than before.
func (t *Target) announceAgain(link int, now time.Time) {
	for h := range t.announced {
		if h.link == link {
			t.announced[h] = announcement{begun: now}
		}
	}
}

// Announce has Run start over with these addresses, as far as they are held: somebody else has said that they are his.
// It waits for nothing.
func (t *Target) Announce(addresses []model.Addr) {
	t.claimedMu.Lock()
	for _, a := range addresses {
		t.claimed[a] = true
	}
	t.claimedMu.Unlock()
	t.wakeRun()
}

// announceClaimed starts over with what Announce was told.
func (t *Target) announceClaimed(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claimedMu.Lock()
	defer t.claimedMu.Unlock()
	for h := range t.announced {
		if t.claimed[h.address] {
			t.announced[h] = announcement{begun: now}
		}
	}
	clear(t.claimed)
}

// announceDue is when something is announced next; zero: there is nothing to announce.
func (t *Target) announceDue() (first time.Time) {
	for _, a := range t.announced {
		first = earlier(first, a.due())
	}
	if !first.IsZero() && t.paced.After(first) {
		return t.paced
	}
	return first
}

// announce sends what is due, but not too much of it. What a link that is down does not take is due when it comes up.
func (t *Target) announce(handle *netlink.Handle, now time.Time) error {
	if t.paced.After(now) {
		return nil
	}
	var errs []error
	due := t.dueAnnouncements(now)
	for _, h := range due {
		a := t.announced[h]
		a.sent++
		t.announced[h] = a
		if err := announceOn(handle, h); err != nil && !isAway(err) {
			errs = append(errs, fmt.Errorf("announce %s: %w", h.address, err))
		}
	}
	if len(due) == announceMost {
		t.paced = now.Add(announcePause)
	}
	return errors.Join(errs...)
}

// dueAnnouncements are those that have waited longest.
func (t *Target) dueAnnouncements(now time.Time) (due []holding) {
	for h, a := range t.announced {
		if !a.due().After(now) {
			due = append(due, h)
		}
	}
	slices.SortFunc(due, func(a, b holding) int {
		return cmp.Or(t.announced[a].due().Compare(t.announced[b].due()), a.address.Compare(b.address))
	})
	return due[:min(len(due), announceMost)]
}

// isAway tells whether there is nobody to announce to: the link is down, or gone.
func isAway(err error) bool {
	_, gone := errors.AsType[netlink.LinkNotFoundError](err)
	return gone || errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV)
}

func announceOn(handle *netlink.Handle, h holding) error {
	link, err := handle.LinkByIndex(h.link)
	if err != nil {
		return err
	}
	mac := toMAC(link.Attrs().HardwareAddr)
	if mac == (model.MAC{}) {
		return nil // not an Ethernet: nobody resolves addresses there
	}
	return sendFrames(h.link, announcementFrames(mac, h.address)...)
}

// announcementFrames tell a LAN that the address is at mac. Some systems take gratuitous ARP only
// as a request, others only as a reply.
func announcementFrames(mac model.MAC, address model.Addr) [][]byte {
	if address.Is6() {
		return [][]byte{packet.UnsolicitedNA(mac, address)}
	}
	request, reply := packet.GratuitousARP(mac, address)
	return [][]byte{request, reply}
}

// sendFrames puts whole Ethernet frames on a link.
func sendFrames(link int, frames ...[]byte) error {
	const receiveNothing = 0
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, receiveNothing)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(socket)
	for _, frame := range frames {
		if err := unix.Sendto(socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: link}); err != nil {
			return fmt.Errorf("send on interface %d: %w", link, err)
		}
	}
	return nil
}
