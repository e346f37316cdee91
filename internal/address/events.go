// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// event is what the kernel tells about the host's network, as far as it matters here.
type event struct {
	kind eventKind
	link int          // linkUp, linkDown
	hop  model.Hop    // neighbour…, and addressGone: the address, on its link
	mac  model.MAC    // neighbourKnown
	to   netip.Prefix // routeChanged
	ours bool         // routeChanged: one of a virtual router is gone
}

type eventKind uint8

const (
	networkChanged  eventKind = iota // links, addresses or next hops
	routeChanged                     // the same, of one route
	linkUp                           // the same, and this link can carry packets…
	linkDown                         // …or cannot
	neighbourKnown                   // the kernel has a valid MAC
	neighbourFailed                  // nobody answers; the kernel forgot the MAC
	neighbourGone                    // the entry was deleted
	addressGone                      // the host has it no more
	detourGone                       // a route or a qdisc that checks through VIPs may need
	overrun                          // the kernel dropped events: what we know may be wrong
)

// subscription is a socket on which the kernel reports changes.
type subscription struct {
	socket *nl.NetlinkSocket
	err    error // why events ended; to be read after they were closed
	events chan event
}

// subscribe begins to listen in the network namespace of the calling thread. Nothing that happens
// from now on is missed: it is in the socket's buffer, or an overrun is reported.
func subscribe(groups ...uint) (*subscription, error) {
	const buffer = 1 << 20 // a link that comes up with a thousand neighbours
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, groups...)
	if err != nil {
		return nil, fmt.Errorf("netlink: subscribe: %w", err)
	}
	if err := socket.SetReceiveBufferSize(buffer, true); err != nil {
		socket.Close()
		return nil, fmt.Errorf("netlink: receive buffer: %w", err)
	}
	return &subscription{socket: socket, events: make(chan event, 64)}, nil
}

// Run hands out events until ctx is done or the socket breaks; then it closes events.
func (s *subscription) Run(ctx context.Context) {
	defer close(s.events)
	stop := context.AfterFunc(ctx, s.socket.Close)
	defer func() {
		if stop() {
			s.socket.Close()
		}
	}()
	for ctx.Err() == nil {
		messages, from, err := s.socket.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			s.hand(ctx, event{kind: overrun})
		case ctx.Err() != nil:
			return // the socket was closed under Receive
		case err != nil:
			s.err = fmt.Errorf("netlink: receive: %w", err)
			return
		case from.Pid == nl.PidKernel:
			s.handAll(ctx, messages)
		}
	}
}

// wait returns when Run has ended. Its context must be done.
func (s *subscription) wait() {
	for range s.events {
	}
}

func (s *subscription) handAll(ctx context.Context, messages []syscall.NetlinkMessage) {
	for _, m := range messages {
		if e, ok := parseEvent(m); ok {
			s.hand(ctx, e)
		}
	}
}

func (s *subscription) hand(ctx context.Context, e event) {
	select {
	case s.events <- e:
	case <-ctx.Done():
	}
}

// parseEvent says what a message means; false: nothing to us.
func parseEvent(m syscall.NetlinkMessage) (event, bool) {
	switch m.Header.Type {
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		return parseNeighbourEvent(m)
	case unix.RTM_NEWLINK:
		return parseLinkEvent(m)
	case unix.RTM_DELADDR:
		return parseAddressEvent(m), true
	case unix.RTM_DELQDISC, unix.RTM_DELTFILTER:
		return event{kind: detourGone}, true
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return parseRouteEvent(m)
	}
	return event{kind: networkChanged}, true
}

func parseRouteEvent(m syscall.NetlinkMessage) (event, bool) {
	added := m.Header.Type == unix.RTM_NEWROUTE
	r, err := parseRouteMessage(m.Data)
	switch {
	case err != nil:
		return event{kind: networkChanged}, true
	case r.head.Protocol != Protocol:
		return event{kind: routeChanged, to: r.destination(), ours: !added && r.head.Protocol == virtualProtocol}, true
	case added: // nobody but weir makes one, and no server is behind it
		return event{}, false
	}
	return event{kind: detourGone}, true
}

func parseLinkEvent(m syscall.NetlinkMessage) (event, bool) {
	link, err := netlink.LinkDeserialize(nil, m.Data)
	if err != nil {
		return event{kind: networkChanged}, true
	}
	e := event{kind: linkDown, link: link.Attrs().Index}
	if isUp(link.Attrs()) {
		e.kind = linkUp
	}
	return e, true
}

func parseNeighbourEvent(m syscall.NetlinkMessage) (event, bool) {
	n, err := netlink.NeighDeserialize(m.Data)
	if err != nil {
		return event{}, false
	}
	hop, ok := toHop(*n)
	e := event{hop: hop, mac: validMAC(*n)}
	switch {
	case m.Header.Type == unix.RTM_DELNEIGH:
		e.kind = neighbourGone
	case e.mac != (model.MAC{}):
		e.kind = neighbourKnown
	case n.State&netlink.NUD_FAILED != 0:
		e.kind = neighbourFailed
	default: // being resolved
		return event{}, false
	}
	return e, ok
}

// parseAddressEvent says which address is gone. One that cannot be read has changed the network all the same.
func parseAddressEvent(m syscall.NetlinkMessage) event {
	changed := event{kind: networkChanged}
	if len(m.Data) < unix.SizeofIfAddrmsg {
		return changed
	}
	attributes, err := nl.ParseRouteAttr(m.Data[unix.SizeofIfAddrmsg:])
	if err != nil {
		return changed
	}
	gone := event{kind: addressGone, hop: model.Hop{Link: int(nl.DeserializeIfAddrmsg(m.Data).Index)}}
	for _, a := range attributes {
		own := a.Attr.Type == unix.IFA_LOCAL // of IPv4; IFA_ADDRESS is then the other end's, if there is one
		if own || a.Attr.Type == unix.IFA_ADDRESS && !gone.hop.Address.IsValid() {
			gone.hop.Address, _ = toAddr(a.Value)
		}
	}
	return gone
}
