// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-lb/weir/internal/model"
)

// guePort is IANA's port for GUE, and the default of ours. ipvsadm has none.
const guePort = 6080

// tunnel is a tunnel and where it stands. Without a node it was left out.
type tunnel struct {
	model.Tunnel
	node   *yaml.Node
	source *yaml.Node // nil: outer sources are not varied
}

// tunnel is the name of a type, or a map.
func (s scope) tunnel(n *yaml.Node) tunnel {
	out := tunnel{node: n}
	if n == nil {
		return out
	}
	s = s.in("tunnel")
	if n.Kind == yaml.ScalarNode {
		out.Type = s.tunnelType(n)
		out.Port = s.tunnelPort(nil, out.Type)
		return out
	}
	values := s.mapping(n, "a tunnel", tunnelKeys)
	out.Type = s.tunnelType(values["type"])
	out.Port = s.tunnelPort(values["port"], out.Type)
	out.Checksum = s.tunnelChecksum(values["checksum"], out.Type)
	out.Source, out.source = s.source(values["source"]), values["source"]
	return out
}

// tunnelType returns GUE after a complaint, with which all other keys may stand.
func (s scope) tunnelType(n *yaml.Node) model.TunnelType {
	if n == nil {
		return model.IPIP
	}
	word, ok := s.word(n, "type", tunnelTypes)
	if !ok {
		return model.GUE
	}
	t, _ := model.ParseTunnelType(word)
	return t
}

func (s scope) tunnelPort(n *yaml.Node, of model.TunnelType) uint16 {
	switch {
	case of != model.GUE && n != nil:
		s.complain(n, mistake{fmt.Sprintf("port for a tunnel of type %s, which has none", of),
			`write "type: gue", or leave the port out`})
		return 0
	case of != model.GUE:
		return 0
	case n == nil:
		return guePort
	}
	port, _ := s.number(n, "port", 1, 65535)
	return uint16(port)
}

func (s scope) tunnelChecksum(n *yaml.Node, of model.TunnelType) bool {
	switch {
	case n == nil:
		return false
	case of == model.IPIP:
		s.complain(n, mistake{"checksum for a tunnel of type ipip, which has none",
			`write "type: gre" or "type: gue", or leave the checksum out`})
		return false
	}
	return s.truth(n, "checksum")
}

// tunnelTo is the tunnel to a server: its own, or else the service's. Other methods than TUN have
// none; after a complaint about the method nothing is said about it.
func (s scope) tunnelTo(to server, own, standard tunnel) model.Tunnel {
	if to.Forwarding != model.TUN {
		if own.node != nil && to.Forwarding != 0 {
			s.complain(own.node, mistake{fmt.Sprintf("tunnel for a server of forwarding %q", to.Forwarding),
				`write "forwarding: tun", or leave the tunnel out`})
		}
		return model.Tunnel{}
	}
	if own.node != nil {
		s.checkSource(to, own.Source, own.source, "tunnel")
		return own.Tunnel
	}
	s.checkSource(to, standard.Source, to.node, "the service's tunnel")
	return standard.Tunnel
}

// unusedTunnel refuses a tunnel that no server of the service would use.
func unusedTunnel(standard defaults, servers []server) *mistake {
	mayUse := func(method model.Forwarding) bool { return method == model.TUN || method == 0 }
	used := mayUse(standard.forwarding) || slices.ContainsFunc(servers, func(s server) bool { return mayUse(s.Forwarding) })
	if standard.tunnel.node == nil || used {
		return nil
	}
	return &mistake{"tunnel, but no server is forwarded by tun", `write "forwarding: tun", or leave the tunnel out`}
}
