// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
	"github.com/weir-lb/weir/internal/sched"
)

// verdict is the name of an exit of the path, as `weir counters` prints it.
type verdict string

const (
	undecided verdict = "" // the next stage decides

	notIP             verdict = "not_ip"
	otherHost         verdict = "other_host"
	noService         verdict = "no_service"
	icmp              verdict = "icmp"
	notServing        verdict = "not_serving"
	unknownConnection verdict = "unknown_connection"
	noServer          verdict = "no_server"
	local             verdict = "local"

	dr     verdict = "dr"
	tun    verdict = "tun"
	natIn  verdict = "nat_in"
	natOut verdict = "nat_out"

	malformed       verdict = "malformed"
	fragment        verdict = "fragment"
	extensionHeader verdict = "extension_header"
	vlan            verdict = "vlan"
	martian         verdict = "martian"
	ttlExceeded     verdict = "ttl_exceeded"
	noNeighbour     verdict = "no_neighbour"
	noRoute         verdict = "no_route"
	tooBig          verdict = "too_big"
	serverGone      verdict = "server_gone"
	connFull        verdict = "conn_full"
	natClash        verdict = "nat_clash"
)

// natPicks is how many servers are tried until one has a free way back.
const natPicks = 3

// twin is the path in plain Go: what it must do with every frame, as slowly and plainly as can be.
// It shares nothing with the C but types.h, so that each finds the other's mistakes. The path's
// order is that of this file: frame, then parse (twin_parse_test.go), known or fresh, then
// forward (twin_forward_test.go). Time stands still in it: no connection expires.
type twin struct {
	interfaces map[int]model.InterfaceWant
	services   map[model.ServiceKey]*twinService
	conns      map[flow]*twinConn
	size       int // of the connection table, in entries
	versions   uint32
}

type twinService struct {
	want     model.ServiceWant
	table    sched.Table
	picker   sched.Twin
	servers  []*twinServer
	counters counters
}

type twinServer struct {
	want     model.ServerWant
	service  *twinService
	gone     bool // removed, though connections may still know it
	counters counters
}

// counters are those of a service or a server, in the order of struct counters in types.h.
type counters struct {
	Connections, PacketsIn, BytesIn, PacketsOut, BytesOut uint64
}

// flow is the two ends of a packet.
type flow struct {
	source, destination netip.AddrPort
	protocol            model.Protocol
}

// twinConn is a connection. It is in twin.conns once for each direction that the path sees.
type twinConn struct {
	toService  flow
	fromServer flow // NAT only
	server     *twinServer
	forwarding model.Forwarding
	client     twinHop
	state      tcpState
}

// twinHop is a neighbour from which a frame came.
type twinHop struct {
	ifindex int
	mac     model.MAC
}

// outcome is what became of a frame.
type outcome struct {
	verdict verdict
	out     []byte
	egress  int // 0: the frame was not sent on
}

func newTwin(size int) *twin {
	return &twin{services: map[model.ServiceKey]*twinService{}, conns: map[flow]*twinConn{}, size: size}
}

// apply is dataplane.Apply: services and servers that stay keep their counters and connections.
func (t *twin) apply(want model.DataplaneWant) {
	t.interfaces = map[int]model.InterfaceWant{}
	for _, w := range want.Interfaces {
		t.interfaces[w.Index] = w
	}
	before := t.services
	t.services = map[model.ServiceKey]*twinService{}
	for _, w := range want.Services {
		t.versions++
		t.services[w.Key] = follow(before[w.Key], w, t.versions)
		delete(before, w.Key)
	}
	for _, s := range before {
		markGone(s.servers)
	}
}

// follow makes a service what want says; s is nil when it is new.
func follow(s *twinService, want model.ServiceWant, version uint32) *twinService {
	if s == nil {
		s = &twinService{}
	}
	if s.picker == nil || s.want.Scheduler != want.Scheduler {
		s.picker = sched.NewTwin(want.Scheduler)
	}
	before := map[model.ServerKey]*twinServer{}
	for _, server := range s.servers {
		before[server.want.Key] = server
	}
	s.servers = nil
	for _, w := range want.Servers {
		server := before[w.Key]
		if server == nil {
			server = &twinServer{service: s}
		}
		delete(before, w.Key)
		server.want = w
		s.servers = append(s.servers, server)
	}
	markGone(slices.Collect(maps.Values(before)))
	if s.table.Version != 0 && sameSlots(s.want.Servers, want.Servers) {
		version = s.table.Version
	}
	s.want, s.table = want, sched.Make(want.Servers)
	s.table.Version = version
	return s
}

// sameSlots: the table does not change, so schedulers go on from where they are.
func sameSlots(a, b []model.ServerWant) bool {
	return slices.EqualFunc(weighted(a), weighted(b), func(x, y model.ServerWant) bool {
		return x.Key == y.Key && x.Weight == y.Weight
	})
}

func weighted(servers []model.ServerWant) []model.ServerWant {
	return slices.DeleteFunc(slices.Clone(servers), func(w model.ServerWant) bool { return w.Weight == 0 })
}

func markGone(servers []*twinServer) {
	for _, server := range servers {
		server.gone = true
	}
}

// frame is the path: one frame in, one outcome.
func (t *twin) frame(ifindex int, frame []byte) outcome {
	p, v := t.parse(ifindex, frame)
	if v != undecided {
		return outcome{verdict: v, out: frame}
	}
	c := t.conns[p.flow]
	switch {
	case c != nil && p.tagged:
		return p.ends(vlan)
	case c != nil && p.flow == c.fromServer:
		return t.answer(p, c)
	case c != nil:
		return t.known(p, c)
	}
	return t.fresh(p)
}

func (t *twin) known(p parsed, c *twinConn) outcome {
	if c.server.gone {
		if !p.opens() {
			return p.ends(serverGone)
		}
		t.end(c)
		return t.fresh(p)
	}
	if !c.server.service.want.Serving {
		return p.ends(notServing)
	}
	c.client = p.hop()
	c.see(p, true)
	return t.forward(p, c)
}

// fresh is for a packet that belongs to no connection.
func (t *twin) fresh(p parsed) outcome {
	s := t.service(p.flow)
	switch {
	case s == nil:
		return p.ends(noService)
	case p.tagged:
		return p.ends(vlan)
	case !s.want.Serving:
		return p.ends(notServing)
	case p.martian():
		return p.ends(martian)
	case !p.opens():
		return p.ends(unknownConnection)
	}
	return t.schedule(p, s)
}

// service finds the one with this very port before the one with any port. Port 0 is reserved
// (RFC 6335 section 6): nobody listens there, and in keys it means any port.
func (t *twin) service(f flow) *twinService {
	if f.destination.Port() == 0 {
		return nil
	}
	key := model.ServiceKey{Address: f.destination.Addr(), Port: f.destination.Port(), Protocol: f.protocol}
	if s := t.services[key]; s != nil {
		return s
	}
	key.Port = model.AnyPort
	return t.services[key]
}

func (t *twin) schedule(p parsed, s *twinService) outcome {
	for range natPicks {
		slot, ok := s.picker.Pick(s.table)
		if !ok {
			return p.ends(noServer)
		}
		c := connection(p, s.servers[slot.Server])
		if p.ttl <= 1 && !c.server.want.Local {
			return p.ends(ttlExceeded)
		}
		if c.forwarding == model.NAT && t.conns[c.fromServer] != nil {
			continue
		}
		if !t.create(c) {
			return p.ends(connFull)
		}
		c.server.counters.Connections++
		s.counters.Connections++
		return t.forward(p, c)
	}
	return p.ends(natClash)
}

func connection(p parsed, server *twinServer) *twinConn {
	c := &twinConn{
		toService: p.flow, server: server, forwarding: server.want.Forwarding,
		client: p.hop(), state: newState(p.flow.protocol),
	}
	if c.forwarding == model.NAT {
		port := server.want.Key.Port
		if port == model.AnyPort {
			port = p.flow.destination.Port()
		}
		c.fromServer = flow{netip.AddrPortFrom(server.want.Key.Address, port), p.flow.source, p.flow.protocol}
	}
	return c
}

func (t *twin) create(c *twinConn) bool {
	need := 1
	if c.forwarding == model.NAT {
		need = 2
	}
	if len(t.conns)+need > t.size {
		return false
	}
	t.conns[c.toService] = c
	if c.forwarding == model.NAT {
		t.conns[c.fromServer] = c
	}
	return true
}

func (t *twin) end(c *twinConn) {
	delete(t.conns, c.toService)
	if c.forwarding == model.NAT {
		delete(t.conns, c.fromServer)
	}
}

// opens: the packet may begin a connection.
func (p parsed) opens() bool {
	const all = packet.SYN | packet.ACK | packet.RST | packet.FIN
	return p.flow.protocol == model.UDP || p.flags&all == packet.SYN
}

// martian: no client can have this source address (RFC 6890), and none asks itself.
func (p parsed) martian() bool {
	a := p.flow.source.Addr()
	if a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 224) {
		return true
	}
	return a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() || a == p.flow.destination.Addr()
}
