// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/model"
)

// nic is an interface on which packets are balanced, or would be.
type nic struct {
	address.Device
	mode   string // "native", "generic", "none"; "": not known before a daemon runs
	reason string // why it is not native
}

// balanced are the interfaces that the daemon says; without one those of the configuration; without
// that too, all that could be meant.
func balanced(h host) []nic {
	if h.runs() {
		return ofDaemon(h)
	}
	if h.Spec != nil {
		return ofPlan(h)
	}
	var out []nic
	for _, l := range h.Network.Links {
		if l.Up && !l.Loopback && slices.ContainsFunc(l.Prefixes, isGlobal) && h.Devices[l.Index].Parent == 0 {
			out = append(out, nic{Device: h.Devices[l.Index]})
		}
	}
	return out
}

func ofDaemon(h host) []nic {
	var out []nic
	for _, i := range h.Daemon.Status.Interfaces {
		for _, d := range h.Devices {
			if d.Name == i.Name && d.Parent == 0 {
				out = append(out, nic{d, i.XDP, i.Reason})
			}
		}
	}
	return out
}

func ofPlan(h host) []nic {
	var out []nic
	for _, want := range h.desired.Dataplane.Interfaces {
		if want.Parent != 0 {
			continue
		}
		n := nic{Device: h.Devices[want.Index]}
		if want.XDP == model.XDPGeneric {
			n.mode, n.reason = want.XDP.String(), askedFor
		}
		out = append(out, n)
	}
	return out
}

// askedFor is the daemon's reason for what was meant.
const askedFor = "the config asks for it"

func xdp(h host) []api.Finding {
	var out []api.Finding
	for _, n := range h.interfaces {
		out = append(out, n.program(h)...)
	}
	return orFine(out, "no interface to balance on")
}

func (n nic) program(h host) []api.Finding {
	switch {
	case n.mode == "native":
		return fine("%s: native", n.Name)
	case n.mode == "none":
		return found(api.LevelError, n.Name+": no program", n.reason, "weir status # its problems name the way out")
	case n.mode == "generic" && n.reason == askedFor:
		return found(api.LevelNote, n.Name+": generic", "the configuration asks for it; native is several times as fast",
			"weir reload # after `xdp: auto` for "+n.Name+" under interfaces:")
	case n.mode == "generic":
		return found(api.LevelWarning, n.Name+": generic", n.reason+"; native is several times as fast", n.nativeFix(h))
	case n.Program != 0 && !h.Host.Pins.There:
		return found(api.LevelError, fmt.Sprintf("%s: somebody else's program (id %d) is on it", n.Name, n.Program),
			"there is room for one, and weir takes none off", fmt.Sprintf("ip link set dev %s xdp off # or leave it out of interfaces:", n.Name))
	case n.kindCapped(h):
		return found(api.LevelNote, fmt.Sprintf("%s: will be generic", n.Name),
			fmt.Sprintf("a veth takes native programs up to an MTU of %d at the other end", vethMTU), n.nativeFix(h))
	}
	return fine("%s: free", n.Name)
}

// vethMTU is the largest MTU of the other end with which a veth takes a native program that does not
// know of fragments of frames: a page less its headroom and tail.
const vethMTU = 3506

// kindCapped: both ends of a veth usually have the same MTU; only one of them is seen for sure.
func (n nic) kindCapped(h host) bool {
	return n.Kind == "veth" && h.link(n.Index).MTU > vethMTU && n.mode == ""
}

func (n nic) nativeFix(h host) string {
	if n.Kind == "veth" && h.link(n.Index).MTU > vethMTU {
		return fmt.Sprintf("ip link set dev %s mtu %d # at both ends", n.Name, vethMTU)
	}
	return fmt.Sprintf("ethtool -i %s # a driver with native XDP; or, if generic is meant: `xdp: generic` for it under interfaces:", n.Name)
}

// link is that of an index; zero: there is none.
func (h host) link(index int) model.Link {
	for _, l := range h.Network.Links {
		if l.Index == index {
			return l
		}
	}
	return model.Link{}
}

func gro(h host) []api.Finding {
	var out []api.Finding
	for _, n := range h.interfaces {
		if n.mode == "generic" && n.Offloads.GRO {
			out = append(out, found(api.LevelWarning, n.Name+": GRO is on, and the program is generic",
				"it gets several packets as one, which is larger than the MTU and dropped as too_big",
				fmt.Sprintf("ethtool -K %s gro off", n.Name))...)
		}
	}
	return orFine(out, "GRO puts no frames together before the program")
}

func lro(h host) []api.Finding {
	var out []api.Finding
	for _, n := range h.interfaces {
		if !n.Offloads.LRO {
			continue
		}
		level := api.LevelWarning
		if n.Program != 0 {
			level = api.LevelError
		}
		out = append(out, found(level, n.Name+": LRO is on",
			"drivers refuse a native program beside it, and what it put together cannot be sent on",
			fmt.Sprintf("ethtool -K %s lro off", n.Name))...)
	}
	return orFine(out, "LRO is off")
}

func rxVLAN(h host) []api.Finding {
	var out []api.Finding
	for _, n := range h.interfaces {
		if !n.Offloads.RxVLAN || !h.hasVLANs(n.Index) {
			continue
		}
		level, why := api.LevelNote, "weir switches it off while it runs"
		if h.runs() {
			level, why = api.LevelError, "the card takes the tag off before the program sees the frame, which then looks untagged"
		}
		out = append(out, found(level, fmt.Sprintf("%s: rxvlan is on, and it has VLAN devices", n.Name), why,
			fmt.Sprintf("ethtool -K %s rxvlan off", n.Name))...)
	}
	return orFine(out, "VLAN tags are seen where there are VLAN devices")
}

func (h host) hasVLANs(parent int) bool {
	for _, d := range h.Devices {
		if d.Parent == parent {
			return true
		}
	}
	return false
}

// vethGRO: frames by XDP_TX and redirect enter a veth only when its other end polls.
func vethGRO(h host) []api.Finding {
	return h.peers("the other ends of veths take what the program sends", "GRO is on or it has an XDP program", func(n nic, peer address.Device) []api.Finding {
		if peer.Offloads.GRO || peer.Program != 0 {
			return nil
		}
		return found(api.LevelError, fmt.Sprintf("%s, the other end of %s, has neither GRO nor an XDP program", peer.Name, n.Name),
			"without one of them it takes no frame that a program sends: all are lost, and nobody counts them",
			fmt.Sprintf("ethtool -K %s gro on", peer.Name))
	})
}

// vethChecksum: a program turns packets into frames, and nobody computes what was left for later.
func vethChecksum(h host) []api.Finding {
	return h.peers("what comes in on veths has whole checksums", "tx-checksumming is off", func(n nic, peer address.Device) []api.Finding {
		if n.mode == "generic" || !peer.Offloads.TxChecksum {
			return nil
		}
		return found(api.LevelError, fmt.Sprintf("%s, the other end of %s, leaves checksums to a card", peer.Name, n.Name),
			"there is none: what is made there arrives with half a checksum and is sent on so; receivers drop it (TcpInCsumErrors)",
			fmt.Sprintf("ethtool -K %s tx off", peer.Name))
	})
}

// peers asks about the other end of every veth. One in another namespace can only be pointed at.
func (h host) peers(well, wanted string, ask func(nic, address.Device) []api.Finding) []api.Finding {
	var out []api.Finding
	for _, n := range h.interfaces {
		if n.Kind != "veth" {
			continue
		}
		if n.Peer != 0 {
			out = append(out, ask(n, h.Devices[n.Peer])...)
			continue
		}
		out = append(out, found(api.LevelNote, fmt.Sprintf("the other end of %s is not in this network namespace", n.Name),
			"whether "+wanted+" there cannot be seen from here", "ethtool -k IFACE # there, with its name")...)
	}
	return orFine(out, "%s", well)
}
