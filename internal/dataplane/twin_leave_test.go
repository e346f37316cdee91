// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"encoding/binary"
	"slices"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/packet"
)

// leave is for what a client sends to a server that its service has no more. A SYN begins a connection
// elsewhere, if nothing becomes of the old one anyway.
func (t *twin) leave(p parsed, c *twinConn) outcome {
	policy := c.server.want.Leaving
	switch {
	case policy == model.Reset && p.opens() && p.flow.protocol != model.UDP:
		t.end(c)
		return t.fresh(p)
	case policy == model.Drain:
		return t.onward(p, c)
	case c.server.service.chosen(p) != nil, policy == model.Drop, p.isLater():
		return t.sentHere(p, serverLeft)
	}
	return t.reset(p, c)
}

// reset tells the client that the connection is over, and forgets it. A client that has just said so
// himself is not told, nor one whose packet his host would not believe either.
func (t *twin) reset(p parsed, c *twinConn) outcome {
	if !p.rightSums() {
		return p.ends(serverLeft)
	}
	t.end(c)
	switch {
	case p.flags&packet.RST != 0:
		return p.ends(serverLeft)
	case p.flow.protocol == model.UDP && p.isIPv4():
		return p.tell(serverReset, p.to, packet.ICMP{Type: 3, Code: 3}, 0)
	case p.flow.protocol == model.UDP:
		return p.tell(serverReset, p.to, packet.ICMPv6{Type: 1, Code: 4}, 0)
	case p.flow.protocol == model.SCTP:
		return p.reply(p.abort()...)
	}
	return p.reply(p.rst())
}

// rst answers a segment as a host does that knows nothing of its connection (RFC 9293 section 3.10.7.1).
func (p parsed) rst() packet.TCP {
	came := p.frame[p.l4:p.end()]
	sequence, acknowledged := binary.BigEndian.Uint32(came[4:]), binary.BigEndian.Uint32(came[8:])
	out := packet.TCP{Source: p.flow.destination.Port(), Destination: p.flow.source.Port(), Flags: packet.RST}
	if p.flags&packet.ACK != 0 {
		out.Seq = acknowledged
		return out
	}
	length := uint32(len(came) - int(came[12]>>4)*4)
	for _, flag := range []packet.TCPFlags{packet.SYN, packet.FIN} {
		if p.flags&flag != 0 {
			length++
		}
	}
	out.Flags |= packet.ACK
	out.Ack = sequence + length
	return out
}

// abort has the client's own verification tag, and says so by its T bit (RFC 9260 section 8.4).
func (p parsed) abort() packet.Layers {
	tag := binary.BigEndian.Uint32(p.frame[p.l4+4:])
	return packet.Layers{
		packet.SCTP{Source: p.flow.destination.Port(), Destination: p.flow.source.Port(), Tag: tag},
		packet.Chunk{Type: packet.ChunkAbort, Flags: 1},
	}
}

// reply goes back to where the frame came from, with the tag that it has.
func (p parsed) reply(layers ...packet.Layer) outcome {
	protocol := packet.Protocol(p.flow.protocol)
	var ip packet.Layer = packet.IPv6{Source: p.to, Destination: p.from, HopLimit: 64, Next: protocol}
	if p.isIPv4() {
		ip = packet.IPv4{Source: p.to, Destination: p.from, TTL: 64, Protocol: protocol}
	}
	link := slices.Concat(p.frame[6:12], p.frame[:6], p.frame[12:p.ip])
	return outcome{
		verdict: serverReset, egress: p.in.ifindex,
		out: append(link, packet.Build(append(packet.Layers{ip}, layers...)...)...),
	}
}
