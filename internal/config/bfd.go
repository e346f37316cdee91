// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// What the intervals of a session may be, and what both are that are not written.
const (
	minBFDInterval        = 10 * time.Millisecond
	maxBFDInterval        = time.Minute
	standardBFDInterval   = 100 * time.Millisecond
	standardBFDMultiplier = 5 // keepalived's, and BIRD's
)

// session is one of BFD and where it stands. What could not be read is zero.
type session struct {
	model.BFDSession
	label  string // what messages call it
	name   *yaml.Node
	peer   placedAddress
	source placedAddress
}

// plainSessions strips the places off.
func plainSessions(sessions []session) (out []model.BFDSession) {
	for _, s := range sessions {
		out = append(out, s.BFDSession)
	}
	return out
}

func (s scope) sessions(n *yaml.Node) (out []session) {
	for i, item := range s.list(n, "bfd") {
		if i == model.MaxBFDSessions {
			s.complain(item, mistake{fmt.Sprintf("more than %d sessions", model.MaxBFDSessions), "watch the next router, and not what is behind it"})
			break
		}
		out = append(out, s.session(item, i+1))
	}
	return out
}

func (s scope) session(n *yaml.Node, number int) session {
	out := session{label: "bfd " + s.call(n, number, "name")}
	s = s.in(out.label)
	values := s.mapping(n, "a session", sessionKeys)
	if values == nil {
		return out
	}
	out.name = values["name"]
	out.Name = s.routerName(n, out.name)
	out.Interface = s.routerInterface(n, values["interface"])
	if peer := values["peer"]; peer != nil {
		out.peer = s.in("peer").addressOnLink(peer, "peer")
	} else {
		s.missing(n, "peer", "192.0.2.1")
	}
	if source := values["source"]; source != nil {
		out.source = s.in("source").addressOnLink(source, "source")
	}
	out.Peer, out.Source = out.peer.Addr(), out.source.Addr()
	s.complainIf(out.source.node, unfitSessionSource(out))
	out.Interval, out.Multiplier = standardBFDInterval, standardBFDMultiplier
	if interval := values["interval"]; interval != nil {
		out.Interval = s.duration(interval, "interval", minBFDInterval, maxBFDInterval)
	}
	if multiplier := values["multiplier"]; multiplier != nil {
		times, _ := s.number(multiplier, "multiplier", 1, 255)
		out.Multiplier = uint8(times)
	}
	return out
}

func unfitSessionSource(s session) *mistake {
	switch {
	case s.source.node == nil || s.peer.node == nil:
		return nil
	case s.Source == s.Peer:
		return &mistake{fmt.Sprintf("source: %s is the peer", s.Source), "write an address of this host, or leave it out"}
	case s.Source.Is4() != s.Peer.Is4():
		return &mistake{fmt.Sprintf("source: %s, but the peer is %s", familyName(s.Source), familyName(s.Peer)), "write one of the peer's family, or leave it out"}
	}
	return nil
}

// checkSessions looks at sessions together, and at what they share with virtual routers.
func (f *file) checkSessions(sessions []session, routers []router) {
	checkNames(f, "session", sessions, func(s session) (string, *yaml.Node, string) { return s.Name, s.name, s.label })
	type link struct {
		name string
		peer netip.Addr
	}
	peers, owners := map[link]session{}, routersAt(routers)
	for _, s := range sessions {
		if s.peer.node == nil {
			continue
		}
		here := link{s.Interface, s.Peer}
		if before, twice := peers[here]; twice && s.Interface != "" {
			f.complain(at(s.peer.node), mistake{fmt.Sprintf("%s: %s on %s is the peer of %s in line %d", s.label, s.Peer, s.Interface, before.label, before.peer.node.Line),
				"keep one: there is one session with a neighbour on a link, and all may track it"})
		} else {
			peers[here] = s
		}
		f.checkFixedSession(s, owners)
	}
}

// checkFixedSession refuses a peer or a source that moves with a virtual router: the session would be with whoever is
// master, or from nobody.
func (f *file) checkFixedSession(s session, owners map[onLink]router) {
	if owner, moves := owners[placeOn(s.Interface, s.Peer)]; moves {
		f.complain(at(s.peer.node), mistake{fmt.Sprintf("%s: peer: %s moves with %s", s.label, s.Peer, owner.label), "write an address that the peer always has"})
	}
	if s.source.node == nil {
		return
	}
	if owner, moves := owners[placeOn(s.Interface, s.Source)]; moves && !owner.IsOwner() {
		f.complain(at(s.source.node), mistake{fmt.Sprintf("%s: source: %s moves with %s", s.label, s.Source, owner.label),
			"write an address that this host always has, or leave it out"})
	}
}

func sessionNode(s model.BFDSession) *yaml.Node {
	pairs := []pair{{"name", textNode(s.Name)}, {"interface", textNode(s.Interface)}, {"peer", addressNode(s.Peer)}}
	if s.Source.IsValid() {
		pairs = append(pairs, pair{"source", addressNode(s.Source)})
	}
	if s.Interval != standardBFDInterval {
		pairs = append(pairs, pair{"interval", textNode(printDuration(s.Interval))})
	}
	if s.Multiplier != standardBFDMultiplier {
		pairs = append(pairs, pair{"multiplier", numberNode(int(s.Multiplier))})
	}
	return mapNode(pairs...)
}
