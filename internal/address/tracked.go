// SPDX-License-Identifier: Apache-2.0

package address

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// readTracked looks which of the routes are there.
func readTracked(tracked []model.TrackRoute, links []model.Link) (map[model.TrackRoute]bool, error) {
	if len(tracked) == 0 {
		return nil, nil
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	out, byTable := map[model.TrackRoute]bool{}, map[routeFilter][]model.TrackRoute{}
	for _, t := range tracked {
		of := routeFilter{family: family(t.To), table: t.Table}
		out[t], byTable[of] = false, append(byTable[of], t)
	}
	for of, asked := range byTable {
		there, err := walkRoutes(of, func(raw []byte) ([]model.TrackRoute, bool) {
			found := slices.DeleteFunc(slices.Clone(asked), func(t model.TrackRoute) bool { return !isTracked(raw, t, names) })
			return found, len(found) > 0
		})
		if err != nil {
			return nil, err
		}
		for _, t := range slices.Concat(there...) {
			out[t] = true
		}
	}
	return out, nil
}

// routeFilter narrows down what the kernel lists: of a million routes those of one table, or of one protocol.
type routeFilter struct {
	family   uint8
	table    uint32 // 0: all
	protocol uint8  // 0: whoever has made them
}

func family(p netip.Prefix) uint8 {
	if p.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// walkRoutes returns what is picked of the routes, of which it keeps nothing else.
func walkRoutes[T any](of routeFilter, pick func(raw []byte) (T, bool)) ([]T, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	defer socket.Close()
	if err := unix.SetsockoptInt(socket.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil { // or it lists all
		return nil, fmt.Errorf("netlink: %w", err)
	}
	out, err := dump(func() ([]T, error) {
		var out []T
		request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}}
		request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: of.family, Protocol: of.protocol}})
		if of.table != 0 {
			request.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(of.table)))
		}
		err := request.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, func(raw []byte) bool {
			if one, ok := pick(raw); ok {
				out = append(out, one)
			}
			return true
		})
		return out, err
	})
	switch {
	case errors.Is(err, unix.ENOENT): // nobody has put anything into that table
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return out, nil
}

// isTracked tells whether a route is the one that is asked for, and leads there.
func isTracked(raw []byte, t model.TrackRoute, names map[int]string) bool {
	if prefixLength(raw) != t.To.Bits() {
		return false
	}
	m, err := parseRouteMessage(raw)
	if err != nil || m.head.Type != unix.RTN_UNICAST || m.head.Flags&unix.RTM_F_CLONED != 0 || m.head.Protocol == virtualProtocol {
		return false
	}
	return m.destination() == t.To && number(m.attr(unix.RTA_TABLE)) == t.Table &&
		slices.ContainsFunc(m.hops(), func(h hop) bool {
			return h.flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) == 0 &&
				(!t.Via.IsValid() || h.via == t.Via) && (t.Interface == "" || names[h.link] == t.Interface)
		})
}

// prefixLength is that of a route's destination, without a look at its attributes; -1: it is no route.
func prefixLength(raw []byte) int {
	const length = 1 // offset in struct rtmsg
	if len(raw) < unix.SizeofRtMsg {
		return -1
	}
	return int(raw[length])
}

// hop is one of those that a route leads to.
type hop struct {
	link  int
	via   model.Addr // zero: who is asked for is on the link
	flags uint32
}

// hops are all of a route's. Of a nexthop object whose hops the kernel does not tell (nexthop_compat_mode 0) there is
// one, of no link.
func (m routeMessage) hops() []hop {
	multipath := m.attr(unix.RTA_MULTIPATH)
	if multipath == nil {
		return []hop{{int(number(m.attr(unix.RTA_OIF))), m.via(), m.head.Flags}}
	}
	const flags, link = 2, 4 // offsets in struct rtnexthop
	var out []hop
	for ; len(multipath) >= unix.SizeofRtNexthop; multipath = multipath[hopSize(multipath):] {
		one := hop{link: int(binary.NativeEndian.Uint32(multipath[link:])), flags: uint32(multipath[flags])}
		if attrs, err := nl.ParseRouteAttr(multipath[unix.SizeofRtNexthop:hopSize(multipath)]); err == nil {
			one.via = routeMessage{attrs: attrs}.via()
		}
		out = append(out, one)
	}
	return out
}

// via is the address of the next hop, of either family.
func (m routeMessage) via() model.Addr {
	raw := m.attr(unix.RTA_GATEWAY)
	if via := (netlink.Via{}); raw == nil && m.attr(unix.RTA_VIA) != nil && via.Decode(m.attr(unix.RTA_VIA)) == nil {
		raw = via.Addr
	}
	out, _ := toAddr(raw)
	return out
}
