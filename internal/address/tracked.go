// SPDX-License-Identifier: Apache-2.0

package address

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
)

// readTracked looks which of the routes are there. It walks over all of the host's, which may be a million, and so reads
// no more than the beginning of those that nobody asks for, and keeps none.
func readTracked(tracked []model.TrackRoute, links []model.Link) (map[model.TrackRoute]bool, error) {
	if len(tracked) == 0 {
		return nil, nil
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	for try := 1; ; try++ {
		out, err := walkTracked(tracked, names)
		if !interrupted(err, try) {
			return out, err
		}
	}
}

func walkTracked(tracked []model.TrackRoute, names map[int]string) (map[model.TrackRoute]bool, error) {
	out := map[model.TrackRoute]bool{}
	for _, t := range tracked {
		out[t] = false
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var asked []model.TrackRoute
		for _, t := range tracked {
			if t.To.Addr().Is4() == (family == unix.AF_INET) {
				asked = append(asked, t)
			}
		}
		if len(asked) == 0 {
			continue
		}
		err := eachRoute(family, func(raw []byte) {
			for _, t := range asked {
				out[t] = out[t] || isTracked(raw, t, names)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
	}
	return out, nil
}

// eachRoute hands out the routes of a family one by one.
func eachRoute(family uint8, each func(raw []byte)) error {
	request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
	return request.ExecuteIter(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, func(raw []byte) bool {
		each(raw)
		return true
	})
}

// isTracked tells whether a route is the one that is asked for, and leads there.
func isTracked(raw []byte, t model.TrackRoute, names map[int]string) bool {
	const length = 1 // offset of the destination's in struct rtmsg
	if len(raw) < unix.SizeofRtMsg || int(raw[length]) != t.To.Bits() {
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
