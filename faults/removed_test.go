// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 30. What is lost otherwise are connections of the other servers.
const (
	newThere = "new_there"  // new connections to the server, after the reload was confirmed
	cut      = "cut"        // connections of a server that drains which did not live on
	answered = "answered"   // connections of one that is dropped whose client heard anything
	reset    = "reset"      // clients of one that is reset which spoke, and heard of it by their first packet
	resetIn  = "reset_trip" // how long that took, in round trips to the other servers
	resumed  = "resumed"    // connections that lived on or waited, and go on when the server is back
)

// Policies of a service for those of its servers that leave.
const (
	drains = "drain"
	drops  = "drop"
	resets = "reset"
)

// removed: a server is taken out of the configuration while connections live, by each policy, and is back
// before they have ended.
func removed(weir string) faults.Fault {
	return faults.Fault{
		Number: 30,
		Long:   true,
		Parts: append(partsOfLoad(),
			faults.Part{Name: newThere, Unit: "connections"},
			faults.Part{Name: cut, Unit: "connections"},
			faults.Part{Name: answered, Unit: "connections"},
			faults.Part{Name: reset, Unit: "%", Bar: 100, AtLeast: true},
			faults.Part{Name: resetIn, Unit: faults.Times, Bar: 1},
			faults.Part{Name: resumed, Unit: "%", Bar: 100, AtLeast: true},
		),
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			all := byBoth(t, weir, talkative(size))
			return func() (faults.Measured, error) {
				s := sights{size: size}
				err := inTurn(t.Context(), all, s.seeAll)
				return s.measured(), err
			}
		},
	}
}

// talkative is the usual load; small, nobody is silent for long.
func talkative(size faults.Size) lab.LoadPlan {
	plan := usualLoad(size)
	plan.Every = time.Duration(size.Of(200, 5000)) * time.Millisecond
	return plan
}

// sights are what was seen of all absences of a run.
type sights struct {
	size      faults.Size
	disturbed []string

	lost, failedNew, newThere int
	cut, answered             int
	spoke, reset              int // clients of servers that are reset
	trips                     float64
	waiting, resumed          int
}

func (s *sights) measured() faults.Measured {
	return faults.Measured{
		Figures: map[string]float64{
			lost: float64(s.lost), failedNew: float64(s.failedNew), newThere: float64(s.newThere),
			cut: float64(s.cut), answered: float64(s.answered),
			reset: percent(s.reset, s.spoke), resetIn: s.trips, resumed: percent(s.resumed, s.waiting),
		},
		Disturbed: strings.Join(s.disturbed, ", "),
	}
}

// seeAll begins with the policies that end no connection.
func (s *sights) seeAll(ctx context.Context, c *changer) error {
	for _, policy := range []string{drains, drops, resets} {
		if err := s.see(ctx, c, policy, policy); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
	}
	return nil
}

// see judges an absence by what a policy promises.
func (s *sights) see(ctx context.Context, c *changer, policy, promise string) error {
	a := &absence{changer: c, policy: policy, seen: s}
	if err := a.serve(ctx); err != nil {
		return err
	}
	for _, stage := range a.stages(promise) {
		if err := a.under(ctx, stage); err != nil {
			return err
		}
	}
	if promise == drains {
		s.cut += missing(a.held, c.residents())
	}
	s.waiting += len(a.waiting)
	s.resumed += len(a.waiting) - missing(a.waiting, c.residents())
	return nil
}

// absence is a server that is taken out, and put in again.
type absence struct {
	*changer
	policy string
	seen   *sights

	held    clients // of the connections that the server had
	waiting clients // of those that are to go on when it is back

	left      time.Time                       // when the reload was confirmed
	newcomers int                             // that the server had when it had left
	then      map[netip.AddrPort]lab.Resident // everybody, at that time
}

// missing are those that are not among the residents.
func missing(some clients, residents map[netip.AddrPort]lab.Resident) (n int) {
	for client := range some {
		if _, there := residents[client]; !there {
			n++
		}
	}
	return n
}

// stages of an absence; behind each the load's end asks everybody. While a server drains everybody must
// be heard; with the other policies that would end what is to wait.
func (a *absence) stages(promise string) []func(context.Context) error {
	switch promise {
	case drops:
		return []func(context.Context) error{oneByOne(a.leave, a.lookForSilence, a.comeBack)}
	case resets:
		return []func(context.Context) error{oneByOne(a.leave, a.lookForResets, a.comeBack)}
	default:
		return []func(context.Context) error{a.leave, a.comeBack}
	}
}

// under adds what the load lost, but for the connections of the server.
func (a *absence) under(ctx context.Context, happen func(context.Context) error) error {
	before := missing(a.held, a.residents())
	outcome, disturbed, err := a.outcome(ctx, happen)
	if err != nil {
		return err
	}
	others := outcome.Lost - (missing(a.held, a.residents()) - before)
	if others != 0 {
		a.log("%s: %d of other servers are lost: %v", a.lab.Forwarding, others, outcome.First)
	}
	a.seen.lost += others
	a.seen.failedNew += outcome.FailedFresh - a.underWay(outcome)
	a.seen.disturbed = append(a.seen.disturbed, disturbed...)
	return nil
}

// underWay are new connections that failed and had begun when the server left: it may have had them, and
// only one that drains keeps what it has.
func (a *absence) underWay(outcome lab.Outcome) (n int) {
	for _, began := range outcome.Failed {
		if a.policy != drains && began.Before(a.left) {
			n++
		}
	}
	return n
}

// serve gives the services their policy, and all servers.
func (a *absence) serve(ctx context.Context) error {
	return a.becomeWith(ctx, func(line string) string { return line })
}

func (a *absence) becomeWith(ctx context.Context, edit func(line string) string) error {
	const servers = "    servers:\n"
	return a.become(ctx, strings.ReplaceAll(a.but(edit), servers, "    leaving: "+a.policy+"\n"+servers))
}

// leave returns when all who speak have done so.
func (a *absence) leave(ctx context.Context) (err error) {
	if a.held, err = a.clientsNow(ctx); err != nil {
		return err
	}
	a.waiting = maps.Clone(a.held)
	if err := a.becomeWith(ctx, func(string) string { return "" }); err != nil {
		return err
	}
	a.left, a.then = time.Now(), a.residents()
	if a.newcomers, err = a.arrived(); err != nil {
		return err
	}
	return wait(time.Until(a.left.Add(a.plan.Every * 5 / 4)))()
}

// comeBack is before connections have expired.
func (a *absence) comeBack(ctx context.Context) error {
	now, err := a.arrived()
	if err != nil {
		return err
	}
	a.seen.newThere += now - a.newcomers
	if err := a.serve(ctx); err != nil {
		return err
	}
	return wait(a.plan.Every / 4)()
}

// spoke is who has spoken since, among the clients of the server or all others.
func (a *absence) spoke(held bool) []lab.Resident {
	var all []lab.Resident
	for _, r := range a.load.Residents() {
		if a.held[r.Client] == held && (r.Err != nil || r.Sent > a.then[r.Client].Sent) {
			all = append(all, r)
		}
	}
	return all
}

// lookForSilence counts whoever heard anything. What was said before the server left may still be answered.
func (a *absence) lookForSilence(context.Context) error {
	all := a.spoke(true)
	for _, r := range all {
		if r.Err != nil || r.Echoed > a.then[r.Client].Sent {
			a.seen.answered++
		}
	}
	if len(all) == 0 {
		return errors.New("nobody spoke")
	}
	return nil
}

// repeated is how soon TCP repeats a packet at the least: what was heard earlier answers the first one.
const repeated = 200 * time.Millisecond

// lookForResets counts whoever was told at once, and compares the time with that of other servers' answers.
func (a *absence) lookForResets(ctx context.Context) error {
	a.hearOut(ctx)
	var told, heard []time.Duration
	for _, r := range a.spoke(true) {
		a.seen.spoke++
		if r.Err != nil {
			delete(a.waiting, r.Client)
		}
		if errors.Is(r.Err, syscall.ECONNRESET) && (a.seen.size == faults.Small || r.Waited < repeated) {
			a.seen.reset++
			told = append(told, r.Waited)
		}
	}
	for _, r := range a.spoke(false) {
		if r.Decided() { // or what it waited is of another day
			heard = append(heard, r.Waited)
		}
	}
	if len(heard) == 0 {
		return errors.New("nobody spoke to the other servers")
	}
	if len(told) > 0 {
		a.log("%s: %d resets took %v, up to %v; %d answers of other servers %v", a.lab.Forwarding,
			len(told), median(told), slices.Max(told), len(heard), median(heard))
		a.seen.trips = max(a.seen.trips, median(told).Seconds()/median(heard).Seconds())
	}
	return nil
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// hearOut waits until whoever spoke has heard something. Who never does is counted by the caller.
func (a *absence) hearOut(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = eachMoment(ctx, func() (bool, error) {
		for _, r := range a.spoke(true) {
			if !r.Decided() {
				return false, nil
			}
		}
		return true, nil
	})
}
