// SPDX-License-Identifier: Apache-2.0

// Package realserver makes a host a real server of DR and TUN services: it holds the virtual
// addresses without telling anybody, and takes packets out of the director's tunnels. Nothing of it
// keeps running; everything is in the kernel, and in files below --state that say how to undo it.
//
// It knows no services and asks no director. Read Up and Down here first, then settings.go and
// mss.go for what the kernel must be told, and status.go for what is compared later.
package realserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// Want is what a real server shall be.
type Want struct {
	VIPs       []netip.Addr `json:"vips"`
	Tunnel     bool         `json:"tunnel,omitempty"`     // packets come in tunnels
	Interfaces []string     `json:"interfaces,omitempty"` // on which packets come in; none: all that have an address
	BPFFS      string       `json:"bpffs,omitempty"`      // with Tunnel: where the program is pinned
	GUEPorts   []uint16     `json:"gue_ports,omitempty"`  // with Tunnel: UDP ports on which GUE comes in

	TunnelType string `json:"tunnel_type,omitempty"` // with Tunnel: for which MSSAuto makes room, by the config's name; all are taken apart
	MSS        int    `json:"mss,omitempty"`         // the largest segments that clients may send over IPv4, or one of the next two
}

// Values of Want.MSS that are no size.
const (
	MSSAuto = 0  // with Tunnel: so large that a packet and its tunnel fit into the MTU; else MSSOff
	MSSOff  = -1 // routes stay as they are
)

// loopback holds the VIPs: the host answers for them, and is not asked about them.
const loopback = "lo"

// Up makes this host the real server that is wanted, whatever it was before. It may be called again.
// State is a directory. ARP is silenced before there is a VIP that it could speak of.
func Up(ctx context.Context, state string, want Want, log *slog.Logger) error {
	journal, err := openJournal(state)
	if err != nil {
		return err
	}
	network, err := address.Look(nil)
	if err != nil {
		return err
	}
	in, err := interfaces(network, want)
	if err != nil {
		return err
	}
	if err := remember(state, want); err != nil {
		return err
	}
	if err := applySettings(journal, want, in); err != nil {
		return err
	}
	if err := address.NewTarget(journal, nil, log).Apply(ctx, model.AddressWant{VIPs: vips(want)}); err != nil {
		return err
	}
	if want.Tunnel {
		if err := dataplane.AttachDecap(want.BPFFS, decap(want, network, in)); err != nil {
			return err
		}
	}
	return applyMSS(journal, want, network, in)
}

// remember writes the want down, after what only the one before it wanted is gone from the bpffs.
func remember(state string, want Want) error {
	before, err := readWant(state)
	if err != nil {
		return err
	}
	if before.Tunnel && (!want.Tunnel || before.BPFFS != want.BPFFS) {
		if err := dataplane.DetachDecap(before.BPFFS); err != nil {
			return err
		}
	}
	return writeWant(state, want)
}

// Down makes the host what it was before Up, also after a crash. Where nothing is up it does nothing.
func Down(state string) error {
	want, err := readWant(state)
	if err != nil {
		return err
	}
	journal, err := openJournal(state)
	if err != nil {
		return err
	}
	if want.Tunnel {
		if err := dataplane.DetachDecap(want.BPFFS); err != nil {
			return err
		}
	}
	if err := journal.Restore(); err != nil {
		return err
	}
	return removeWant(state)
}

func openJournal(state string) (*address.Journal, error) {
	return address.OpenJournal(filepath.Join(state, "realserver.json"))
}

func vips(want Want) []model.VIP {
	out := make([]model.VIP, len(want.VIPs))
	for i, a := range want.VIPs {
		out[i] = model.VIP{Address: a, Interface: loopback}
	}
	return out
}

// interfaces finds the links on which packets for the VIPs come in.
func interfaces(network model.Network, want Want) ([]model.Link, error) {
	if len(want.Interfaces) > 0 {
		return named(network, want.Interfaces)
	}
	var out []model.Link
	for _, link := range network.Links {
		if link.Up && len(own(link, want)) > 0 {
			out = append(out, link)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no interface is up and has an address: bring one up, or name it")
	}
	return out, nil
}

func named(network model.Network, names []string) ([]model.Link, error) {
	var out []model.Link
	for _, name := range names {
		i := slices.IndexFunc(network.Links, func(l model.Link) bool { return l.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("interface %s: there is none of that name", name)
		}
		if network.Links[i].Loopback {
			return nil, fmt.Errorf("interface %s: no packets come in there", name)
		}
		out = append(out, network.Links[i])
	}
	return out, nil
}

// own are the addresses of a link by which a director can reach the host.
func own(link model.Link, want Want) []netip.Addr {
	var out []netip.Addr
	for _, prefix := range link.Prefixes {
		a := prefix.Addr()
		if a.IsGlobalUnicast() && !link.Loopback && !slices.Contains(want.VIPs, a) {
			out = append(out, a)
		}
	}
	return out
}

// decap takes packets out of tunnels to any address of the host: which one the director was told,
// and on which link that is, nobody here knows.
func decap(want Want, network model.Network, in []model.Link) dataplane.DecapWant {
	return dataplane.DecapWant{Interfaces: in, VIPs: want.VIPs, Tunnels: ends(want, network), GUEPorts: want.GUEPorts}
}

// ends are the addresses to which a director may tunnel.
func ends(want Want, network model.Network) []netip.Addr {
	var out []netip.Addr
	for _, link := range network.Links {
		out = append(out, own(link, want)...)
	}
	return out
}
