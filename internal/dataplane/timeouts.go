// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// defaultTimeouts is where those of connections stand whose server is gone.
const defaultTimeouts = maxServices

// toTimeouts has templates go at once where a service is not persistent, and those of a server that is gone.
func toTimeouts(t model.Timeouts, template time.Duration) (out pathTimeouts) {
	t = t.OrDefault()
	for state, name := range connStates {
		if timeout := t.Of(name); timeout != nil {
			out.Seconds[state] = uint32(*timeout / time.Second)
		}
	}
	out.Seconds[pathConnStateCONN_TEMPLATE] = uint32(template / time.Second)
	out.Seconds[pathConnStateCONN_KEPT] = out.Seconds[pathConnStateCONN_ESTABLISHED]
	out.Seconds[pathConnStateCONN_UDP_UNSETTLED] = uint32(min(t.UDP, model.UnsettledUDP) / time.Second)
	return out
}

// orphanTimeouts are those of connections whose server is gone: nobody waits for what is kept of them.
func orphanTimeouts() pathTimeouts {
	out := toTimeouts(model.Timeouts{}, 0)
	out.Seconds[pathConnStateCONN_KEPT] = 0
	return out
}

func (d *Dataplane) putTimeouts(index uint32, value pathTimeouts) error {
	if err := d.path.Timeouts.Put(index, &value); err != nil {
		return fmt.Errorf("timeouts: %w", err)
	}
	return nil
}

// putServiceTimeouts comes before the service's servers: by them its connections find their timeouts.
func (d *Dataplane) putServiceTimeouts(entry *serviceEntry, want model.ServiceWant) error {
	value := toTimeouts(want.Timeouts, want.Persistence.Timeout)
	if entry.timeouts == value {
		return nil
	}
	if err := d.putTimeouts(entry.value.Id, value); err != nil {
		return err
	}
	entry.timeouts = value
	return nil
}

// timeoutsOf is where the timeouts of a connection stand, as the sweep finds them.
func timeoutsOf(e pathConn, server pathServer) uint32 {
	if server.Generation != e.ServerGeneration {
		return defaultTimeouts
	}
	return server.Service
}

// expires is how long a connection lives on.
func expires(t pathTimeouts, e pathConn, now, hz uint32) time.Duration {
	w := word(e.Word)
	timeout := t.Seconds[w.state()&15]
	if w.state() == pathConnStateCONN_UDP && !w.has(pathConnFlagCONN_SETTLED) {
		timeout = t.Seconds[pathConnStateCONN_UDP_UNSETTLED]
	}
	if w.state() == pathConnStateCONN_TEMPLATE && isAhead(e.Seen, now) { // its connections keep it for longer than its time
		timeout += (e.Seen - now) / hz
	}
	return max(time.Duration(timeout)*time.Second-idle(e.Seen, now, hz), 0)
}

// idle is for how long nothing was seen; what was seen since the clock was read was seen now.
func idle(seen, now, hz uint32) time.Duration {
	if isAhead(seen, now) {
		return 0
	}
	return time.Duration(now-seen) * time.Second / time.Duration(hz)
}

func isAhead(seen, now uint32) bool { return now-seen >= uint32(pathLimitSEEN_AHEAD) }
