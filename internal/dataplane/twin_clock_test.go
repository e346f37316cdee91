// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// The clock of the twin stands still but where a test moves it, by whole steps; the path's clock goes on. So
// that none of it decides, the time that really passes is taken away from connections again (testbed.elapse),
// and no timeout of a walk ends within seconds after a step (timed). Timeouts of 0 end at once in both.
const twinStep = 35 * time.Second

// A template has so much left at least while a connection of it lives, which looks after it in one of so many
// rounds; in each, where templates live shorter than that (bpf/types.h).
const (
	twinTemplateKept  = time.Minute
	twinTemplateTurns = 8
)

// fates are how often connections met one.
type fates struct {
	revived int // by a packet, after the sweep had marked it
	kept    int
	woken   int // by a packet, after it was kept
	evicted int // by whoever needed its place
	yielded int // the same, of those that were kept
}

func (c *twinConn) isKept() bool { return c.state.name == model.Kept }

// elapse lets time pass. What a template was given is no whole number of steps: it is rounded as the path's is.
func (t *twin) elapse(by time.Duration) {
	for _, c := range t.conns {
		c.seen = t.now - dataplane.WholeSteps(t.now-c.seen, twinStep)
	}
	t.now += by
}

// see is for a packet of a connection.
func (t *twin) see(p parsed, c *twinConn, fromClient bool) {
	wasKept, wasSettled := c.isKept(), c.settled
	if c.dying {
		t.fates.revived++
	}
	c.see(p, fromClient)
	c.seen, c.dying = t.now, false
	if wasKept && !c.isKept() {
		t.fates.woken++
		t.came(c.server)
	}
	if !wasSettled && c.settled {
		t.confirm(c)
	}
}

// sweep is a round of the sweep: slot by slot, since who goes makes room for who is kept. The number of the
// round says whose turn it is to look after a template.
func (t *twin) sweep(round uint32) (swept dataplane.Swept) {
	for i := range t.table.buckets {
		b := &t.table.buckets[i]
		for slot := range b.slots {
			if e := b.slots[slot]; e != nil {
				t.visit(e, round, &swept)
			}
		}
	}
	return swept
}

// visit is for half of a pair, too: a way back goes with its connection.
func (t *twin) visit(e *twinEntry, round uint32, swept *dataplane.Swept) {
	c := e.conn
	swept.Seen++
	switch {
	case e == c.back || !t.isOverdue(c):
		if c.isKept() {
			swept.Kept++
		}
		if e == c.forth {
			t.tendTemplate(c, round)
		}
	case !c.dying:
		c.dying = true
		swept.Marked++
	case t.keeps(c):
		t.keep(c)
	default:
		t.end(c)
		swept.Deleted++
	}
}

// isOverdue: nothing was seen of it for the time of its state.
func (t *twin) isOverdue(c *twinConn) bool {
	idle := t.now - c.seen
	return idle >= 0 && idle >= c.timeout()
}

// timeout is that of a connection's state, as its server's service has it. Who has no server any more has the
// defaults, and neither templates nor what is kept.
func (c *twinConn) timeout() time.Duration {
	timeouts, template := model.Timeouts{}, time.Duration(0)
	if !c.server.gone {
		want := c.server.service.want
		timeouts, template = want.Timeouts, want.Persistence.Timeout
	}
	timeouts = timeouts.OrDefault()
	switch {
	case c.isTemplate():
		return template
	case c.isKept() && c.server.gone:
		return 0
	case c.isKept():
		return timeouts.Established
	case c.state.name == "UDP" && !c.settled:
		return min(timeouts.UDP, model.UnsettledUDP)
	}
	return *timeouts.Of(c.state.name)
}

// keeps: its time is over, but perhaps it was a stranger who closed it, and there is room for it.
func (t *twin) keeps(c *twinConn) bool {
	doubtful := c.state.name == "SYN_RECV" || c.state.name == "FIN_WAIT" || c.state.name == "CLOSE"
	if !doubtful || !c.settled || c.state.closed() || c.server.gone {
		return false
	}
	return t.table.buckets[c.forth.bucket].keeps() && (c.back == nil || t.table.buckets[c.back.bucket].keeps())
}

// keeps: newcomers are no slower by what is kept there.
func (b *twinBucket) keeps() bool {
	return b.count(isTaken) <= twinKeepsTaken && b.count(isUnsettled) < twinKeepsUnsettled
}

// keep has a connection count no more, and give way to whoever comes, until its client is heard again.
func (t *twin) keep(c *twinConn) {
	t.fates.kept++
	c.state.name, c.settled, c.dying = model.Kept, false, false
	c.packets = twinSettles - 1
	t.went(c.server)
}

// tendTemplate is what a connection that lives does for its template, if it is its turn.
func (t *twin) tendTemplate(c *twinConn, round uint32) {
	if c.server.gone || !c.persistent || c.isKept() {
		return
	}
	lives := c.server.service.want.Persistence.Timeout
	if lives >= twinTemplateKept && (c.forth.position()+round)%twinTemplateTurns != 0 {
		return
	}
	key, ok := t.templateFor(c)
	template := t.conns[key]
	if !ok || template == nil || template.server != c.server {
		return
	}
	if seen := t.now - lives + twinTemplateKept; seen > template.seen {
		template.seen, template.dying = seen, false
	}
}

// position is that of the entry in the path's table, whose buckets begin with what is said of them.
func (e *twinEntry) position() uint32 { return uint32(e.bucket*(twinSlots+1) + 1 + e.slot) }

// kill ends the connections that are wanted, and says how many.
func (t *twin) kill(wanted func(dataplane.Connection) bool) (n uint64) {
	for key, c := range t.conns {
		if key != c.fromServer && wanted(c.listed()) {
			t.end(c)
			n++
		}
	}
	return n
}
