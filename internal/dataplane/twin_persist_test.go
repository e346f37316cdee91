// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// twinMark makes of a protocol one that no packet has: so templates lie in the table among connections, and
// no packet is of one.
const twinMark = 64

func (c *twinConn) isTemplate() bool { return c.state.name == model.Template }

func (s *twinService) isPersistent() bool { return s.want.Persistence.Timeout > 0 }

// templateOf is what flows to a service have in common that go to one server: the client's network, and the
// service's first address, port and protocol, whatever the client asked for. FTP's data connections have any
// port, those of a service of any port do anyway.
func (s *twinService) templateOf(f flow) flow {
	client := netip.PrefixFrom(f.source.Addr(), f.source.Addr().BitLen())
	if bits := s.want.Persistence.Mask; bits > 0 {
		client = netip.PrefixFrom(f.source.Addr(), int(bits)).Masked()
	}
	key := s.want.Key
	if key.Port == 21 && key.Last == 0 && len(s.want.Also) == 0 {
		key.Port = 0
	}
	return flow{netip.AddrPortFrom(client.Addr(), 0), netip.AddrPortFrom(key.Address, key.Port), key.Protocol | twinMark}
}

// followed is the server that the client's template leads to, which may be full, and quiesced unless that is
// to count. A template that leads nowhere is forgotten.
func (t *twin) followed(f flow, s *twinService) *twinServer {
	if !s.isPersistent() {
		return nil
	}
	template := t.conns[s.templateOf(f)]
	if template == nil {
		return nil
	}
	server := template.server
	expires := server.want.Weight == 0 && s.want.Persistence.Quiescent == model.ExpireQuiescent
	otherPort := server.service != s && server.want.Forwarding == model.NAT && server.want.Key.Port != model.AnyPort
	if server.gone || server.want.Leaving != 0 || expires || otherPort {
		t.end(template)
		return nil
	}
	template.seen, template.dying = t.now, false
	return server
}

// opensBackwards: the client answers a connection of its server.
func (t *twin) opensBackwards(p parsed, s *twinService) bool {
	const all = packet.SYN | packet.ACK | packet.RST | packet.FIN
	return p.flow.protocol == model.TCP && p.flags&all == packet.SYN|packet.ACK && t.followed(p.flow, s) != nil
}

// remember makes a template, if there is room.
func (t *twin) remember(key flow, server *twinServer) *twinConn {
	template := &twinConn{toService: key, server: server, state: tcpState{name: model.Template}, packets: 1}
	if !t.create(template) {
		return nil
	}
	return template
}

// unremember takes a template back whose connection did not begin.
func (t *twin) unremember(template *twinConn) {
	if template != nil {
		t.end(template)
	}
}

// confirm: a connection is settled, and the template that leads to its server with it. One that had to make
// room is there again.
func (t *twin) confirm(c *twinConn) {
	key, ok := t.templateFor(c)
	if !c.persistent || !ok {
		return
	}
	template := t.conns[key]
	if template == nil {
		template = t.remember(key, c.server)
	}
	if template != nil && template.server == c.server {
		template.settled = true
	}
}

// templateFor is by what the template of a connection is found: as its server's service has it; but where the services
// of an address share templates, its server may be of another one than the client asked for. Ranges share none.
func (t *twin) templateFor(c *twinConn) (key flow, ok bool) {
	s := c.server.service
	if c.server.gone || !s.isPersistent() {
		return flow{}, false
	}
	asked := c.toService.destination
	if key = s.templateOf(c.toService); key.destination != netip.AddrPortFrom(asked.Addr(), 0) {
		return key, true
	}
	for _, port := range []uint16{asked.Port(), model.AnyPort} {
		if s := t.serviceWith(asked.Addr(), port, c.toService.protocol); s != nil {
			return s.templateOf(c.toService), s.isPersistent()
		}
	}
	return flow{}, false
}

// serviceWith has this very key.
func (t *twin) serviceWith(address netip.Addr, port uint16, protocol model.Protocol) *twinService {
	key := model.ServiceKey{Address: address, Port: port, Protocol: protocol}
	for _, s := range t.services {
		if slices.Contains(s.want.Keys(), key) {
			return s
		}
	}
	return nil
}

// templateServer is the server of a template as it is listed: for all ports, it has none.
func (c *twinConn) templateServer() (netip.AddrPort, model.Forwarding) {
	server, port := c.server.want, c.toService.destination.Port()
	if server.Forwarding == model.NAT && server.Key.Port != model.AnyPort && port != 0 {
		port = server.Key.Port
	}
	return netip.AddrPortFrom(server.Key.Address, port), server.Forwarding
}

// persistentOf counts the templates of a server.
func (t *twin) persistentOf(key model.ServiceServer) (n uint64) {
	for _, c := range t.conns {
		if c.isTemplate() && !c.server.gone && c.server.service.want.Key == key.Service && c.server.want.Key == key.Server {
			n++
		}
	}
	return n
}
