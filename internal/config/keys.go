// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// placedKey is an address of a service and where it stands.
type placedKey struct {
	model.ServiceKey
	own  bool // it names its protocol
	node *yaml.Node
}

// split parts the key by which the service is known from the others; zero: none could be read.
func split(keys []placedKey) (first model.ServiceKey, also []model.ServiceKey) {
	for i, k := range keys {
		if i == 0 {
			first = k.ServiceKey
			continue
		}
		also = append(also, k.ServiceKey)
	}
	return first, also
}

// forServers is what servers may take over: the one port that all have, or any.
func forServers(of model.Service) model.ServiceKey {
	out := of.Key
	for _, k := range of.Keys() {
		if k.Port != out.Port || k.IsRange() {
			out.Port = model.AnyPort
		}
	}
	out.Last = 0
	return out
}

// serviceKeys reads the address of a service, or its addresses. It returns none after a complaint; what
// depends on them is not looked at then.
func (s scope) serviceKeys(n, address, addresses, protocol *yaml.Node) []placedKey {
	standard, known := s.protocol(protocol)
	switch {
	case address != nil && addresses != nil:
		s.complain(addresses, mistake{"address and addresses", "write all of them as addresses"})
		return nil
	case addresses != nil:
		return s.severalKeys(addresses, protocol, standard, known)
	case address == nil:
		s.complain(n, mistake{"no address", `write "address: 192.0.2.10:80"`})
		return nil
	}
	key, ok := s.keyOf(address, standard)
	if key.own {
		s.complain(address, mistake{"a protocol behind the address", fmt.Sprintf(`write "protocol: %s"; behind an address it stands in "addresses:"`, key.Protocol)})
	}
	if !ok || !known || key.own {
		return nil
	}
	return []placedKey{key}
}

func (s scope) severalKeys(n, protocol *yaml.Node, standard model.Protocol, good bool) (out []placedKey) {
	items := s.list(n, "addresses")
	if len(items) == 0 && (n.Kind == yaml.SequenceNode || isNull(n)) {
		s.complain(n, mistake{"no address", `write "addresses: [192.0.2.10:80, 192.0.2.10:443]"`})
	}
	for _, item := range items {
		key, ok := s.keyOf(item, standard)
		if good = good && ok; ok {
			out = append(out, key)
		}
	}
	if !s.ofOneFamily(out) || !good {
		return nil
	}
	if protocol != nil && len(out) > 0 && !slices.ContainsFunc(out, func(k placedKey) bool { return !k.own }) {
		s.complain(protocol, mistake{"protocol, but each of the addresses has its own", "leave it out"})
		return nil
	}
	return out
}

// ofOneFamily is what services by firewall mark are in IPVS, too.
func (s scope) ofOneFamily(keys []placedKey) bool {
	good := true
	for _, key := range keys {
		if key.Address.Is4() != keys[0].Address.Is4() {
			s.complain(key.node, mistake{fmt.Sprintf("%s in a service of %s", familyName(key.Address), familyName(keys[0].Address)),
				"write one service for each family"})
			good = false
		}
	}
	return good
}

// keyOf reads one of them: an address with a port, and perhaps a protocol of its own.
func (s scope) keyOf(n *yaml.Node, protocol model.Protocol) (out placedKey, ok bool) {
	text, ok := s.text(n, "address")
	if !ok {
		return out, false
	}
	text, protocol, own := cutProtocol(text, protocol)
	e, m := parseServiceEndpoint(text)
	if m == nil && e.port.kind == portLeftOut {
		one, all := model.ServiceKey{Address: e.address, Port: 80}, model.ServiceKey{Address: e.address}
		m = &mistake{"no port", fmt.Sprintf("write %q, or %q for any port", one.Where(), all.Where())}
	}
	if m != nil {
		s.complain(n, *m)
		return out, false
	}
	key := model.ServiceKey{Address: e.address, Port: e.port.number, Last: e.port.last, Protocol: protocol}
	return placedKey{key, own, n}, true
}

// cutProtocol takes the protocol off the end: 192.0.2.10:443/udp.
func cutProtocol(text string, standard model.Protocol) (host string, protocol model.Protocol, own bool) {
	if i := strings.LastIndex(text, "/"); i >= 0 {
		if protocol, ok := model.ParseProtocol(text[i+1:]); ok {
			return text[:i], protocol, true
		}
	}
	return text, standard, false
}

// checkKeys refuses what two services would have to share, or one has twice.
func (f *file) checkKeys(services []service) {
	type owned struct {
		placedKey
		by *service
	}
	type place struct {
		address  model.Addr
		protocol model.Protocol
	}
	before := map[place][]owned{}
	for i := range services {
		s := &services[i]
		for _, key := range s.keys {
			here := place{key.Address, key.Protocol}
			for _, other := range before[here] {
				if key.Overlaps(other.ServiceKey) {
					f.complain(at(key.node), overlap(s, key, other.by, other.placedKey))
					break
				}
			}
			before[here] = append(before[here], owned{key, s})
		}
	}
}

func overlap(s *service, key placedKey, by *service, other placedKey) mistake {
	line := other.node.Line
	switch {
	case key.ServiceKey != other.ServiceKey:
		return mistake{fmt.Sprintf("%s: %s overlaps %s of %s in line %d", s.label, key, other, by.label, line),
			"give each port to one of them"}
	case s == by:
		return mistake{fmt.Sprintf("%s: %s stands twice", s.label, key), fmt.Sprintf("the first is in line %d: keep one", line)}
	}
	return mistake{fmt.Sprintf("%s: %s stands twice", s.label, key),
		fmt.Sprintf("%s in line %d has it already: put the servers of both there", by.label, line)}
}
