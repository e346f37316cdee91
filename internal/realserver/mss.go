// SPDX-License-Identifier: Apache-2.0

package realserver

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// A client sends segments as large as the server offers to take. With a tunnel's headers around them
// they must still fit into the MTU between director and server, or the director can only drop them
// and say so, which not every client hears. What a server offers is a matter of the route to the
// client: its advmss.

const (
	ipv4Headers = 20 + 20 // IP's and TCP's
	ipv6More    = 20      // what IPv6's header is larger by
	leastMSS    = 536     // every host takes as much, RFC 9293 section 3.7.1
)

func applyMSS(journal *address.Journal, want Want, network model.Network, in []model.Link) error {
	if err := journal.LimitMSS(mssLimit(want, network, in)); err != nil {
		return fmt.Errorf("%w: or leave routes as they are, with --mss off", err)
	}
	return nil
}

// mssLimit says how large the segments of the clients behind a route may be; 0: as the route has it.
func mssLimit(want Want, network model.Network, in []model.Link) func(address.Route) int {
	mss := mssOf(want, network, in)
	four := slices.ContainsFunc(want.VIPs, netip.Addr.Is4)
	six := slices.ContainsFunc(want.VIPs, netip.Addr.Is6)
	return func(r address.Route) int {
		switch is4 := r.Destination.Addr().Is4(); {
		case mss == 0:
			return 0
		case is4 && four:
			return mss
		case !is4 && six:
			return mss - ipv6More
		}
		return 0
	}
}

// mssOf is the limit for IPv4; 0: there is none. Which of the host's addresses the director tunnels
// to, and with which checksums, nobody here knows: it makes room for the largest headers.
func mssOf(want Want, network model.Network, in []model.Link) int {
	switch {
	case want.MSS > 0:
		return want.MSS
	case want.MSS == MSSOff || !want.Tunnel || len(in) == 0:
		return 0
	}
	kind, _ := model.ParseTunnelType(want.TunnelType) // none, of an earlier version: the first
	tunnel, overhead := model.Tunnel{Type: kind, Checksum: true}, 0
	for _, a := range ends(want, network) {
		overhead = max(overhead, tunnel.Overhead(a))
	}
	mtu := in[0].MTU
	for _, link := range in {
		mtu = min(mtu, link.MTU)
	}
	return max(mtu-overhead-ipv4Headers, leastMSS)
}
