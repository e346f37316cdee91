// SPDX-License-Identifier: Apache-2.0

package address

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// Route is one of the kernel's routes that lead away from this host.
type Route struct {
	Destination netip.Prefix
	Link        string // the name of its link; of several, the first
	MSS         int    // the TCP segment size that it makes the host offer
	Stuck       string // why it cannot be given another one; empty: it can

	id      routeID
	advmss  int // as it says itself; 0: it follows the MTU
	message routeMessage
}

// routeID is what the kernel knows a route by. A route of another table, metric or TOS is another one.
type routeID struct {
	destination netip.Prefix
	table       uint32
	metric      uint32
	tos         uint8
	link        int // 0: several
}

// routeMessage is a route as the kernel tells it. It is kept whole, so that what weir does not know of
// it stays when it is written again.
type routeMessage struct {
	head  unix.RtMsg
	attrs []syscall.NetlinkRouteAttr
}

// rtaNexthopID is RTA_NH_ID of linux/rtnetlink.h: the route uses a nexthop object.
const rtaNexthopID = 30

// Headers in front of a segment: IP without options, and TCP's.
const (
	segmentHeaders4 = 20 + 20
	segmentHeaders6 = 40 + 20
)

// Routes reads those of all tables, but the local one, that lead to the network.
func Routes() ([]Route, error) {
	handle, err := open()
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	list, err := readLinks(handle)
	if err != nil {
		return nil, err
	}
	links := map[int]model.Link{}
	for _, l := range list {
		links[l.Index] = l
	}
	var out []Route
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		messages, err := dump(func() ([][]byte, error) { return dumpRoutes(family) })
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, m := range messages {
			if r, ok := parseRoute(m, links); ok {
				out = append(out, r)
			}
		}
	}
	return markTwins(out), nil
}

func dumpRoutes(family uint8) ([][]byte, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
	return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE)
}

// parseRoute returns false for what leads nowhere else: local and unreachable ones, those of the
// loopback interface, and those to link-local addresses, from which no client comes.
func parseRoute(raw []byte, links map[int]model.Link) (Route, bool) {
	m, err := parseRouteMessage(raw)
	if err != nil || m.head.Type != unix.RTN_UNICAST || m.head.Flags&unix.RTM_F_CLONED != 0 {
		return Route{}, false
	}
	r := Route{id: m.id(), advmss: m.metric(unix.RTAX_ADVMSS), Stuck: m.stuck(), message: m}
	r.Destination = r.id.destination
	hops := m.links()
	if r.id.table == unix.RT_TABLE_LOCAL || len(hops) == 0 || links[hops[0]].Loopback || isLinkLocal(r.Destination) {
		return Route{}, false
	}
	r.Link = links[hops[0]].Name
	r.MSS = r.advmss
	if r.MSS == 0 {
		r.MSS = m.mtu(hops, links) - segmentHeaders(r.Destination)
	}
	return r, true
}

func isLinkLocal(p netip.Prefix) bool {
	return p.Bits() > 0 && (p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast())
}

func segmentHeaders(destination netip.Prefix) int {
	if destination.Addr().Is4() {
		return segmentHeaders4
	}
	return segmentHeaders6
}

// markTwins: of two routes that only their link tells apart, the kernel would replace either.
func markTwins(routes []Route) []Route {
	seen := map[routeID]int{}
	for i := range routes {
		id := routes[i].id
		id.link = 0
		if first, ok := seen[id]; ok {
			const why = "there is another one with the same destination and metric"
			routes[i].Stuck, routes[first].Stuck = why, why
		}
		seen[id] = i
	}
	return routes
}

func parseRouteMessage(raw []byte) (routeMessage, error) {
	if len(raw) < unix.SizeofRtMsg {
		return routeMessage{}, unix.EINVAL
	}
	attrs, err := nl.ParseRouteAttr(raw[unix.SizeofRtMsg:])
	return routeMessage{nl.DeserializeRtMsg(raw).RtMsg, attrs}, err
}

// attr returns the value of an attribute; nil: there is none.
func (m routeMessage) attr(kind uint16) []byte {
	for _, a := range m.attrs {
		if a.Attr.Type == kind {
			return a.Value
		}
	}
	return nil
}

// number is the value of an attribute of 32 bits; 0: there is none.
func number(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(value)
}

func (m routeMessage) id() routeID {
	id := routeID{
		destination: m.destination(),
		table:       number(m.attr(unix.RTA_TABLE)),
		metric:      number(m.attr(unix.RTA_PRIORITY)),
		tos:         m.head.Tos,
	}
	if hops := m.links(); len(hops) == 1 {
		id.link = hops[0]
	}
	return id
}

// destination: the default route has none in its message.
func (m routeMessage) destination() netip.Prefix {
	a := netip.IPv4Unspecified()
	if m.head.Family == unix.AF_INET6 {
		a = netip.IPv6Unspecified()
	}
	if told, ok := netip.AddrFromSlice(m.attr(unix.RTA_DST)); ok {
		a = told
	}
	return netip.PrefixFrom(a, int(m.head.Dst_len))
}

// metric is one of the route's RTAX_ values; 0: it does not say.
func (m routeMessage) metric(kind uint16) int {
	metrics, err := nl.ParseRouteAttr(m.attr(unix.RTA_METRICS))
	if err != nil {
		return 0
	}
	return int(number(routeMessage{attrs: metrics}.attr(kind)))
}

// links are the indexes of all links that it leads to.
func (m routeMessage) links() []int {
	var out []int
	for _, h := range m.hops() {
		if h.link != 0 {
			out = append(out, h.link)
		}
	}
	return out
}

// hopSize is the length of the struct rtnexthop at the beginning, with its attributes.
func hopSize(hops []byte) int {
	size := (int(binary.NativeEndian.Uint16(hops)) + unix.RTA_ALIGNTO - 1) &^ (unix.RTA_ALIGNTO - 1)
	return min(max(size, unix.SizeofRtNexthop), len(hops))
}

// mtu is the route's own, or else the largest of its links.
func (m routeMessage) mtu(hops []int, links map[int]model.Link) int {
	if own := m.metric(unix.RTAX_MTU); own != 0 {
		return own
	}
	var out int
	for _, index := range hops {
		out = max(out, links[index].MTU)
	}
	return out
}

// stuck says why the route cannot be replaced by one that differs in a metric alone. The kernel marks
// the routes that it makes of router advertisements, and nobody else can: after a replacement it would
// not find its own again.
func (m routeMessage) stuck() string {
	const expires = 8 // offset in struct rta_cacheinfo
	cache := m.attr(unix.RTA_CACHEINFO)
	switch {
	case m.head.Family != unix.AF_INET6:
		return ""
	case m.head.Protocol == unix.RTPROT_RA:
		return "it comes from router advertisements"
	case len(cache) >= expires+4 && number(cache[expires:]) != 0:
		return "it expires"
	}
	return ""
}

// write replaces the route by one that offers another segment size; 0: as the MTU has it.
func (m routeMessage) write(mss int) error {
	request := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_ACK|unix.NLM_F_REPLACE)
	head := m.head
	head.Flags &= keptHopFlags
	request.AddData(&nl.RtMsg{RtMsg: head})
	for _, a := range m.attrs {
		if value, ok := m.kept(a); ok {
			request.AddData(nl.NewRtAttr(int(a.Attr.Type), value))
		}
	}
	metrics, object := m.metrics(mss), m.attr(rtaNexthopID) != nil
	if metrics.Len() > unix.SizeofRtAttr || object { // without any, the kernel takes the route that uses the object already
		request.AddData(metrics)
	}
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// keptHopFlags: all others are the kernel's to tell, not ours to set.
const keptHopFlags = unix.RTNH_F_ONLINK | unix.RTNH_F_PERVASIVE

// kept is what an attribute is to say when the route is written again. Those of a nexthop object
// are told beside it, but must not be said again.
func (m routeMessage) kept(a syscall.NetlinkRouteAttr) ([]byte, bool) {
	switch a.Attr.Type {
	case unix.RTA_METRICS, unix.RTA_CACHEINFO:
		return nil, false
	case unix.RTA_OIF, unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE:
		return a.Value, m.attr(rtaNexthopID) == nil
	case unix.RTA_MULTIPATH:
		return withoutHopFlags(a.Value), m.attr(rtaNexthopID) == nil
	}
	return a.Value, true
}

func withoutHopFlags(multipath []byte) []byte {
	const flags = 2 // offset in struct rtnexthop
	out := append([]byte(nil), multipath...)
	for hops := out; len(hops) >= unix.SizeofRtNexthop; hops = hops[hopSize(hops):] {
		hops[flags] &= keptHopFlags
	}
	return out
}

// metrics are the route's, with another segment size.
func (m routeMessage) metrics(mss int) *nl.RtAttr {
	out := nl.NewRtAttr(unix.RTA_METRICS, nil)
	have, err := nl.ParseRouteAttr(m.attr(unix.RTA_METRICS))
	for _, a := range have {
		if err == nil && a.Attr.Type != unix.RTAX_ADVMSS {
			out.AddRtAttr(int(a.Attr.Type), a.Value)
		}
	}
	if mss != 0 {
		out.AddRtAttr(unix.RTAX_ADVMSS, nl.Uint32Attr(uint32(mss)))
	}
	return out
}
