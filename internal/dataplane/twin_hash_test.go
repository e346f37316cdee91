// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import "github.com/weir-lb/weir/internal/model"

// pi in hexadecimal, from behind the point on: what the hash of flows is salted with on every director.
var pi = [10]uint32{
	0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89, 0x452821e6, 0x38d01377,
}

// named is the server that the consistent hash has for a flow; nil: nobody takes connections.
func (s *twinService) named(f flow) *twinServer {
	if len(s.hash) == 0 {
		return nil
	}
	bits := (&twinTable{seed: pi}).hash(f) >> 32
	return s.servers[s.hash[bits*uint64(len(s.hash))>>32]]
}

// byHash is for a packet without a connection, which would end as v if there were no hash. It is
// forwarded as if it had one, and leaves no trace but in counters of packets.
func (t *twin) byHash(p parsed, s *twinService, v verdict) outcome {
	server := s.named(p.flow)
	if s.want.Unknown == model.PassUnknown || p.piece != nil || server == nil {
		return p.ends(v)
	}
	if server.want.Forwarding == model.NAT && !server.want.Local {
		return p.ends(v)
	}
	o := t.forward(p, connection(p, server))
	if o.verdict == dr || o.verdict == tun {
		o.verdict = map[verdict]verdict{unknownConnection: hashedUnknown, notServing: hashedUnknown, halfOpen: hashedHalfOpen, connFull: hashedFull}[v]
	}
	return o
}

// isHalfOpenFull: the service has as many as it may that wait for their client's second packet.
func (t *twin) isHalfOpenFull(p parsed, s *twinService) bool {
	if s.want.HalfOpen == 0 || p.flow.protocol == model.UDP {
		return false
	}
	n := 0
	for _, server := range s.servers {
		n += int(t.load(server)[2])
	}
	return n >= s.want.HalfOpen
}
