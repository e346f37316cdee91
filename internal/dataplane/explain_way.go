// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/weir-lb/weir/internal/model"
)

// way is what becomes of a packet that no server gets.
func way(v pathVerdict, reason string) model.Way {
	return model.Way{Verdict: verdictTexts[v].name, Means: verdictTexts[v].help, Reason: reason}
}

// toward is what becomes of a packet that is a server's.
func toward(v pathVerdict, server pathServer, forwarding pathForwarding, reason string) model.Way {
	out, key := way(v, reason), serverKey(server)
	out.Server = &key
	out.Forwarding = fromForwarding(forwarding)
	out.Local = has(server, pathServerFlagSERVER_LOCAL)
	out.Hop = model.NextHop{Link: int(server.Hop.Ifindex), VLAN: server.Hop.Vlan, Address: fromAddr(server.Next)}
	if has(server, pathServerFlagSERVER_RESOLVED) {
		out.Hop.MAC = server.Hop.Mac
	}
	return out
}

// forwarded is how a packet ends that goes to a server: forward_to_server of bpf/forward.h, for a packet
// that nothing is the matter with.
func forwarded(server pathServer, forwarding pathForwarding) pathVerdict {
	switch {
	case has(server, pathServerFlagSERVER_LOCAL):
		return pathVerdictVERDICT_LOCAL
	case server.Hop.Ifindex == 0:
		return pathVerdictVERDICT_NO_ROUTE
	case !has(server, pathServerFlagSERVER_RESOLVED):
		return pathVerdictVERDICT_NO_NEIGHBOUR
	case forwarding == pathForwardingFORWARDING_DR:
		return pathVerdictVERDICT_DR
	case forwarding == pathForwardingFORWARDING_TUN:
		return pathVerdictVERDICT_TUN
	}
	return pathVerdictVERDICT_NAT_IN
}

// has tells whether the service has a flag.
func (x *explaining) has(flag pathServiceFlag) bool { return pathServiceFlag(x.found.Flags)&flag != 0 }

// isMartian is martian of bpf/service.h.
func (x *explaining) isMartian() (bool, error) {
	client := x.flow.Client.Addr()
	if client.IsUnspecified() || client.IsLoopback() || client.IsMulticast() {
		return true, nil
	}
	if client.Is4() && (client.As4()[0] == 0 || client.As4()[0] >= 224) {
		return true, nil
	}
	key := toAddr(client)
	var services uint32
	err := x.d.path.Vips.Lookup(&key, &services)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil, err
}

// refused is the way of a packet without a connection that comes to no scheduler; false: it does.
func (x *explaining) refused() (model.Way, bool, error) {
	martian, err := x.isMartian()
	if err != nil {
		return model.Way{}, false, fmt.Errorf("read vips: %w", err)
	}
	if !x.has(pathServiceFlagSERVICE_SERVING) {
		return x.unserved(martian), true, nil
	}
	return way(pathVerdictVERDICT_MARTIAN, fmt.Sprintf("no client has the address %s", x.flow.Client.Addr())), martian, nil
}

// unserved is the way of a packet to a service that another director has: the hash may lead it where that one sends it.
func (x *explaining) unserved(martian bool) model.Way {
	lingers := slices.ContainsFunc(x.servers, func(c candidate) bool { return has(c.server, pathServerFlagSERVER_LINGERS) })
	if !lingers || martian {
		return way(pathVerdictVERDICT_NOT_SERVING, "")
	}
	const since = "another director has the service since a moment ago; "
	if !x.has(pathServiceFlagSERVICE_FORWARD_UNKNOWN) {
		return way(pathVerdictVERDICT_NOT_SERVING, since+"here only known connections go on")
	}
	return x.byHash(pathVerdictVERDICT_NOT_SERVING, pathVerdictVERDICT_HASHED_UNKNOWN, since)
}

// goesOn: packets of a server's connections go to it.
func goesOn(s pathServer) bool {
	return has(s, pathServerFlagSERVER_SERVING|pathServerFlagSERVER_LINGERS)
}

// resume says of the connection what becomes of its packets, and whether one may begin another connection
// in its place: resume of bpf/weir.bpf.c.
func (x *explaining) resume() (known *model.Known, begins bool, err error) {
	e := x.conn.conn
	server, err := x.d.readServer(uint32(e.Server))
	if err != nil {
		return nil, false, err
	}
	known = &model.Known{State: connStates[word(e.Word).state()], Server: connection(e, server).Server}
	var timeouts pathTimeouts
	if err := x.d.path.Timeouts.Lookup(timeoutsOf(e, server), &timeouts); err != nil {
		return nil, false, fmt.Errorf("read timeouts: %w", err)
	}
	known.Expires = expires(timeouts, e, x.d.now(), x.d.hz)
	if x.isBack {
		known.Packet = answered(e, server)
		return known, false, nil
	}
	if server.Generation != e.ServerGeneration {
		known.Packet = way(pathVerdictVERDICT_SERVER_GONE, x.gone())
		return known, true, nil
	}
	known.Packet = x.onward(server, pathForwarding(e.Forwarding))
	if begins = x.beginsAnew(server); begins {
		x.forget()
	}
	return known, begins, nil
}

// answered is the way of a NAT server's packet to the client.
func answered(e pathConn, server pathServer) model.Way {
	if server.Generation == e.ServerGeneration && pathLeaving(server.Leaving) > pathLeavingLEAVING_DRAIN {
		return way(pathVerdictVERDICT_SERVER_LEFT, "the server that answers was removed")
	}
	c := connection(e, server)
	return way(pathVerdictVERDICT_NAT_OUT, fmt.Sprintf("it is the answer of a server to %s, who asked %s", c.Client, c.Virtual))
}

// gone: a datagram finds no server either, but begins a connection.
func (x *explaining) gone() string {
	if x.flow.Protocol == model.UDP {
		return "its server was removed: the next datagram begins another connection"
	}
	return "its server was removed"
}

// onward is the way of a packet of a connection, by the policy of a server that is leaving.
func (x *explaining) onward(server pathServer, forwarding pathForwarding) model.Way {
	v, reason := forwarded(server, forwarding), "it has the connection"
	switch leaving := pathLeaving(server.Leaving); {
	case !goesOn(server):
		return way(pathVerdictVERDICT_NOT_SERVING, "")
	case leaving == pathLeavingLEAVING_DRAIN:
		reason += ", and is leaving: drain"
	case leaving == pathLeavingLEAVING_RESET:
		v, reason = pathVerdictVERDICT_SERVER_RESET, "it had the connection, and is leaving: reset"
	case leaving == pathLeavingLEAVING_DROP:
		v, reason = pathVerdictVERDICT_SERVER_LEFT, "it had the connection, and is leaving: drop"
	}
	return toward(v, server, forwarding, reason)
}

// beginsAnew: a SYN begins another connection in place of this one: begins_anew and leave of bpf/weir.bpf.c.
func (x *explaining) beginsAnew(server pathServer) bool {
	if x.flow.Protocol == model.UDP || !goesOn(server) {
		return false
	}
	kept := has(server, pathServerFlagSERVER_REUSE_KEPT)
	if isClosed(word(x.conn.conn.Word)) && !kept {
		return true
	}
	switch word(x.conn.conn.Word).state() {
	case pathConnStateCONN_KEPT:
		return true
	case pathConnStateCONN_FIN_WAIT, pathConnStateCONN_CLOSE:
		if has(server, pathServerFlagSERVER_QUIESCED|pathServerFlagSERVER_REUSE_CLOSING) && !kept {
			return true
		}
	}
	return pathLeaving(server.Leaving) == pathLeavingLEAVING_RESET
}

// isClosed: both sides have closed: conn_closed of bpf/conn.h.
func isClosed(w word) bool {
	return w.has(pathConnFlagCONN_FIN_CLIENT) && w.has(pathConnFlagCONN_FIN_SERVER)
}

// isOver: its way back may become another connection's: conn_is_over of bpf/create.h.
func isOver(w word) bool {
	if w.state() == pathConnStateCONN_UDP {
		return w.has(pathConnFlagCONN_FIN_SERVER) && !w.has(pathConnFlagCONN_SETTLED)
	}
	return isClosed(w) || w.state() == pathConnStateCONN_KEPT
}

// forget takes the connection out of what its server has: it ends before another one begins in its place.
func (x *explaining) forget() {
	x.forgotten = word(x.conn.conn.Word).state()
	for i := range x.servers {
		c := &x.servers[i]
		if c.id != uint32(x.conn.conn.Server) {
			continue
		}
		switch x.forgotten {
		case pathConnStateCONN_KEPT:
		case pathConnStateCONN_ESTABLISHED:
			c.load.Active--
		default:
			c.load.Inactive--
		}
	}
}

// stray is the way of a packet without a connection that begins none.
func (x *explaining) stray() (model.Way, error) {
	out, refused, err := x.refused()
	if err != nil || refused {
		return out, err
	}
	return x.byHash(pathVerdictVERDICT_UNKNOWN_CONNECTION, pathVerdictVERDICT_HASHED_UNKNOWN, ""), nil
}

// byHash is by_hash of bpf/weir.bpf.c: what goes nowhere by the hash of its flow ends as otherwise.
func (x *explaining) byHash(otherwise, hashed pathVerdict, reason string) model.Way {
	if !x.has(pathServiceFlagSERVICE_FORWARD_UNKNOWN) {
		return way(otherwise, reason+"unknown: pass")
	}
	if len(x.table.Hash) == 0 {
		return way(otherwise, reason+"no server takes connections")
	}
	hash := hashFlow(toFlow(x.flow), flowSeed)
	server := x.servers[x.table.Hash[scale(uint32(hash>>32), uint32(len(x.table.Hash)))]].server
	v, forwarding := forwarded(server, pathForwarding(server.Forwarding)), pathForwarding(server.Forwarding)
	if forwarding == pathForwardingFORWARDING_NAT && v != pathVerdictVERDICT_LOCAL {
		return way(otherwise, fmt.Sprintf("%sthe hash of the flow names %s, which needs a connection, as NAT does", reason, serverKey(server)))
	}
	if v == pathVerdictVERDICT_DR || v == pathVerdictVERDICT_TUN {
		v = hashed
	}
	out := toward(v, server, forwarding, reason+"the hash of the flow names it")
	out.Hashed = true
	return out
}

// waits is how many connections of the service wait for their client's second packet, if it may have no
// more: half_open_full of bpf/service.h.
func (x *explaining) waits() (count int64, full bool, err error) {
	if x.found.HalfOpen == 0 || x.flow.Protocol == model.UDP {
		return 0, false, nil
	}
	if err := x.d.path.HalfOpen.Lookup(x.found.Id, &count); err != nil {
		return 0, false, fmt.Errorf("read half_open: %w", err)
	}
	if x.forgotten == pathConnStateCONN_SYN_RECV {
		count--
	}
	return count, count >= int64(x.found.HalfOpen), nil
}
