// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Redundancy is how two directors agree by VRRP who of them has the VIP.
type Redundancy struct {
	Advertise time.Duration
	Preempt   string // as the configuration has it: true, false, {delay: 1m}
	Unicast   bool   // they talk to each other alone; otherwise to whoever is on the front LAN
	Witness   bool   // before a backup takes over, the router must answer, and nobody for the VIP
	Signed    string // mode of auth, with the keys of WriteRouterKeys; "": adverts are not signed
}

// RouterID is that of the virtual routers of the VIP, one of each family.
const RouterID = 51

// priorities of the first director and of the second. A backup of 200 waits for three adverts and a fifth of one.
var priorities = [2]uint8{210, 200}

// RouterName is that of the virtual router of a family.
func RouterName(f Family) string { return "front-" + string(f) }

// VirtualRouters is what a director's configuration has behind the services, for the VIP to be the master's.
func (l *Lab) VirtualRouters(d *Director, r Redundancy) string {
	var out strings.Builder
	out.WriteString("vrrp:\n")
	for _, f := range Families() {
		fmt.Fprintf(&out, "  - {name: %s, interface: %s, id: %d, priority: %d, advertise: %s, preempt: %s, addresses: [%s]%s}\n",
			RouterName(f), FirstLink, RouterID, priorities[l.number(d)], r.Advertise, r.Preempt, l.virtualAddresses(f), l.talks(d, r, f))
	}
	return out.String()
}

// number counts directors from 0.
func (l *Lab) number(d *Director) int {
	for i, other := range l.Directors {
		if other == d {
			return i
		}
	}
	return -1
}

// LinkLocal is the link-local address that goes with the VIP, first in its virtual router (RFC 9568 section 5.2.9).
var LinkLocal = netip.MustParseAddr("fe80::10")

func (l *Lab) virtualAddresses(f Family) string {
	front := l.front()
	if f == IPv4 {
		return fmt.Sprintf("%q", netip.PrefixFrom(l.VIP.IPv4, front.ipv4.Bits()))
	}
	return fmt.Sprintf("%q, %q", LinkLocal, netip.PrefixFrom(l.VIP.IPv6, front.ipv6.Bits()))
}

// talks says between whom adverts go, and how they are known.
func (l *Lab) talks(d *Director, r Redundancy, f Family) string {
	out := ""
	if r.Unicast {
		out = fmt.Sprintf(", source: %q, peers: [%s]", d.Address.In(f), l.peers(d, f))
	}
	if r.Witness {
		out += fmt.Sprintf(", witness: [%q]", l.front().host(routerHost).In(f))
	}
	if r.Signed != "" {
		out += fmt.Sprintf(", auth: {key_file: %q, mode: %s}", l.routerKeys(), r.Signed)
	}
	return out
}

// routerKeys is the file with the keys of virtual routers of all directors. Each reads it when it reloads.
func (l *Lab) routerKeys() string { return filepath.Join(l.room.dir, "vrrp.key") }

// WriteRouterKeys has it have these lines.
func (l *Lab) WriteRouterKeys(text string) error {
	const mode = 0o600
	if err := os.WriteFile(l.routerKeys(), []byte(text), mode); err != nil || l.confined == nil {
		return err
	}
	return l.confined.own(l.routerKeys())
}

// peers are the addresses of the other directors.
func (l *Lab) peers(d *Director, f Family) string {
	var peers []string
	for _, other := range l.Directors {
		if other != d {
			peers = append(peers, fmt.Sprintf("%q", other.Address.In(f)))
		}
	}
	return strings.Join(peers, ", ")
}
