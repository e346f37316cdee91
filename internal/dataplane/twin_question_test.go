// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import "github.com/weir-lb/weir/internal/model"

// ask is for a datagram that is scheduled for itself. By NAT its answer is known again; undecided: its answer would
// be that of another question, which waits.
func (t *twin) ask(p parsed, c *twinConn) outcome {
	if other := t.questions[c.fromServer]; c.forwarding == model.NAT && other != nil && !other.answered && other.toService != c.toService {
		return outcome{verdict: undecided}
	}
	c.server.counters.Connections++
	c.server.service.counters.Connections++
	if c.forwarding == model.NAT {
		t.questions[c.fromServer] = c
	}
	return t.forward(p, c)
}

// connOf is the connection of a packet, or the question that it answers.
func (t *twin) connOf(f flow) *twinConn {
	if c := t.conns[f]; c != nil {
		return c
	}
	return t.questions[f]
}
