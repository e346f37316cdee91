// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// service is a service and where it stands. What could not be read is zero.
type service struct {
	model.Service
	label   string     // what messages call it
	address *yaml.Node // never nil: the item itself when the address is missing
	keys    []placedKey
	name    *yaml.Node // nil: the name is the default
	servers []server
	sorry   *yaml.Node // the name of another service; nil: a server, or nothing

	halfOpen *yaml.Node // nil: the default
}

// plain strips the places off.
func plain(services []service) []model.Service {
	out := slices.Grow([]model.Service(nil), len(services))
	for _, s := range services {
		for _, server := range s.servers {
			s.Servers = append(s.Servers, server.Server)
		}
		out = append(out, s.Service)
	}
	return out
}

func (s scope) service(n *yaml.Node, number int) service {
	out := service{label: "service " + s.call(n, number, "name", "address"), address: n}
	s = s.in(out.label)
	values := s.mapping(n, "a service", serviceKeys)
	if values == nil {
		return out
	}
	if address := values["address"]; address != nil {
		out.address = address
	} else if addresses := values["addresses"]; addresses != nil {
		out.address = addresses
	}
	out.name = values["name"]
	out.keys = s.serviceKeys(n, values["address"], values["addresses"], values["protocol"])
	out.Key, out.Also = split(out.keys)
	out.Name = s.serviceName(out.name, out.Key)
	out.Scheduler = s.scheduler(values["scheduler"])
	out.Flags = s.flags(values["flags"], out.Scheduler)
	out.MSS = s.mss(values["mss"], out.Service)
	out.Timeouts = s.timeouts(values["timeouts"], out.Service)
	out.Leaving = s.leaving(values["leaving"])
	out.Down = s.down(values["down"])
	out.Persistence = s.persistence(values["persistence"], out.Key)
	out.Reuse = s.reuse(values["reuse"], out.Service)
	out.OnePacket = s.onePacket(values["one_packet"], out.Service)
	out.halfOpen = values["half_open"]
	out.HalfOpen = s.halfOpen(out.halfOpen, out.Service)
	asked := askedOf(out.Service)
	standard := defaults{
		key: forServers(out.Service), several: len(out.Also) > 0 || out.Key.IsRange(),
		forwarding: s.forwarding(values["forwarding"], model.DR), tunnel: s.tunnel(values["tunnel"]),
		asked: asked, checks: s.checks(values["check"], asked, standardChecks(out.Service)),
	}
	for i, item := range s.list(values["servers"], "servers") {
		out.servers = append(out.servers, s.server(item, i+1, standard))
	}
	if out.sorry = sorryService(values["sorry"]); out.sorry == nil {
		out.servers = append(out.servers, s.sorry(values["sorry"], standard)...)
	}
	s.complainIf(standard.tunnel.node, unusedTunnel(standard, out.servers))
	s.complainIf(values["down"], downOfNobody(values["down"], out.servers))
	out.Unknown = s.unknown(values["unknown"], out.servers)
	s.policies(values, &out)
	return out
}

// defaults is what servers take over from their service. What could not be read is zero.
type defaults struct {
	key        model.ServiceKey // its port is that of all keys; any, where they differ
	several    bool             // keys, or ports
	forwarding model.Forwarding
	tunnel     tunnel
	asked      asked
	checks     model.Checks
}

func (s scope) protocol(n *yaml.Node) (model.Protocol, bool) {
	if n == nil {
		return model.TCP, true
	}
	word, _ := s.word(n, "protocol", protocols)
	return model.ParseProtocol(word)
}

// mss has the bounds of what a host may assume without being told (RFC 9293 section 3.7.1), and of
// the largest packet (RFC 6691).
func (s scope) mss(n *yaml.Node, of model.Service) uint16 {
	const least4, least6, most = 576 - 40, 1280 - 60, 65535 - 40
	if n == nil {
		return 0
	}
	if of.Key.Address.IsValid() && !of.Speaks(model.TCP) {
		s.complain(n, mistake{fmt.Sprintf("mss for a service of protocol %s, which has none", of.Key.Protocol),
			"leave it out: a maximum segment size is TCP's"})
		return 0
	}
	least := least4
	if of.Key.Address.Is6() {
		least = least6
	}
	mss, _ := s.number(n, "mss", least, most)
	return uint16(mss)
}

// forwarding returns 0 after a complaint; what depends on it is not looked at then.
func (s scope) forwarding(n *yaml.Node, standard model.Forwarding) model.Forwarding {
	if n == nil {
		return standard
	}
	word, _ := s.word(n, "forwarding", forwardings)
	method, _ := model.ParseForwarding(word)
	return method
}

// serviceName takes names that need no quotes in a shell, a URL or a metric's label.
func (s scope) serviceName(n *yaml.Node, key model.ServiceKey) string {
	standard := defaultName(key)
	if n == nil {
		return standard
	}
	name, ok := s.text(n, "name")
	if ok && name != standard {
		s.complainIf(n, unfitName(name))
	}
	return name
}

// unfitName wants a name that has something in it.
func unfitName(name string) *mistake {
	const most = 64
	switch {
	case len(name) > most:
		return &mistake{fmt.Sprintf("the name is longer than %d characters", most), "shorten it"}
	case strings.ContainsFunc(name, notInName) || strings.ContainsAny(name[:1], "._-"):
		return &mistake{fmt.Sprintf("%s cannot be a name", quote(name)),
			"a letter (A-Z, a-z) or digit, then also dots, underscores and hyphens"}
	}
	return nil
}

// defaultName is unique because keys are; others cannot take it, since it has a colon.
func defaultName(key model.ServiceKey) string {
	if !key.Address.IsValid() {
		return ""
	}
	return key.Protocol.String() + "-" + key.Where()
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}
