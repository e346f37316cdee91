// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// Target makes the host's addresses, neighbours and sysctls equal to what is wanted. It never
// removes what it did not add: an address that was there before weir stays.
//
//	Apply ──► sysctls.go     forwarding, neighbour timers
//	      ──► rxvlan.go      VLAN tags stay in the frame
//	      ──► devices.go     interfaces with virtual MACs
//	      ──► closed.go    what addresses are held for, and nothing else (closed_rules.go)
//	      ──► vips.go        addresses   ──► announce.go    gratuitous ARP and NA, again and again
//	      ──► virtual_routes.go
//	      ──► neighbours.go  managed entries
//	      ──► detours.go     routes to aliases, and a filter, for checks through VIPs (filter.go)
//	Run   ──► the repeats of announcements, addresses and routes again that somebody took away, neighbours that the
//	          kernel gave up, and detours and closed addresses that were lost
type Target struct {
	journal *Journal
	program func() (model.Program, error) // of checks
	log     *slog.Logger
	wake    chan struct{} // tells Run that something else may be due

	claimedMu sync.Mutex // guards claimed: whoever adds to it must not wait for Apply
	claimed   map[model.Addr]bool

	mu          sync.Mutex // guards what follows
	vips        keptVIPs
	routes      keptRoutes
	closed      keptClosed
	announced   map[holding]announcement
	paced       time.Time // before it no more is announced
	neighbours  map[model.Hop]kept
	blocked     map[model.Detour]string
	detours     model.AddressWant // the last one, for its detours
	detoursMend mend
}

// NewTarget needs the program of checks only when a detour is wanted.
func NewTarget(journal *Journal, program func() (model.Program, error), log *slog.Logger) *Target {
	return &Target{
		journal:    journal,
		program:    program,
		log:        log,
		wake:       make(chan struct{}, 1),
		claimed:    map[model.Addr]bool{},
		announced:  map[holding]announcement{},
		neighbours: map[model.Hop]kept{},
	}
}

// Apply reads what is there and changes what differs. It works in the network namespace of the
// calling thread, and does as much as it can: its error is all that went wrong.
func (t *Target) Apply(_ context.Context, want model.AddressWant) error {
	handle, err := open()
	if err != nil {
		return t.block(want.Detours, err)
	}
	defer handle.Close()
	links, err := readLinks(handle)
	if err != nil {
		return t.block(want.Detours, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.wakeRun()
	return errors.Join(
		t.applySysctls(handle, links, want),
		t.applyRxVLAN(links, want.RxVLANOff),
		t.applyClosed(want.Closed), // before there is an address
		t.applyVIPs(handle, links, want.VIPs),
		t.applyRoutes(handle, links, want.Routes),
		t.applyNeighbours(handle, want.Neighbours),
		t.applyDetours(handle, links, want),
	)
}

// Run repeats announcements and keeps neighbours alive, until ctx is done. Apply works without it. mended is told what each
// attempt was in vain with to put back routes of virtual routers that were lost; nil: they are there.
func (t *Target) Run(ctx context.Context, mended func(error)) error {
	handle, err := open()
	if err != nil {
		return err
	}
	defer handle.Close()
	news, err := subscribe(unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_TC)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer news.wait()
	defer cancel()
	go news.Run(ctx)
	return t.watch(ctx, handle, news, mended)
}

// watch is the loop of Run.
func (t *Target) watch(ctx context.Context, handle *netlink.Handle, news *subscription, mended func(error)) error {
	down := map[int]bool{}
	due := t.nextDue(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
			t.announceClaimed(time.Now())
		case <-due:
			if tried, wrong := t.work(handle, time.Now()); tried {
				mended(wrong)
			}
		case e, ok := <-news.events:
			if !ok {
				return news.err
			}
			if e.kind == networkChanged || e.kind == routeChanged && !e.ours { // makes nothing due, and routers tell of many routes
				continue
			}
			t.hear(e, down, time.Now())
		}
		due = t.nextDue(time.Now())
	}
}

// hear notes what an event makes due. down holds the links that cannot carry packets.
func (t *Target) hear(e event, down map[int]bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if about := e.kind == linkUp || e.kind == linkDown; about && t.vips.failed { // it may be the one that was missing
		t.vips.mend.lose(now)
	}
	switch e.kind {
	case linkDown:
		down[e.link] = true
		if t.hasDevice(e.link) { // somebody has set it down
			t.vips.mend.lose(now)
		}
	case linkUp:
		if down[e.link] {
			delete(down, e.link)
			t.announceAgain(e.link, now)
			t.resetNeighbours(func(hop model.Hop) bool { return hop.Link == e.link })
			t.loseDetours(now)
			t.loseRoutes(now)
		}
	case addressGone:
		t.loseRoutes(now) // the kernel takes those along that have it for their source, or that led by its network
		if _, held := t.vips.held[holding{e.hop.Link, e.hop.Address}]; held {
			t.vips.mend.lose(now)
		}
	case neighbourFailed:
		t.retryNeighbour(e.hop)
	case neighbourGone:
		t.resetNeighbours(func(hop model.Hop) bool { return hop == e.hop })
	case routeChanged:
		t.loseRoutes(now)
	case detourGone:
		t.loseDetours(now)
	case overrun:
		t.resetNeighbours(func(model.Hop) bool { return true })
		t.loseDetours(now)
		t.loseRoutes(now)
		t.vips.mend.lose(now)
	}
}

// work does what is due. It says whether routes were tried, and what is wrong with them.
func (t *Target) work(handle *netlink.Handle, now time.Time) (tried bool, wrong error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	vips := t.mendVIPs(handle, now)
	tried = t.routes.mend.isDue(now)
	wrong, routes := t.mendRoutes(handle, now)
	if err := errors.Join(vips, routes, t.announce(handle, now), t.setDueNeighbours(handle, now), t.mendDetours(handle, now), t.mendClosed(now)); err != nil {
		t.log.Warn("addresses, routes, neighbours, ways of checks and closed addresses", "err", err)
	}
	return tried, wrong
}

// nextDue fires when the next piece of work is due; nil: there is none.
func (t *Target) nextDue(now time.Time) <-chan time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := earlier(earlier(earlier(t.detoursMend.due, t.vips.mend.due), t.routes.mend.due), t.announceDue())
	first = earlier(first, t.closed.mend.due)
	for _, k := range t.neighbours {
		first = earlier(first, k.due())
	}
	if first.IsZero() {
		return nil
	}
	return time.After(first.Sub(now))
}

// earlier returns the earlier one of two times, where zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func (t *Target) wakeRun() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// linkNamed finds a link among those of the host.
func linkNamed(links []model.Link, name string) (model.Link, error) {
	for _, l := range links {
		if l.Name == name {
			return l, nil
		}
	}
	return model.Link{}, fmt.Errorf("interface %s: there is none of that name", name)
}
