// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Ports of the TCP echo under a load: of connections that stay, and of those that come and go.
const (
	StayPort  = 7001
	FreshPort = 7002
)

// LoadPlan says what a load is.
type LoadPlan struct {
	Stay  int           // connections that stay; every second one is silent
	Every time.Duration // each of the others sends a byte so often
	Fresh int           // new connections a second
}

// Load is what clients do, in both families, while something happens to a director: connections
// that stay, and new ones all the time. What is lost is counted at both ends.
type Load struct {
	plan   LoadPlan
	crowd  crowd
	fresh  fresh
	echoes []*TCPEcho

	stop    context.CancelFunc // of what Begin has started
	running sync.WaitGroup
	before  [2]EchoCount // at the servers when it began: stay, fresh
	stalled time.Duration
}

// Outcome is what came of a load between Begin and End.
type Outcome struct {
	Stay        int   // connections that stayed, or were to
	Lost        int   // those that ended, or that one end holds alone
	Fresh       int   // new connections
	FailedFresh int   // those that were refused, reset, or not answered in time
	First       error // why the first of either was lost

	Failed  []time.Time     // when each of FailedFresh began, but for those that only a server saw fail
	Took    []time.Duration // how long each of the other new ones waited for its answer
	Stalled time.Duration   // the longest time for which the machine let the load wait
}

// NewLoad starts the echo on every server. The director must serve Lab.LoadServices.
func (l *Lab) NewLoad(ctx context.Context, plan LoadPlan) (*Load, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	load := &Load{
		plan:  plan,
		crowd: crowd{client: l.Client, to: l.bothFamilies(StayPort), step: 2},
		fresh: fresh{client: l.Client, to: l.bothFamilies(FreshPort), begun: &sync.WaitGroup{}},
	}
	for _, s := range l.Servers {
		e, err := s.StartTCPEcho(ctx, StayPort, FreshPort)
		if err != nil {
			return nil, err
		}
		load.echoes = append(load.echoes, e)
	}
	return load, nil
}

func (l *Lab) bothFamilies(port uint16) []netip.AddrPort {
	var to []netip.AddrPort
	for _, f := range Families() {
		to = append(to, netip.AddrPortFrom(l.VIP.In(f), port))
	}
	return to
}

// LoadServices is a configuration for weir: the services of a load, in both families, in turn, by
// the lab's method.
func (l *Lab) LoadServices() string {
	var out strings.Builder
	out.WriteString("services:\n")
	for _, f := range Families() {
		l.writeService(&out, "stay", "tcp", f, StayPort)
		l.writeService(&out, "fresh", "tcp", f, FreshPort)
	}
	return out.String()
}

// MoreServices are others of a name on a port, in both families, to go behind LoadServices.
func (l *Lab) MoreServices(name, protocol string, port uint16) string {
	var out strings.Builder
	for _, f := range Families() {
		l.writeService(&out, name, protocol, f, port)
	}
	return out.String()
}

// check wants every connection to have its descriptor, and as many again for what comes and goes
// while nothing is answered.
func (p LoadPlan) check() error {
	need := uint64(p.Stay) + uint64(p.Fresh)*uint64(patience/time.Second) + 256
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur < need {
		return fmt.Errorf("load: %d open files are needed, %d are allowed: raise the limit (ulimit -Hn)", need, limit.Cur)
	}
	return nil
}

// Begin opens what is missing of the connections that stay, and starts everything else.
func (l *Load) Begin(ctx context.Context) error {
	if err := l.crowd.fill(ctx, l.plan.Stay); err != nil {
		return err
	}
	if err := l.count(&l.before); err != nil {
		return err
	}
	if l.before[0].Open < l.plan.Stay { // more are those that a client has lost
		return fmt.Errorf("servers hold %d connections of %d", l.before[0].Open, l.plan.Stay)
	}
	l.fresh.reset()
	ctx, l.stop = context.WithCancel(ctx)
	l.running.Go(func() { l.stalled = l.crowd.chat(ctx, l.plan.Every) })
	l.running.Go(func() { l.fresh.run(ctx, l.plan.Fresh) })
	return nil
}

// Fresh is the number of new connections since Begin, by now.
func (l *Load) Fresh() int { return int(l.fresh.done.Load()) }

// Residents are the connections that stay, since Begin, or those that End has not lost.
func (l *Load) Residents() []Resident {
	var all []Resident
	for _, r := range l.crowd.conns {
		all = append(all, r.look())
	}
	return all
}

// Arrived is how many new connections each server has ever had. It waits for those that have begun.
func (l *Load) Arrived() ([]int, error) {
	l.fresh.settle()
	var all []int
	for _, e := range l.echoes {
		counts, err := e.Count()
		if err != nil {
			return nil, err
		}
		c := counts[FreshPort]
		all = append(all, c.Open+c.Served+c.Broken)
	}
	return all, nil
}

// End waits for answers that are still to come, and asks every connection whether it lives.
func (l *Load) End(ctx context.Context) (Outcome, error) {
	l.stop()
	l.running.Wait()
	lost, first := l.crowd.muster(ctx, 2*patience)
	out := Outcome{
		Stay: l.plan.Stay, Lost: lost, First: errors.Join(first, l.fresh.first),
		Fresh: l.Fresh(), FailedFresh: len(l.fresh.failed), Failed: l.fresh.failed, Took: l.fresh.took, Stalled: l.stalled,
	}
	err := l.compare(ctx, &out)
	return out, err
}

// compare adds what only the servers have seen. They may still hold what a client has lost, now or before, until they
// hear of it: so it is looked at whose connections they hold.
func (l *Load) compare(ctx context.Context, out *Outcome) error {
	var now [2]EchoCount
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		err := l.count(&now)
		return err == nil && now[1].Open == 0, err
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	held, err := l.held()
	if err != nil {
		return err
	}
	alive := l.Residents()
	if n := unheld(alive, held); n > 0 {
		out.Lost += n
		out.First = errors.Join(out.First, fmt.Errorf("servers hold %d of %d connections", len(alive)-n, len(alive)))
	}
	if broken := now[1].Broken - l.before[1].Broken; broken > out.FailedFresh {
		out.FailedFresh = broken
		out.First = errors.Join(out.First, fmt.Errorf("servers saw %d new connections break", broken))
	}
	return nil
}

// held are the clients whose connections servers hold, of those that stay.
func (l *Load) held() (map[netip.AddrPort]bool, error) {
	all := map[netip.AddrPort]bool{}
	for _, e := range l.echoes {
		clients, err := e.Clients()
		if err != nil {
			return nil, err
		}
		for _, client := range clients[StayPort] {
			all[client] = true
		}
	}
	return all, nil
}

// unheld is how many are not among those whose connections are held.
func unheld(alive []Resident, held map[netip.AddrPort]bool) (n int) {
	for _, r := range alive {
		if !held[r.Client] {
			n++
		}
	}
	return n
}

// count sums up what the servers say.
func (l *Load) count(sum *[2]EchoCount) error {
	*sum = [2]EchoCount{}
	for _, e := range l.echoes {
		counts, err := e.Count()
		if err != nil {
			return err
		}
		sum[0].add(counts[StayPort])
		sum[1].add(counts[FreshPort])
	}
	return nil
}

func (c *EchoCount) add(other EchoCount) {
	c.Open += other.Open
	c.Served += other.Served
	c.Broken += other.Broken
}

// Close ends every connection. The servers' ends go with the lab.
func (l *Load) Close() {
	if l.stop != nil {
		l.stop()
	}
	l.running.Wait()
	l.crowd.close()
}
