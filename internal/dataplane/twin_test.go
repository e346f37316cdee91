// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
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
	otherVLAN         verdict = "other_vlan"
	noService         verdict = "no_service"
	icmp              verdict = "icmp"
	notServing        verdict = "not_serving"
	unknownConnection verdict = "unknown_connection"
	noServer          verdict = "no_server"
	local             verdict = "local"
	checkAnswer       verdict = "check_answer" // of what is not in the twin: checks_test.go

	dr          verdict = "dr"
	tun         verdict = "tun"
	natIn       verdict = "nat_in"
	natOut      verdict = "nat_out"
	icmpIn      verdict = "icmp_in"
	icmpOut     verdict = "icmp_out"
	tooBigTold  verdict = "too_big_told"
	ttlTold     verdict = "ttl_told"
	serverReset verdict = "server_reset"

	hashedUnknown  verdict = "hashed_unknown"
	hashedHalfOpen verdict = "hashed_half_open"
	hashedFull     verdict = "hashed_full"

	malformed        verdict = "malformed"
	leaseOver        verdict = "lease_over"
	fragmentTiny     verdict = "fragment_tiny"
	fragmentOverlap  verdict = "fragment_overlap"
	fragmentOrphan   verdict = "fragment_orphan"
	fragmentHeld     verdict = "fragment_held"
	fragmentSCTP     verdict = "fragment_sctp"
	extensionHeaders verdict = "extension_headers"
	sourceRoute      verdict = "source_route"
	martian          verdict = "martian"
	badChecksum      verdict = "bad_checksum"
	icmpNoConnection verdict = "icmp_no_connection"
	icmpLowMTU       verdict = "icmp_low_mtu"
	ttlExceeded      verdict = "ttl_exceeded"
	noNeighbour      verdict = "no_neighbour"
	noRoute          verdict = "no_route"
	tooBig           verdict = "too_big"
	serverLeft       verdict = "server_left"
	serverGone       verdict = "server_gone"
	halfOpen         verdict = "half_open"
	connFull         verdict = "conn_full"
	connBusy         verdict = "conn_busy" // another CPU's doing, so the twin never says it
	natClash         verdict = "nat_clash"
	noHeadroom       verdict = "no_headroom" // the driver's doing, so the twin never says it
)

// passes are the verdicts of frames that the kernel gets; sends are those of frames that go on; drops
// are all others.
var (
	passes = []verdict{notIP, otherHost, otherVLAN, noService, icmp, notServing, unknownConnection, noServer, local, checkAnswer}
	sends  = []verdict{
		dr, tun, natIn, natOut, icmpIn, icmpOut, tooBigTold, ttlTold, serverReset, hashedUnknown, hashedHalfOpen,
		hashedFull,
	}
	drops = []verdict{
		malformed, leaseOver, fragmentTiny, fragmentOverlap, fragmentOrphan, fragmentHeld, fragmentSCTP, extensionHeaders,
		sourceRoute, martian, badChecksum, icmpNoConnection, icmpLowMTU, ttlExceeded, noNeighbour, noRoute,
		tooBig, serverLeft, serverGone, halfOpen, connFull, natClash, noHeadroom,
	}
)

// natPicks is how many servers are tried until one has a free way back.
const natPicks = 3

// twin is the path in plain Go: what it must do with every frame, as slowly and plainly as can be.
// It shares nothing with the C but types.h, so that each finds the other's mistakes. The path's
// order is that of this file: frame, then parse (twin_parse_test.go, twin_extension_test.go), known
// or fresh, then forward or answer (twin_forward_test.go), or tell the sender (twin_tell_test.go). A
// server that was removed is that of twin_leave_test.go, what has no connection that of twin_hash_test.go.
// Errors of ICMP and later fragments have roads of their own (twin_icmp_test.go,
// twin_fragment_test.go), which end in forward or answer too. Its clock moves when a test says so, and
// connections expire when it sweeps (twin_clock_test.go). No fragment expires, and tests have fewer of them
// under way than there is room for.
type twin struct {
	interfaces map[way]model.InterfaceWant // VLAN devices by the tags of their frames
	services   map[model.ServiceKey]*twinService
	own        []model.Addr          // what services of any destination leave alone
	leased     map[model.Addr]string // addresses of virtual routers, and whose
	holds      map[string]bool       // the leases of routers that hold
	conns      map[flow]*twinConn
	questions  map[flow]*twinConn // by their answers; they are in no table
	fragments  map[fragmentKey]*twinFragment
	table      *twinTable
	versions   uint32
	now        time.Duration
	fates      fates
}

type twinService struct {
	want     model.ServiceWant
	table    sched.Table
	hash     []int // the servers of its consistent hash, by their index
	picker   sched.Twin
	servers  []*twinServer
	counters counters
}

type twinServer struct {
	want     model.ServerWant
	service  *twinService
	gone     bool   // removed, though connections may still know it
	full     uint32 // the upper threshold that it has reached
	counters counters
	signs    dataplane.Signs
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
	packets    int        // of the client, up to twinSettles
	settled    bool       // nobody's beginning takes its places
	forth      *twinEntry // its places in the table
	back       *twinEntry // NAT only
	answered   bool       // by its server, which NAT sees
	unborn     bool       // it is getting its places
	persistent bool       // its service was so when it began
	seen       time.Duration
	dying      bool // a sweep saw that its time was over, and nothing was seen since
}

func (c *twinConn) isPair() bool { return c.forwarding == model.NAT }

// way is how frames come and go: by an interface, with the id of a tag; 0: without, or with a
// priority tag.
type way struct {
	ifindex int
	vlan    uint16
}

// twinHop is a neighbour from which a frame came.
type twinHop struct {
	way
	mac model.MAC
}

// outcome is what became of a frame.
type outcome struct {
	verdict verdict
	out     []byte
	egress  int // 0: the frame was not sent on
}

func newTwin(buckets uint32, seed [10]uint32) *twin {
	return &twin{
		services: map[model.ServiceKey]*twinService{}, conns: map[flow]*twinConn{}, questions: map[flow]*twinConn{},
		fragments: map[fragmentKey]*twinFragment{}, table: newTwinTable(buckets, seed),
	}
}

// frame is the path: one frame in, one outcome.
func (t *twin) frame(ifindex int, frame []byte) outcome {
	p, v := t.parse(ifindex, frame)
	o := outcome{verdict: v, out: frame}
	if v == undecided {
		o = t.balance(p)
	}
	t.aside(p, o.verdict)
	return o
}

func (t *twin) balance(p parsed) outcome {
	switch {
	case p.quote != nil:
		return t.icmpError(p)
	case p.isLater():
		return t.later(p)
	}
	if c := t.connOf(p.flow); c != nil {
		return t.connected(p, c)
	}
	return t.fresh(p)
}

// connected is for a packet of a connection.
func (t *twin) connected(p parsed, c *twinConn) outcome {
	if p.flow == c.fromServer {
		return t.answer(p, c)
	}
	return t.known(p, c)
}

func (t *twin) known(p parsed, c *twinConn) outcome {
	if !c.server.gone && !c.server.service.goesOn() {
		return p.ends(notServing)
	}
	if c.server.gone || c.isOver(p) {
		if !p.opens() {
			return t.sentHere(p, serverGone)
		}
		t.end(c)
		return t.fresh(p)
	}
	if c.server.want.Leaving != 0 {
		return t.leave(p, c)
	}
	return t.onward(p, c)
}

// goesOn: connections of the service go on.
func (s *twinService) goesOn() bool { return s.want.Serving || s.want.Lingers }

// onward is for what goes on as its connection goes.
func (t *twin) onward(p parsed, c *twinConn) outcome {
	if v := t.first(p); v != undecided {
		return p.ends(v)
	}
	c.client = p.hop()
	t.see(p, c, true)
	return t.forward(p, c)
}

// fresh is for a packet that belongs to no connection.
func (t *twin) fresh(p parsed) outcome {
	s := t.service(p.flow)
	switch {
	case s == nil:
		return p.ends(noService)
	case !s.want.Serving && s.want.Lingers && !t.isMartian(p.from, p.to):
		return t.byHash(p, s, notServing)
	case !s.want.Serving:
		return p.ends(notServing)
	case t.isMartian(p.from, p.to):
		return p.ends(martian)
	case !p.opens() && !t.opensBackwards(p, s):
		return t.byHash(p, s, unknownConnection)
	case !p.rightSums():
		return p.ends(badChecksum)
	case t.isHalfOpenFull(p, s):
		return t.byHash(p, s, halfOpen)
	}
	return t.schedule(p, s)
}

// service finds the one with this very port before that of a range, and this before the one with any port;
// then the one of any destination, unless it leaves the packet alone. Port 0 is reserved (RFC 6335 section
// 6): nobody listens there, and in keys it means any port.
func (t *twin) service(f flow) *twinService {
	from, to := f.source.Addr(), f.destination.Addr()
	if f.destination.Port() == 0 {
		return nil
	}
	if s := t.serviceAt(to, f); s != nil {
		return s
	}
	if t.passesBy(from, to) {
		return t.serviceAt(anyOf(to), f)
	}
	return nil
}

func (t *twin) serviceAt(address netip.Addr, f flow) *twinService {
	port := f.destination.Port()
	for _, fits := range []func(model.ServiceKey) bool{
		func(k model.ServiceKey) bool { return k.Port == port && k.Last == 0 },
		func(k model.ServiceKey) bool { return k.Port <= port && port <= k.Last },
		func(k model.ServiceKey) bool { return k.Port == model.AnyPort },
	} {
		for _, s := range t.services {
			for _, key := range s.want.Keys() {
				if key.Address == address && key.Protocol == f.protocol && fits(key) {
					return s
				}
			}
		}
	}
	return nil
}

func (t *twin) schedule(p parsed, s *twinService) outcome {
	for range natPicks {
		server, isNew := t.pick(p, s)
		if server == nil {
			return p.ends(noServer)
		}
		c := connection(p, server)
		if p.ttl <= 1 && !c.server.want.Local {
			return p.expired(p.to)
		}
		c.persistent = s.isPersistent()
		var template *twinConn
		if isNew && s.isPersistent() {
			template = t.remember(s.templateOf(p.flow), server)
		}
		if c.forwarding == model.NAT && !t.clear(c.fromServer) {
			t.unremember(template)
			continue
		}
		if s.want.OnePacket && p.piece == nil {
			if o := t.ask(p, c); o.verdict != undecided {
				return o
			}
			t.unremember(template)
			continue
		}
		if !t.create(c) {
			t.unremember(template)
			return t.byHash(p, s, connFull)
		}
		c.server.counters.Connections++
		s.counters.Connections++
		if v := t.first(p); v != undecided {
			return p.ends(v)
		}
		return t.forward(p, c)
	}
	return p.ends(natClash)
}

// pick is this host, where another director says so; where the client's template leads; or else whose turn it is.
func (t *twin) pick(p parsed, s *twinService) (server *twinServer, isNew bool) {
	if server := s.chosen(p); server != nil {
		return server, false
	}
	f := p.flow
	if server := t.followed(f, s); server != nil {
		return server, false
	}
	slot, ok := s.picker.Pick(s.table, sched.Ask{Client: f.source, Virtual: f.destination, Load: t.loadsOf(s), Full: t.fullOf(s)})
	if !ok {
		return nil, false
	}
	return s.servers[slot.Server], true
}

// here is the index of the server that is this host; -1: none is.
func (s *twinService) here() int {
	return slices.IndexFunc(s.servers, func(o *twinServer) bool { return o.want.Local && o.want.Leaving == 0 })
}

// chosen is the server that is this host, where the frame is of another server by DR: that one is a director, too.
func (s *twinService) chosen(p parsed) *twinServer {
	here := s.here()
	sent := func(o *twinServer) bool {
		w := o.want
		return !w.Local && w.Forwarding == model.DR && w.Next == w.Key.Address && w.MAC != model.MAC{} && w.MAC == p.hop().mac
	}
	if here < 0 || !slices.ContainsFunc(s.servers, sent) {
		return nil
	}
	return s.servers[here]
}

// sentHere is for what this host gets as a server, if another director has chosen it; else it ends as v.
func (t *twin) sentHere(p parsed, v verdict) outcome {
	s := t.service(p.flow)
	if s == nil {
		return p.ends(v)
	}
	here := s.chosen(p)
	if here == nil {
		return p.ends(v)
	}
	if v := t.first(p); v != undecided {
		return p.ends(v)
	}
	here.countIn(p)
	return p.ends(local)
}

func connection(p parsed, server *twinServer) *twinConn {
	c := &twinConn{
		toService: p.flow, server: server, forwarding: server.want.Forwarding,
		client: p.hop(), state: newState(p.flow.protocol), packets: 1,
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

// opens: the packet may begin a connection. A later fragment may not: it does not say of what.
func (p parsed) opens() bool {
	const all = packet.SYN | packet.ACK | packet.RST | packet.FIN
	return !p.isLater() && (p.flow.protocol == model.UDP || p.flags&all == packet.SYN)
}

// isMartian: no client can have this source address (RFC 6890), and none asks itself, or for another service.
func (t *twin) isMartian(from, to netip.Addr) bool {
	if from.Is4() && (from.As4()[0] == 0 || from.As4()[0] >= 224) {
		return true
	}
	return from.IsLoopback() || from.IsMulticast() || from.IsUnspecified() || from == to || t.isVIP(from)
}

// rightSums: a new connection is worth an entry. Of a fragment TCP's checksum cannot be told.
func (p parsed) rightSums() bool {
	if p.isIPv4() && packet.Checksum(p.frame[p.ip:p.ipv4End()]) != 0 {
		return false
	}
	if p.flow.protocol != model.TCP || p.piece != nil {
		return true
	}
	return packet.Checksum(append(p.pseudoHeader(), p.frame[p.l4:p.end()]...)) == 0
}

// pseudoHeader is what checksums of transport protocols cover besides (RFC 9293 section 3.1, RFC
// 8200 section 8.1).
func (p parsed) pseudoHeader() []byte {
	b := slices.Concat(p.from.AsSlice(), p.to.AsSlice())
	b = binary.BigEndian.AppendUint32(b, uint32(p.end()-p.l4))
	return binary.BigEndian.AppendUint32(b, uint32(p.flow.protocol))
}
