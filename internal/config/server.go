// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// server is a server and where it stands.
type server struct {
	model.Server
	label string
	node  *yaml.Node // its address
}

// server is an address, or a map with an address.
func (s scope) server(n *yaml.Node, number int, standard defaults) server {
	out := server{label: "server " + s.call(n, number, "address"), node: n}
	out.Weight, out.Forwarding, out.Checks = 1, standard.forwarding, standard.checks
	s = s.in(out.label)
	var own tunnel
	if n.Kind != yaml.ScalarNode {
		values := s.mapping(n, "a server", serverKeys)
		if values == nil {
			return out
		}
		out.Weight = s.weight(values["weight"])
		out.Forwarding = s.forwarding(values["forwarding"], standard.forwarding)
		out.Thresholds = s.thresholds(values["thresholds"])
		out.Checks = s.checks(values["check"], standard.asked, standard.checks)
		out.Maintenance = s.maintenance(values["maintenance"])
		own = s.tunnel(values["tunnel"])
		if out.node = values["address"]; out.node == nil {
			out.node = n
			s.complain(n, mistake{"no address", `write "address: 10.0.0.11"`})
			return out
		}
	}
	out.Key = s.serverKey(out.node, standard, out.Forwarding)
	out.Tunnel = s.tunnelTo(out, own, standard.tunnel)
	return out
}

func (s scope) weight(n *yaml.Node) uint16 {
	if n == nil {
		return 1
	}
	weight, _ := s.number(n, "weight", 0, model.MaxWeight)
	return uint16(weight)
}

func (s scope) serverKey(n *yaml.Node, standard defaults, method model.Forwarding) model.ServerKey {
	of := standard.key
	e, ok := s.endpoint(n)
	if !ok {
		return model.ServerKey{}
	}
	key := model.ServerKey{Address: e.address, Port: e.port.number}
	if e.port.kind == portLeftOut {
		key.Port = of.Port
	}
	if of.Address.IsValid() {
		s.complainIf(n, looksLikePort(n.Value, e, of))
		s.complainIf(n, wrongFamily(key, of, method))
		s.complainIf(n, wrongPort(e.port, standard, method))
	}
	return key
}

// endpoint reads an address with its port from a scalar.
func (s scope) endpoint(n *yaml.Node) (endpoint, bool) {
	text, ok := s.text(n, "address")
	if !ok {
		return endpoint{}, false
	}
	e, m := parseEndpoint(text)
	s.complainIf(n, m)
	return e, m == nil
}

// looksLikePort catches 2001:db8::11:80, which is an address of its own and hardly ever meant. In
// 2001:db8::80 nothing is left to be an address when the end is a port, so that is no riddle.
func looksLikePort(text string, e endpoint, of model.ServiceKey) *mistake {
	if strings.HasPrefix(text, "[") || !e.address.Is6() || of.Port == model.AnyPort {
		return nil
	}
	host, isPort := strings.CutSuffix(text, ":"+strconv.Itoa(int(of.Port)))
	if _, err := netip.ParseAddr(host); !isPort || err != nil {
		return nil
	}
	return &mistake{"this IPv6 address ends in the service's port", fmt.Sprintf(
		"write %q if that is the port, %q if not", fmt.Sprintf("[%s]:%d", host, of.Port), "["+text+"]")}
}

// wrongFamily says what ipvsadm says: only a tunnel can carry one family in the other.
func wrongFamily(key model.ServerKey, of model.ServiceKey, method model.Forwarding) *mistake {
	if method == 0 || method == model.TUN || key.Address.Is4() == of.Address.Is4() {
		return nil
	}
	return &mistake{fmt.Sprintf("%s server of an %s service: different address family is allowed only for tunneling servers",
		familyName(key.Address), familyName(of.Address)),
		fmt.Sprintf(`write "forwarding: tun", or the server's %s address`, familyName(of.Address))}
}

// wrongPort refuses a port that the method cannot bring about. Only NAT rewrites packets, and it
// leads an any-port service to the port that the client asked for.
func wrongPort(port portRef, standard defaults, method model.Forwarding) *mistake {
	of, any := standard.key, "any port"
	if standard.several {
		any = "several ports"
	}
	switch {
	case port.kind == portLeftOut:
		return nil
	case port.kind == portRange:
		return &mistake{"a range of ports for a server", "leave the port out: the server is asked for the port that the client asked for"}
	case of.Port == model.AnyPort && port.kind == portNumber:
		return &mistake{fmt.Sprintf("fixed port %d for a service of %s", port.number, any),
			"leave the port out: the server is asked for the port that the client asked for"}
	case of.Port != model.AnyPort && port.kind == portAny:
		return &mistake{fmt.Sprintf("any port for a service of port %d", of.Port), "leave the port out"}
	case port.number != of.Port && (method == model.DR || method == model.TUN):
		return &mistake{fmt.Sprintf("port %d differs from the service's port %d, and %s does not change ports",
			port.number, of.Port, method), `leave the port out, or write "forwarding: nat"`}
	}
	return nil
}
