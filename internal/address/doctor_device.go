// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Device is what a network interface is made of: what `weir doctor` must know of it and the plan need
// not.
type Device struct {
	Name      string
	Index     int
	Kind      string // "veth", "vlan", "bridge"; "device" is a card
	Peer      int    // of a veth: index of the other end, where that is in this namespace; 0: it is not
	Parent    int    // of a VLAN device: index of the interface below it; 0: it is none
	Program   uint32 // id of the XDP program on it; 0: none
	Default4  bool   // an IPv4 default route leads out there
	Multicast bool   // it says that it has multicast
	Ingress   bool   // it has an ingress qdisc, which leaves no room for clsact
	Before    string // a filter of others' that sees what leaves before that of checks: "u32, pref 9"; "": none
	Offloads  Offloads
}

// kindVeth is the kernel's name of virtual Ethernet pairs.
const kindVeth = "veth"

// Devices looks at every interface of the calling thread's namespace, by index.
func Devices() (map[int]Device, error) {
	handle, err := open()
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	list, err := dumpLinks(handle)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	ways, err := defaultWays(handle)
	if err != nil {
		return nil, err
	}
	out := map[int]Device{}
	for _, l := range list {
		device, err := toDevice(l)
		if errors.Is(err, unix.ENODEV) {
			continue // gone since it was listed
		}
		if err != nil {
			return nil, err
		}
		device.Default4 = ways[device.Index]
		out[device.Index] = device
	}
	return keepPeers(out), addFilters(handle, out)
}

func toDevice(l netlink.Link) (Device, error) {
	attrs := l.Attrs()
	out := Device{Name: attrs.Name, Index: attrs.Index, Kind: l.Type(), Multicast: attrs.Flags&net.FlagMulticast != 0}
	if xdp := attrs.Xdp; xdp != nil && xdp.Attached {
		out.Program = xdp.ProgId
	}
	switch {
	case out.Kind == kindVeth && attrs.NetNsID < 0: // the other end is in no namespace that has a number here
		out.Peer = attrs.ParentIndex
	case out.Kind == "vlan":
		out.Parent = attrs.ParentIndex
	}
	var err error
	out.Offloads, err = ReadOffloads(attrs.Name)
	return out, err
}

// keepPeers forgets the other ends of veths that are not among the devices: indexes count anew in
// every namespace, so a peer is believed only if it names this end as its own peer.
func keepPeers(devices map[int]Device) map[int]Device {
	for index, d := range devices {
		if d.Peer == 0 {
			continue
		}
		if other, ok := devices[d.Peer]; !ok || other.Kind != kindVeth || other.Peer != index {
			d.Peer = 0
			devices[index] = d
		}
	}
	return devices
}

// defaultWays are the interfaces that have an IPv4 default route.
func defaultWays(handle *netlink.Handle) (map[int]bool, error) {
	routes, err := dump(func() ([]netlink.Route, error) { return handle.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	out := map[int]bool{}
	for _, r := range routes {
		if !isDefault(r.Dst) {
			continue
		}
		out[r.LinkIndex] = true
		for _, path := range r.MultiPath {
			out[path.LinkIndex] = true
		}
	}
	return out, nil
}
