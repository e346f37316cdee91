// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-lb/weir/internal/address"
	"github.com/weir-lb/weir/internal/bfd"
	"github.com/weir-lb/weir/internal/connsync"
	"github.com/weir-lb/weir/internal/connsync/ipvs"
	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/health"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/notify"
	"github.com/weir-lb/weir/internal/plan"
	"github.com/weir-lb/weir/internal/process"
	"github.com/weir-lb/weir/internal/reconcile"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/vrrp"
)

// How long a burst of events may grow before it becomes one plan: a start with thousands of servers is a burst of
// minutes, and a plan of them takes a while.
const (
	settle    = 10 * time.Millisecond
	share     = 10 // so many times as long as the last plan took, so that plans take a tenth of a CPU at most
	longBurst = 500 * time.Millisecond
)

// daemon is the running program.
type daemon struct {
	options Options
	log     *slog.Logger
	systemd *systemd

	path      *dataplane.Dataplane
	journal   *address.Journal
	observer  *address.Observer
	routers   *address.PathObserver
	claims    *address.ClaimObserver
	resolver  *address.Resolver
	monitor   *health.Monitor
	processes *process.Watcher
	kept      keeper // of what monitor has found out
	notifier  *notify.Notifier
	vrrp      *vrrp.Runner
	bfd       *bfd.Runner
	release   func(router string) // vrrp's Released
	target    *address.Target
	peers     *connsync.Sync
	lvs       *ipvs.Runner
	memory    syncMemory // of what was counted with peers
	toPath    *reconcile.Loop[model.DataplaneWant]
	toAddress *reconcile.Loop[model.AddressWant]
	toPeers   *reconcile.Loop[sharing]
	toRouters *reconcile.Loop[[]model.VRRPWant]

	// spec, seen, told, turns, past, planned, answered, parting and detours belong to own's goroutine.
	spec     model.Spec
	seen     model.Seen
	told     report.Told
	turns    []model.VRRPTurn             // since the latest plan: of several that are behind each other Seen has but the last
	past     []model.Event                // what was told, the oldest first; never changed, but made anew
	planned  []chan<- struct{}            // to be closed by the next plan
	answered struct{ path, address bool } // by these targets: what was wanted first is done, or cannot be
	parting  map[string]bool              // virtual routers that are no master, and were not told yet that nobody reaches their addresses here
	detours  detours

	hangup chan os.Signal // SIGHUP, from before anything was opened
	events chan event
	urgent chan event // those that are not to wait for others
	edits  chan edit
	pulses chan chan<- pulse
	state  atomic.Pointer[state] // what own made last; everybody reads it

	refusals chan struct{} // a server has refused connections

	rates atomic.Pointer[report.Estimates] // what estimate made last

	reload  sync.Mutex      // one reload at a time: the last one wins
	running context.Context // ends with the daemon: nobody sends to an owner that is gone
	began   time.Time
	remarks quota // of the log's lines about path MTUs, which anybody can provoke
}

// state is one consistent view: what is wanted, what was seen, and the plan that was made of both.
type state struct {
	spec    model.Spec
	seen    model.Seen
	desired model.Desired
	past    []model.Event // that people may have been told of, the oldest first
}

// event is something that was observed.
type event func(*model.Seen)

// edit is a new Spec, and where its revision is wanted.
type edit struct {
	spec        model.Spec
	maintenance model.MaintenanceFiles // in its directory
	accepted    chan<- uint64
	planned     chan<- struct{} // closed when a plan was made of it, and everybody reads of this revision
}

// own holds Spec and Seen, and plans whenever one of them changed.
func (d *daemon) own(ctx context.Context) error {
	d.follow()
	wake := newAlarm()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-d.events:
			e(&d.seen)
			wake.soon()
			continue
		case e := <-d.urgent:
			e(&d.seen)
			wake.now()
			continue
		case answer := <-d.pulses:
			answer <- pulse{d.spec.Revision, d.seen.Applied}
			continue
		case e := <-d.edits:
			d.accept(e)
			wake.soon()
			continue
		case <-wake.timer.C:
		}
		began := time.Now()
		next := d.plan(began)
		wake.next(next, time.Since(began))
	}
}

// alarm says when the next plan is due.
type alarm struct {
	timer *time.Timer
	set   bool          // by the first event of a burst: one that never ends must not put the plan off for ever
	burst time.Duration // how long one may grow
}

func newAlarm() *alarm { return &alarm{timer: time.NewTimer(settle), set: true, burst: settle} }

// soon lets a burst of events become one plan.
func (a *alarm) soon() {
	if !a.set {
		a.timer.Reset(a.burst)
		a.set = true
	}
}

// now is for what comes in no bursts.
func (a *alarm) now() {
	a.timer.Reset(0)
	a.set = true
}

// next is for when a plan was made, which took so long; the zero time means that nothing is due by itself.
func (a *alarm) next(at time.Time, took time.Duration) {
	a.set = false
	a.burst = min(max(settle, share*took), longBurst)
	if !at.IsZero() {
		a.timer.Reset(time.Until(at))
	}
}

func (d *daemon) accept(e edit) {
	revision := d.spec.Revision + 1
	d.seen.Left = plan.Depart(d.seen.Left, d.spec.Services, e.spec.Services, time.Now())
	d.seen.Maintenance = e.maintenance
	d.spec = e.spec
	d.spec.Revision = revision
	d.planned = append(d.planned, e.planned)
	d.follow()
	e.accepted <- revision
}

// follow asks for the ways to all servers, those too that have left, has their checks run, and people told.
func (d *daemon) follow() {
	d.check()
	d.processes.Follow(d.spec.TrackedProcesses())
	d.notifier.Follow(d.spec.Notify)
	d.notifier.Known(d.spec.Services, d.spec.VirtualRouters, d.spec.Sync.Peers)
	d.observer.Follow(plan.WithLeft(d.spec, d.seen.Left).ServerAddresses(), d.spec.TrackedRoutes()...)
}

// check has the checks run, but not before the targets have been at the interfaces, since no server shall be down for what
// is lost by that: a driver that gets a program may lose what it holds, and a link that gets a clsact loses all that this
// host sends there, for as long as the kernel waits for its readers (20 ms and more on a busy machine).
func (d *daemon) check() {
	if d.answered.path && d.answered.address {
		d.monitor.Follow(plan.Checks(d.spec))
	}
}

// plan waits for the first look at the network, and for a look that knows of every server: routes
// that nobody has asked for yet are not missing ones.
func (d *daemon) plan(now time.Time) time.Time {
	if len(d.seen.Network.Links) == 0 || !follows(d.seen.Network, plan.WithLeft(d.spec, d.seen.Left)) {
		return time.Time{}
	}
	desired, next := plan.Make(d.spec, d.seen, now)
	d.want(desired)
	d.seen = plan.Remember(d.seen, desired, now)
	events := d.news(desired, now)
	d.state.Store(&state{d.spec, d.seen, desired, d.past})
	for _, planned := range d.planned {
		close(planned)
	}
	d.planned = nil
	d.announce(events) // who is told may look at once
	return next
}

// want tells the targets what differs from what they were told: an answer of theirs makes a plan
// too, and the same plan must not ask them again.
func (d *daemon) want(desired model.Desired) {
	var before model.Desired
	if s := d.state.Load(); s != nil {
		before = s.desired
	}
	if !reflect.DeepEqual(before.Address, desired.Address) {
		d.toAddress.Want(desired.Address)
		d.claims.Follow(desired.Address.VIPs)
	}
	if !reflect.DeepEqual(before.Dataplane, desired.Dataplane) {
		d.toPath.Want(desired.Dataplane)
	}
	if !reflect.DeepEqual(before.VRRP, desired.VRRP) {
		d.toRouters.Want(desired.VRRP)
	}
	if !reflect.DeepEqual(before.BFD, desired.BFD) {
		d.bfd.Follow(desired.BFD)
	}
	if !reflect.DeepEqual(before.Sync, desired.Sync) { // so it is, too, when the services are others
		d.toPeers.Want(sharing{desired.Sync, sumOf(d.spec.Services)})
		d.shareWithLVS(desired.Sync)
	}
}

// follows says whether a look at the network has asked for the way to every server.
func follows(network model.Network, spec model.Spec) bool {
	asked := map[model.Addr]bool{}
	for _, a := range network.Following {
		asked[a] = true
	}
	for _, a := range spec.ServerAddresses() {
		if !asked[a] {
			return false
		}
	}
	return true
}

// tell hands an event to the owner, unless the daemon ends.
func (d *daemon) tell(e event) {
	select {
	case d.events <- e:
	case <-d.running.Done():
	}
}

// tellNow is for what is in a hurry, and comes seldom enough.
func (d *daemon) tellNow(e event) {
	select {
	case d.urgent <- e:
	case <-d.running.Done():
	}
}

// networkSeen is urgent where it may be that another director has to be master.
func (d *daemon) networkSeen(n model.Network) {
	tell := d.tell
	if s := d.state.Load(); s != nil && !maps.Equal(s.seen.Network.Tracked, n.Tracked) {
		tell = d.tellNow
	}
	tell(func(s *model.Seen) { s.Network = n })
}

// processesSeen is urgent where another director may have to be master. How many there are people may read a little later.
func (d *daemon) processesSeen(p model.Processes) {
	tell := d.tell
	if s := d.state.Load(); s != nil && standOtherwise(s.seen.Processes, p) {
		tell = d.tellNow
	}
	tell(func(s *model.Seen) { s.Processes = p })
}

// standOtherwise says whether anything differs by which a virtual router has another priority.
func standOtherwise(a, b model.Processes) bool {
	return a.Hidden != b.Hidden || !maps.EqualFunc(a.Stand, b.Stand, func(a, b model.ProcessStands) bool { return a.Enough == b.Enough })
}

// claimed logs each claim once: it is a problem for as long as it lasts. When it has ended the neighbours are told
// whose the address is: they may have believed it.
func (d *daemon) claimed(claims map[model.Addr]model.Claim) {
	d.tell(func(s *model.Seen) {
		for address, claim := range claims {
			if s.Claims[address] != claim {
				d.log.Warn("another host says that it has a virtual address", "address", address, "interface", claim.Interface, "mac", net.HardwareAddr(claim.MAC[:]).String())
			}
		}
		var ended []model.Addr
		for address := range s.Claims {
			if _, lasts := claims[address]; !lasts {
				ended = append(ended, address)
			}
		}
		if len(ended) > 0 {
			d.target.Announce(ended)
		}
		s.Claims = claims
	})
}

func (d *daemon) tableHigh(high bool) {
	d.tell(func(s *model.Seen) { s.TableHigh = high })
}

// answers notes a target's first answer.
func (d *daemon) answers(first *bool) {
	if !*first {
		*first = true
		d.check()
	}
}

func (d *daemon) pathDone(want model.DataplaneWant, err error) {
	attachments, trouble := d.path.Attachments(), d.path.DetourTrouble()
	tell := d.telling(func(s model.Seen) bool {
		return maps.Equal(s.Balanced, want.Routers) && maps.Equal(s.Served, want.Routers)
	})
	tell(func(s *model.Seen) {
		d.answers(&d.answered.path)
		d.detours.pathTold(want.Detours, trouble)
		d.detoured(s)
		s.Attachments = attachments
		if maps.Equal(want.Routers, d.state.Load().desired.Dataplane.Routers) {
			s.Balanced = want.Routers
			if err == nil {
				s.Served = want.Routers
			}
		}
		s.Applied.Dataplane = text(err)
		if err == nil {
			s.Applied.Revision = want.Revision
		}
		d.letGo()
	})
}

func (d *daemon) addressDone(want model.AddressWant, err error) {
	blocked, put := d.target.Blocked(), d.journal.VIPs()
	tell := d.telling(func(s model.Seen) bool { return maps.Equal(s.Held, want.Routers) })
	unrouted, err := apart(err)
	tell(func(s *model.Seen) {
		d.answers(&d.answered.address)
		s.Unrouted = unrouted
		d.detours.address, d.detours.blocked = want.Detours, blocked
		d.detoured(s)
		s.Applied.Address = text(err)
		if maps.Equal(want.Routers, d.state.Load().desired.Address.Routers) {
			s.Held = d.holding(want, put, s.Held)
		}
		d.letGo()
	})
}

// routesMended is told how an attempt went to put back routes that were lost. Where nobody could look, it is not known
// which are missing.
func (d *daemon) routesMended(err error) {
	unrouted, other := apart(err)
	if unrouted == nil && other != nil {
		return
	}
	d.tell(func(s *model.Seen) { s.Unrouted = unrouted })
}

// apart takes what is wrong with routes out of what is wrong with addresses: it has a way out of its own.
func apart(err error) (unrouted address.Unrouted, other error) {
	switch of := err.(type) {
	case address.Unrouted:
		return of, nil
	case interface{ Unwrap() []error }: // joined
		var others []error
		for _, one := range of.Unwrap() {
			routes, rest := apart(one)
			if others = append(others, rest); routes != nil {
				unrouted = routes
			}
		}
		return unrouted, errors.Join(others...)
	}
	return nil, err
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// unresolved: the path dropped a packet for want of a neighbour.
func (d *daemon) unresolved(hop model.Hop) {
	if err := d.resolver.Resolve(d.running, hop); err != nil {
		d.log.Debug("neighbour is not asked for", "address", hop.Address, "err", err)
	}
}
