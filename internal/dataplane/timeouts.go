// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// defaultTimeouts is where those of connections stand whose server is gone.
const defaultTimeouts = maxServices

// unsettledUDP is the place of UDP that is not settled, behind the states.
const unsettledUDP = pathConnStateCONN_STATES

func toTimeouts(t model.Timeouts) (out pathTimeouts) {
	t = t.OrDefault()
	for state, name := range connStates {
		out.Seconds[state] = uint32(*t.Of(name) / time.Second)
	}
	out.Seconds[unsettledUDP] = uint32(min(t.UDP, model.UnsettledUDP) / time.Second)
	return out
}

func (d *Dataplane) putTimeouts(index uint32, t model.Timeouts) error {
	value := toTimeouts(t)
	if err := d.path.Timeouts.Put(index, &value); err != nil {
		return fmt.Errorf("timeouts: %w", err)
	}
	return nil
}

// putServiceTimeouts comes before the service's servers: by them its connections find their timeouts.
func (d *Dataplane) putServiceTimeouts(entry *serviceEntry, t model.Timeouts) error {
	if entry.timeouts == toTimeouts(t) {
		return nil
	}
	if err := d.putTimeouts(entry.value.Id, t); err != nil {
		return err
	}
	entry.timeouts = toTimeouts(t)
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
		timeout = t.Seconds[unsettledUDP]
	}
	return max(time.Duration(timeout)*time.Second-idle(e.Seen, now, hz), 0)
}

// idle is for how long nothing was seen; what was seen since the clock was read was seen now.
func idle(seen, now, hz uint32) time.Duration {
	idle := now - seen
	if idle >= uint32(pathLimitSEEN_AHEAD) {
		idle = 0
	}
	return time.Duration(idle) * time.Second / time.Duration(hz)
}
