// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// How fine a slow start is: each step is another plan.
const (
	mostSteps    = 50
	shortestStep = 200 * time.Millisecond
)

// slowDown lets a server that comes to others begin with little: its weight grows in steps, from 1 to all of it.
// The others are those that have served for a slow start already. Where there are none, all begin anew, and nobody
// would be spared.
func (p *pool) slowDown(service model.Service, seen model.Seen, now time.Time) {
	length := service.SlowStart
	if length == 0 {
		return
	}
	since := make([]time.Time, len(p.wants))
	oldest := now
	for i, want := range p.wants {
		since[i] = enteredAt(model.ServiceServer{Service: service.Key, Server: want.Key}, seen, now)
		if want.Weight > 0 && since[i].Before(oldest) {
			oldest = since[i]
		}
	}
	p.ramps = map[model.ServerKey]time.Time{}
	for i := range p.wants {
		want, end := &p.wants[i], since[i].Add(length)
		if want.Weight == 0 || service.Servers[i].Sorry || !now.Before(end) || oldest.Add(length).After(since[i]) {
			continue
		}
		p.ramps[want.Key] = end
		step := stepOf(length)
		steps := max(0, now.Sub(since[i])/step) // a clock that was set back begins anew
		want.Weight = ramped(want.Weight, steps*step, length)
		p.step = earlier(p.step, earlier(since[i].Add((steps+1)*step), end))
	}
}

func stepOf(length time.Duration) time.Duration { return max(length/mostSteps, shortestStep) }

// ramped is the part of a weight that a server has after a while: never nothing.
func ramped(weight uint16, after, length time.Duration) uint16 {
	return uint16(max(1, uint64(weight)*uint64(min(after, length))/uint64(length)))
}

// enteredAt is since when a server is in the pool, if it is; zero: longer than anybody remembers.
func enteredAt(server model.ServiceServer, seen model.Seen, now time.Time) time.Time {
	if seen.InPool[server] {
		return seen.Entered[server]
	}
	return now
}

// stillEntered is what is remembered of it for the next plan.
func stillEntered(seen model.Seen, pool map[model.ServiceServer]bool, now time.Time) map[model.ServiceServer]time.Time {
	out := map[model.ServiceServer]time.Time{}
	for server, in := range pool {
		if since := enteredAt(server, seen, now); in && !since.IsZero() {
			out[server] = since
		}
	}
	return out
}

// nextStep is the first of all; zero: there is none.
func nextStep(pools []pool) time.Time {
	var first time.Time
	for _, p := range pools {
		first = earlier(first, p.step)
	}
	return first
}
