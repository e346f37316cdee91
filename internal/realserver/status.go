// SPDX-License-Identifier: Apache-2.0

package realserver

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// again is the way out of most problems.
const again = "run `weir realserver up` again, as before"

// Look compares what Up was asked for last with what is there.
func Look(state string) (api.RealServer, error) {
	want, err := readWant(state)
	if err != nil {
		return api.RealServer{}, err
	}
	if len(want.VIPs) == 0 {
		return nothing(), nil
	}
	network, err := address.Look(nil)
	if err != nil {
		return api.RealServer{}, err
	}
	l := look{want: want, network: network, found: empty()}
	if l.in, err = interfaces(network, want); err != nil {
		l.complain("no packet comes in", err.Error(), again)
	}
	l.lookAtVIPs()
	if err := l.lookAtSettings(); err != nil {
		return api.RealServer{}, err
	}
	if err := l.lookAtDecap(); err != nil {
		return api.RealServer{}, err
	}
	return l.found, nil
}

func empty() api.RealServer {
	return api.RealServer{VIPs: []api.VIP{}, Settings: []api.Setting{}, Problems: []api.Problem{}}
}

// nothing is what is found before up, and after down.
func nothing() api.RealServer {
	out := empty()
	out.Problems = append(out.Problems, api.Problem{
		What: "this host is no real server",
		Why:  "`weir realserver up` was not called, or undone by `down`",
		Fix:  "weir realserver up --vip ADDRESS",
	})
	return out
}

// look is a comparison on its way.
type look struct {
	want    Want
	network model.Network
	in      []model.Link // on which packets come in
	found   api.RealServer
}

func (l *look) complain(what, why, fix string) {
	l.found.Problems = append(l.found.Problems, api.Problem{What: what, Why: why, Fix: fix})
}

func (l *look) lookAtVIPs() {
	for _, vip := range l.want.VIPs {
		held := holds(l.network, vip)
		l.found.VIPs = append(l.found.VIPs, api.VIP{Address: vip.String(), Held: held})
		if !held {
			l.complain(fmt.Sprintf("%s is not on lo", vip), "somebody removed it, or the host was started again", again)
		}
	}
}

func holds(network model.Network, vip netip.Addr) bool {
	return slices.ContainsFunc(network.Links, func(l model.Link) bool {
		return l.Name == loopback && slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Addr() == vip })
	})
}

func (l *look) lookAtSettings() error {
	list, err := settings(l.want, l.in)
	if err != nil {
		return err
	}
	for _, s := range list {
		value, err := read(s.path)
		if err != nil {
			return err
		}
		l.found.Settings = append(l.found.Settings, api.Setting{Path: s.path, Value: value, Least: s.least})
		if value < s.least {
			l.complain(fmt.Sprintf("%s is %d", s.path, value), fmt.Sprintf("a real server needs %d", s.least), again)
		}
	}
	return nil
}

func (l *look) lookAtDecap() error {
	if !l.want.Tunnel {
		return nil
	}
	there, err := dataplane.ReadDecap(l.want.BPFFS)
	if err != nil {
		return err
	}
	out := &api.Decapsulation{Interfaces: []api.Interface{}, Tunnels: []string{}, Counters: api.Counters{}}
	for _, link := range l.in {
		out.Interfaces = append(out.Interfaces, attachment(link, there))
		if !isAttached(link, there) {
			l.complain("tunnels are not taken apart on "+link.Name, "the program is not attached there", again)
		}
	}
	for _, a := range there.Tunnels {
		out.Tunnels = append(out.Tunnels, a.String())
	}
	for _, v := range there.Verdicts {
		out.Counters[v.Name] = v.Count
	}
	l.found.Decapsulation = out
	l.compare("tunnels to %s are not taken apart", decap(l.want, l.network, l.in).Tunnels, there.Tunnels)
	l.compare("packets for %s are left in the tunnel", l.want.VIPs, there.VIPs)
	return nil
}

func isAttached(link model.Link, there dataplane.Decap) bool {
	return slices.ContainsFunc(there.Interfaces, func(i dataplane.DecapInterface) bool { return i.Index == link.Index })
}

func attachment(link model.Link, there dataplane.Decap) api.Interface {
	for _, i := range there.Interfaces {
		if i.Index == link.Index && i.Mode == model.XDPNative {
			return api.Interface{Name: link.Name, XDP: "native"}
		}
		if i.Index == link.Index {
			return api.Interface{Name: link.Name, XDP: "generic", Reason: "the driver refuses native XDP"}
		}
	}
	return api.Interface{Name: link.Name, XDP: "none", Reason: "the program is not attached"}
}

// compare complains about each address that the program should know.
func (l *look) compare(what string, want, have []netip.Addr) {
	for _, a := range want {
		if !slices.Contains(have, a) {
			l.complain(fmt.Sprintf(what, a), "the program was not told about it, the address may have come later", again)
		}
	}
}
