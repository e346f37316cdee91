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
	if err := l.lookAtRoutes(); err != nil {
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
	for _, port := range there.GUEPorts {
		out.GUEPorts = append(out.GUEPorts, int(port))
	}
	for _, v := range there.Verdicts {
		out.Counters[v.Name] = v.Count
	}
	l.found.Decapsulation = out
	compare(l, "tunnels to %v are not taken apart", ends(l.want, l.network), there.Tunnels)
	compare(l, "packets for %v are left in the tunnel", l.want.VIPs, there.VIPs)
	compare(l, "GUE to port %v is not taken apart", l.want.GUEPorts, there.GUEPorts)
	return nil
}

// lookAtRoutes: where segments are not limited, routes are nobody's business.
func (l *look) lookAtRoutes() error {
	limit := mssLimit(l.want, l.network, l.in)
	routes, err := address.Routes()
	if err != nil {
		return err
	}
	for _, r := range routes {
		most := limit(r)
		if most == 0 {
			continue
		}
		l.found.Routes = append(l.found.Routes, api.MSSRoute{
			Destination: r.Destination.String(), Interface: r.Link, MSS: r.MSS, Most: most,
		})
		if r.MSS > most {
			l.complainAboutRoute(r, most)
		}
	}
	return nil
}

func (l *look) complainAboutRoute(r address.Route, most int) {
	what := fmt.Sprintf("clients behind route %s on %s may send segments of %d bytes, too large by %d for the tunnel",
		r.Destination, r.Link, r.MSS, r.MSS-most)
	if r.Stuck != "" {
		l.complain(what, "the route cannot be changed: "+r.Stuck,
			fmt.Sprintf("set its advmss to %d where it is configured, or let the path from the director have a larger MTU", most))
		return
	}
	l.complain(what, "the route came later, or somebody made it anew", again)
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

// compare complains about each address or port that the program should know.
func compare[T comparable](l *look, what string, want, have []T) {
	for _, a := range want {
		if !slices.Contains(have, a) {
			l.complain(fmt.Sprintf(what, a), "the program was not told about it, it may have come later", again)
		}
	}
}
