// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

const (
	settle   = 10 * time.Millisecond // a burst of events becomes one look
	retry    = time.Second           // after a look that went wrong
	fullLook = 30 * time.Second      // trusting no event
)

// Observer watches the host's network. It changes nothing.
//
//	kernel's events ──► hear ──► 10 ms ──► look ──► out, if anything differs
//	Follow ─────────────────────────┘        every 30 s, and after lost events: from scratch
type Observer struct {
	log    *slog.Logger
	follow newest.Box[followed]
}

// followed is what is wanted to be known beside links.
type followed struct {
	addresses []model.Addr
	routes    []model.TrackRoute
}

func NewObserver(log *slog.Logger) *Observer {
	return &Observer{log: log, follow: newest.NewBox[followed]()}
}

// Follow says to which addresses the ways and neighbours are wanted, and of which routes whether they are there. The
// newest lists win.
func (o *Observer) Follow(addresses []model.Addr, tracked ...model.TrackRoute) {
	o.follow.Put(followed{slices.Clone(addresses), slices.Clone(tracked)})
}

// Run hands out the network as it is, at first and whenever something changed, until ctx is done.
// It watches the network namespace of the calling thread. out must not change what it is given.
func (o *Observer) Run(ctx context.Context, out func(model.Network)) error {
	handle, err := open()
	if err != nil {
		return err
	}
	defer handle.Close()
	news, err := subscribe(unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR,
		unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer news.wait()
	defer cancel()
	go news.Run(ctx)
	return o.watch(ctx, newView(handle), news, out)
}

// watch is the observer's loop. look is nil while nothing waits to be looked at.
func (o *Observer) watch(ctx context.Context, v *view, news *subscription, out func(model.Network)) error {
	again := time.NewTicker(fullLook)
	defer again.Stop()
	look := time.After(0)
	for {
		dirty := false
		select {
		case <-ctx.Done():
			return nil
		case <-look:
			look = o.look(v, out)
		case v.following = <-o.follow:
			v.staleNetwork, v.staleTracked, dirty = true, true, true
		case <-again.C:
			v.expire()
			dirty = true
		case e, ok := <-news.events:
			if !ok {
				return news.err
			}
			dirty = v.hear(e)
		}
		if dirty && look == nil {
			look = time.After(settle)
		}
	}
}

// look hands out what changed, and says when to look again although nothing happens.
func (o *Observer) look(v *view, out func(model.Network)) <-chan time.Time {
	for _, look := range []func() (bool, error){v.look, v.lookTracked} { // a long table keeps no link's end back
		changed, err := look()
		if err != nil {
			o.log.Warn("the network cannot be read, trying again", "err", err)
			return time.After(retry)
		}
		if changed {
			out(v.network)
		}
	}
	return nil
}

// view is what the observer knows.
type view struct {
	handle    *netlink.Handle
	following followed

	network model.Network // as it was handed out last
	known   map[model.Hop]model.MAC
	hops    map[model.Hop]bool // whose MACs are asked for

	staleNetwork    bool // links, addresses or ways may differ from network
	staleTracked    bool // so may routes that are tracked
	staleNeighbours bool // neighbours may differ from known
}

// newView knows nothing yet.
func newView(handle *netlink.Handle) *view {
	v := &view{handle: handle, known: map[model.Hop]model.MAC{}}
	v.expire()
	return v
}

// expire makes the next look read everything again.
func (v *view) expire() { v.staleNetwork, v.staleTracked, v.staleNeighbours = true, true, true }

// hear takes an event in and reports whether it calls for a look.
func (v *view) hear(e event) bool {
	switch e.kind {
	case overrun:
		v.expire()
	case networkChanged, linkUp, linkDown, addressGone: // routes go with them, and nobody says so
		v.staleNetwork, v.staleTracked = true, true
	case routeChanged:
		v.staleNetwork = true
		v.staleTracked = v.staleTracked || v.tracks(e.to)
	case neighbourKnown:
		old := v.known[e.hop]
		v.known[e.hop] = e.mac
		return v.hops[e.hop] && e.mac != old
	case neighbourFailed, neighbourGone:
		v.lose(e.hop)
		return false
	case detourGone: // no way to a server is among them
		return false
	}
	return true
}

// tracks: a table of routes may be long, and is not read for what nobody asks for.
func (v *view) tracks(to netip.Prefix) bool {
	return slices.ContainsFunc(v.following.routes, func(t model.TrackRoute) bool { return t.To == to })
}

// lose forgets a neighbour, but not one that is asked for: as long as the kernel looks for it, its
// last known MAC is the best guess, and without one all its traffic stops.
func (v *view) lose(hop model.Hop) {
	if !v.hops[hop] {
		delete(v.known, hop)
	}
}

// look reads what is stale and reports whether the network differs from what was handed out.
func (v *view) look() (changed bool, err error) {
	next := v.network
	if v.staleNetwork {
		if next, err = look(v.handle, v.following.addresses); err != nil {
			return false, err
		}
		next.Tracked = v.network.Tracked
	}
	if v.staleNeighbours {
		if err := v.readNeighbours(); err != nil {
			return false, err
		}
	}
	v.staleNetwork, v.staleNeighbours = false, false
	v.hops = nextHops(next)
	next.Neighbours = only(v.known, v.hops)
	if sameNetwork(next, v.network) {
		return false, nil
	}
	v.network = next
	return true, nil
}

// lookTracked does the same of the routes that are tracked.
func (v *view) lookTracked() (changed bool, err error) {
	if !v.staleTracked {
		return false, nil
	}
	next := v.network
	if next.Tracked, err = readTracked(v.following.routes, next.Links); err != nil {
		return false, err
	}
	v.staleTracked = false
	changed = !sameNetwork(next, v.network)
	v.network = next
	return changed, nil
}

func (v *view) readNeighbours() error {
	now, err := readNeighbours(v.handle)
	if err != nil {
		return err
	}
	for hop, mac := range v.known {
		if _, ok := now[hop]; !ok && v.hops[hop] {
			now[hop] = mac // as in lose
		}
	}
	v.known = now
	return nil
}
