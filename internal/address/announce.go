// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// announceAt says when a new address is announced, counted from when it came: once may get lost,
// and a switch may still be learning.
var announceAt = []time.Duration{0, time.Second, 3 * time.Second}

// announcement is how far the announcing of an address has come.
type announcement struct {
	begun time.Time
	sent  int // turns of announceAt
}

// due says when the next turn is; zero: all were.
func (a announcement) due() time.Time {
	if a.sent == len(announceAt) {
		return time.Time{}
	}
	return a.begun.Add(announceAt[a.sent])
}

// beginAnnouncing announces the addresses that this process did not hold before. On a loopback
// interface nobody is to be told.
func (t *Target) beginAnnouncing(handle *netlink.Handle, wanted map[holding]model.Link, now time.Time) error {
	for h := range t.announced {
		if _, ok := wanted[h]; !ok {
			delete(t.announced, h)
		}
	}
	for h, link := range wanted {
		if _, ok := t.announced[h]; !ok && !link.Loopback {
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

// announce sends what is due. What a link that is down does not take is due when it comes up.
func (t *Target) announce(handle *netlink.Handle, now time.Time) error {
	var errs []error
	for h, a := range t.announced {
		if due := a.due(); due.IsZero() || due.After(now) {
			continue
		}
		a.sent++
		t.announced[h] = a
		if err := announceOn(handle, h); err != nil && !errors.Is(err, unix.ENETDOWN) {
			errs = append(errs, fmt.Errorf("announce %s: %w", h.address, err))
		}
	}
	return errors.Join(errs...)
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
