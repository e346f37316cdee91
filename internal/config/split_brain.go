// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

const (
	maxPaths   = 8  // each costs an advert
	maxWitness = 16 // each costs a question
)

// splitBrain reads what keeps a virtual router from having two masters: further paths, witnesses, and a fence.
func (s scope) splitBrain(values map[string]*yaml.Node, of *router) {
	of.Paths = s.routerPaths(values["paths"], of)
	of.witness = s.witness(values["witness"], *of)
	for _, w := range of.witness {
		of.Witness = append(of.Witness, w.Addr())
	}
	switch of.fence = values["fence"]; {
	case of.fence == nil:
	case of.IsOwner():
		s.complain(of.fence, mistake{"fence with priority 255, which always takes over, and at once", "leave it out, or write a priority below 255"})
	default:
		of.Fence = s.in("fence").routerFence(of.fence)
	}
	if n := values["priority"]; n != nil && of.Priority == model.Doubtful && len(of.Witness) > 0 {
		s.complain(n, mistake{fmt.Sprintf("priority %d beside witness, where it says that no witness answers", model.Doubtful), "write a higher one"})
	}
}

// empty complains about a list with nothing in it.
func (s scope) empty(n *yaml.Node, items []*yaml.Node, what, hint string) {
	if n != nil && len(items) == 0 && (n.Kind == yaml.SequenceNode || isNull(n)) {
		s.complain(n, mistake{what, hint})
	}
}

func (s scope) routerPaths(n *yaml.Node, of *router) (out []model.VRRPPath) {
	items := s.list(n, "paths")
	s.empty(n, items, "no path", `write "paths: [{interface: eth1, peer: 10.9.0.3}]", or leave the key out`)
	s = s.in("paths")
	for i, item := range items {
		if i == maxPaths {
			s.complain(item, mistake{fmt.Sprintf("more than %d paths", maxPaths), "two or three are enough"})
			break
		}
		values := s.mapping(item, "a path", pathKeys)
		if values == nil {
			continue
		}
		one, ok := s.routerPath(item, values, of)
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(p model.VRRPPath) bool { return p.Interface == one.Interface && p.Peer == one.Peer }) {
			s.complain(item, mistake{fmt.Sprintf("%s by %s stands twice", one.Peer, one.Interface), "keep one"})
			continue
		}
		out = append(out, one)
	}
	return out
}

func (s scope) routerPath(n *yaml.Node, values map[string]*yaml.Node, of *router) (out model.VRRPPath, ok bool) {
	for _, key := range []struct{ name, example string }{{"interface", "eth1"}, {"peer", "10.9.0.3"}} {
		if values[key.name] == nil {
			s.missing(n, key.name, key.example)
			return out, false
		}
	}
	if out.Interface, ok = s.in("interface").interfaceName(values["interface"]); !ok {
		return out, false
	}
	if out.Interface == of.Interface {
		s.complain(values["interface"], mistake{out.Interface + " is its own interface", "adverts go by it anyway: name another one"})
		return out, false
	}
	if out.Peer, ok = s.pathAddress(values["peer"], "peer", of); !ok {
		return out, false
	}
	if source := values["source"]; source != nil {
		if out.Source, ok = s.pathAddress(source, "source", of); !ok {
			return out, false
		}
		if out.Source == out.Peer {
			s.complain(source, mistake{fmt.Sprintf("%s is the peer, too", out.Source), "write this host's own address on that path"})
			return out, false
		}
	}
	out.Director, ok = s.pathDirector(n, values["director"], of)
	return out, ok
}

func (s scope) pathAddress(n *yaml.Node, what string, of *router) (model.Addr, bool) {
	one := s.in(what).addressOnLink(n, what)
	if one.node == nil {
		return model.Addr{}, false
	}
	a := one.Addr()
	switch {
	case otherFamily(a, *of):
		s.in(what).complain(n, mistake{fmt.Sprintf("%s for %s addresses", familyName(a), familyName(of.Addresses[0].Addr())),
			"adverts have addresses of the family that carries them: write one of it on that path"})
		return a, false
	case hasAddress(*of, a):
		s.in(what).complain(n, mistake{fmt.Sprintf("%s moves with the virtual router", a), "write an address that stays with its director"})
		return a, false
	}
	of.steady = append(of.steady, one)
	return a, true
}

// pathDirector is whose address on the virtual router's own interface a path leads to.
func (s scope) pathDirector(n, director *yaml.Node, of *router) (model.Addr, bool) {
	switch {
	case director == nil && len(of.Peers) == 1:
		return of.Peers[0], true
	case director == nil:
		s.complain(n, mistake{"no director: to which of the others does it lead?",
			fmt.Sprintf(`write "director: " and the address from which that one's adverts come on %s`, of.Interface)})
		return model.Addr{}, false
	}
	a, ok := s.pathAddress(director, "director", of)
	if ok && len(of.Peers) > 0 && !slices.Contains(of.Peers, a) {
		s.in("director").complain(director, mistake{fmt.Sprintf("%s is none of the peers", a), `name one of "peers:"`})
		return a, false
	}
	return a, ok
}

func (s scope) witness(n *yaml.Node, of router) (out []placedAddress) {
	items := s.list(n, "witness")
	s.empty(n, items, "no witness", `write "witness: [192.0.2.1]", such as the gateway, or leave the key out`)
	if n != nil && of.IsOwner() {
		s.complain(n, mistake{"witness with priority 255, which always takes over, and at once", "leave it out, or write a priority below 255"})
		return nil
	}
	s = s.in("witness")
	for i, item := range items {
		if i == maxWitness {
			s.complain(item, mistake{fmt.Sprintf("more than %d witnesses", maxWitness), "one that answers is enough: two or three will do"})
			break
		}
		one := s.addressOnLink(item, "witness")
		if one.node == nil {
			continue
		}
		if m := unfitWitness(one.Addr(), of, out); m != nil {
			s.complain(item, *m)
			continue
		}
		out = append(out, one)
	}
	return out
}

func unfitWitness(a model.Addr, of router, before []placedAddress) *mistake {
	const hint = "write an address that answers while all directors are dead, such as the gateway's"
	twice := slices.IndexFunc(before, func(b placedAddress) bool { return b.Addr() == a })
	switch {
	case otherFamily(a, of):
		return &mistake{fmt.Sprintf("%s for %s addresses", familyName(a), familyName(of.Addresses[0].Addr())), "write the witness's address of their family"}
	case a == of.Source:
		return &mistake{fmt.Sprintf("%s is the source", a), hint}
	case slices.Contains(of.Peers, a):
		return &mistake{fmt.Sprintf("%s is a peer", a), hint}
	case hasAddress(of, a):
		return &mistake{fmt.Sprintf("%s moves with the virtual router", a), hint}
	case twice >= 0:
		return &mistake{fmt.Sprintf("%s stands twice", a), fmt.Sprintf("the first is in line %d: keep one", before[twice].node.Line)}
	}
	return nil
}

func (s scope) routerFence(n *yaml.Node) (out model.Fence) {
	values := s.shortOrMap(n, "path", `write "path: /etc/weir/fence"`, fenceKeys)
	if values == nil {
		return out
	}
	out.Timeout = model.DefaultFenceTimeout
	if n := values["timeout"]; n != nil {
		out.Timeout = s.duration(n, "timeout", minScript, maxScript)
	}
	if n := values["failed"]; n != nil {
		word, _ := s.word(n, "failed", fenceFailures)
		if word == model.FenceTakeover.String() {
			out.Failed = model.FenceTakeover
		}
	}
	var ok bool
	if out.Path, out.Args, out.User, ok = s.program(values, "/etc/weir/fence"); !ok {
		return model.Fence{}
	}
	return out
}

// checkSplitBrain refuses what moves with another virtual router, and a second fence of one group: it would run twice.
func (f *file) checkSplitBrain(routers []router) {
	owners, fences := routersAt(routers), map[string]router{}
	for _, r := range routers {
		for _, a := range slices.Concat(r.witness, r.steady) {
			if owner, moves := owners[r.place(a.Addr())]; moves && owner.name != r.name {
				f.complain(at(a.node), mistake{fmt.Sprintf("%s: %s moves with %s", r.label, a.Addr(), owner.label), "write an address that stays where it is"})
			}
		}
		if r.Group == "" || r.Fence.Path == "" {
			continue
		}
		if before, twice := fences[r.Group]; twice {
			f.complain(at(r.fence), mistake{fmt.Sprintf("%s: %s of its group has a fence already, in line %d", r.label, before.label, before.fence.Line),
				"write one for all of a group: it would run twice"})
			continue
		}
		fences[r.Group] = r
	}
}

func splitBrainPairs(r model.VirtualRouter) (pairs []pair) {
	if len(r.Paths) > 0 {
		pairs = append(pairs, pair{"paths", listNode(r.Paths, func(p model.VRRPPath) *yaml.Node { return pathNode(p, r.Peers) })})
	}
	if len(r.Witness) > 0 {
		pairs = append(pairs, pair{"witness", listNode(r.Witness, func(a model.Addr) *yaml.Node { return textNode(a.String()) })})
	}
	if r.Fence.Path != "" {
		pairs = append(pairs, pair{"fence", fenceNode(r.Fence)})
	}
	return pairs
}

func pathNode(p model.VRRPPath, peers []model.Addr) *yaml.Node {
	pairs := []pair{{"interface", textNode(p.Interface)}, {"peer", textNode(p.Peer.String())}}
	if len(peers) != 1 {
		pairs = append(pairs, pair{"director", textNode(p.Director.String())})
	}
	if p.Source.IsValid() {
		pairs = append(pairs, pair{"source", textNode(p.Source.String())})
	}
	return mapNode(pairs...)
}

func fenceNode(f model.Fence) *yaml.Node {
	pairs := []pair{{"path", lineNode(f.Path)}}
	if args := model.SplitArguments(f.Args); len(args) > 0 {
		pairs = append(pairs, pair{"args", listNode(args, lineNode)})
	}
	pairs = append(pairs, linePair("user", f.User)...)
	if f.Timeout != model.DefaultFenceTimeout {
		pairs = append(pairs, pair{"timeout", textNode(printDuration(f.Timeout))})
	}
	if f.Failed != model.FenceStay {
		pairs = append(pairs, pair{"failed", textNode(f.Failed.String())})
	}
	return shortNode(pairs)
}
