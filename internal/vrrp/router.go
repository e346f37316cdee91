// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/urgent"
)

// router runs a machine: it waits for its socket, for orders and for time, does what the machine wants done, and
// tells what it has become. It has a thread for itself, since nobody else's work shall delay an advert.
type router struct {
	log    *slog.Logger
	news   *news
	lease  Lease
	bell   *urgent.Bell
	orders chan order
	done   chan struct{} // closed when it has ended
	id     identity
	tally  tally

	// Under the Runner's lock.
	before *router // that had its name, and may be ending still; nil: none
	ending bool    // it was told to

	leased Leased // it begins as master while its lease holds; nil: it does not; never changed while it runs

	// Of its own goroutine.
	want    Want
	machine *machine
	bond    bond               // with its group
	conn    *conn              // nil: there is none
	ways    []*conn            // by its further paths, in their order; nil: there is none
	asker   *asker             // of its neighbours; nil: they were not asked yet
	retry   time.Time          // when to open again what could not be; zero: not by itself
	told    model.VRRPSeen     // last
	failed  string             // what the last advert did not get away for
	unheld  string             // what the last lease was not taken for
	unasked string             // what the neighbours were not asked for
	fence   context.CancelFunc // ends the one that runs; nil: none was begun
	over    bool               // it ends when the addresses are let go of
}

// identity is what a virtual router is for others on the link.
type identity struct {
	link    string
	id      uint8
	version model.VRRPVersion
	is4     bool
}

func identityOf(want Want) identity {
	return identity{want.Interface, want.ID, want.Version, want.Addresses[0].Addr().Is4()}
}

// order is one of these.
type order struct {
	want     *Want
	group    *group // with want
	released bool
	stepDown chan<- error
	fenced   *string // why the fence failed; "": it did not
	end      string  // why
}

// retryEvery is how often a socket is tried to open.
const retryEvery = 200 * time.Millisecond

func newRouter(want Want, g *group, n *news, lease Lease, log *slog.Logger) (*router, error) {
	b, err := urgent.NewBell()
	if err != nil {
		return nil, err
	}
	r := &router{log: log.With("vrrp", want.Name), news: n, lease: lease, bell: b, orders: make(chan order, 16), done: make(chan struct{}),
		id: identityOf(want), want: want, machine: newMachine(want.VirtualRouter, netip.Addr{}),
		bond: bond{member: &member{name: want.Name, ring: b.Ring}, group: g}}
	r.machine.guard.follow(want.VirtualRouter, want.Keys)
	return r, nil
}

// tell gives it an order, unless it has ended, and says whether it did.
func (r *router) tell(o order) bool {
	select {
	case r.orders <- o:
		r.bell.Ring()
		return true
	case <-r.done:
		return false
	}
}

// is says whether what is wanted is this virtual router, for others on the link.
func (r *router) is(want Want) bool {
	return r.id == identityOf(want)
}

// end makes it let go of the addresses, and end.
func (r *router) end(why string) {
	if !r.ending {
		r.ending = true
		r.tell(order{end: why})
	}
}

// succeed ends the one that had its name, and returns what is closed when that has ended.
func (r *router) succeed(old *router) <-chan struct{} {
	if old == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	old.end("it becomes another virtual router")
	if old.before != nil && old.before.hasEnded() {
		old.before = nil
	}
	r.before = old
	return old.done
}

func (r *router) hasEnded() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// run runs it after that, until it is told to end.
func (r *router) run(after <-chan struct{}) {
	defer close(r.done)
	defer r.bell.Close()
	<-after
	runtime.LockOSThread() // and it stays: the thread ends with it
	r.hurry()
	r.begin(time.Now())
	for !r.over || r.machine.parting() {
		r.bell.Wait(r.deadline(), r.sockets()...)
		r.turn(time.Now())
	}
	r.hangUp()
	r.hangUpWays()
	if r.fence != nil {
		r.fence()
	}
}

// hurry remarks that adverts have no priority, where they have none.
func (r *router) hurry() {
	if err := urgent.Hurry(); err != nil {
		r.news.remark(func() { r.log.Info("adverts have no priority over other work of this host", "error", err) })
	}
}

func (r *router) begin(now time.Time) {
	r.bond.fault = r.hindrance(now)
	r.do(now, r.machine.hinder(now, r.openWays(now)))
	r.machine.own = r.own()
	if r.bond.fault == "" && r.goesOn() {
		r.do(now, r.machine.resume(now))
	} else {
		r.do(now, r.machine.start(now, r.bond.fault))
	}
	r.bond.settle(now, r.machine, r.does(now))
}

// goesOn says whether it is master still, as an earlier daemon was: the lease of each of its addresses holds.
func (r *router) goesOn() bool {
	if r.leased == nil {
		return false
	}
	for _, address := range addressesOf(r.want.VirtualRouter) {
		holds, err := r.leased(address)
		if err != nil {
			r.complain("whether it is master still is not known", err, "")
		}
		if err != nil || !holds {
			return false
		}
	}
	return true
}

// turn takes in first what has come already: who was held up must not miss adverts that wait for him.
func (r *router) turn(now time.Time) {
	r.listen(now)
	r.obey(now)
	if isDue(r.retry, now) {
		r.settle(now)
	}
	if r.over { // the others of its group go on without it
		r.do(now, r.machine.tick(now))
		return
	}
	r.bond.heed(now, r.machine, r.does(now))
	r.do(now, r.machine.tick(now))
	r.bond.settle(now, r.machine, r.does(now))
}

func (r *router) does(now time.Time) func([]deed) { return func(deeds []deed) { r.do(now, deeds) } }

func (r *router) deadline() time.Time {
	at := r.machine.deadline()
	if !r.retry.IsZero() && (at.IsZero() || r.retry.Before(at)) {
		return r.retry
	}
	return at
}

func (r *router) sockets() (out []int) {
	for _, c := range append([]*conn{r.conn}, r.ways...) {
		if c != nil {
			out = append(out, c.fd)
		}
	}
	if r.asker != nil {
		out = append(out, r.asker.fd)
	}
	return out
}

func (r *router) own() netip.Addr {
	if r.conn == nil {
		return netip.Addr{}
	}
	return r.conn.own
}

func (r *router) listen(now time.Time) {
	r.listenTo(now, ownLink, func() *conn { return r.conn })
	for i := range r.ways {
		r.listenTo(now, i+1, func() *conn { return r.ways[i] })
	}
	if r.asker != nil {
		r.asker.receive(func(address netip.Addr, mac model.MAC) { r.machine.answer(now, address, mac) })
	}
}

// listenTo reads what has come by a path. What it says may close it.
func (r *router) listenTo(now time.Time, path int, by func() *conn) {
	for range mostAtOnce {
		c := by()
		if c == nil {
			return
		}
		h, ok := c.receive()
		if !ok {
			return
		}
		r.hear(now, h, via{path, c.own})
	}
}

func (r *router) hear(now time.Time, h heard, by via) {
	var deeds []deed
	a, why := parse(h.text, h.way)
	switch why {
	case Taken:
		a.text = h.text
		deeds, why = r.machine.hearBy(now, a, h.way, by)
	case ReasonVersion:
		deeds = r.machine.unread(now, a, h.way, by)
	}
	r.tally.heard[why].Add(1)
	r.do(now, deeds)
}

func (r *router) obey(now time.Time) {
	for {
		select {
		case o := <-r.orders:
			r.follow(now, o)
		default:
			return
		}
	}
}

func (r *router) follow(now time.Time, o order) {
	switch {
	case o.want != nil:
		r.bond.join(o.group)
		r.become(now, *o.want)
	case o.released:
		r.do(now, r.machine.released(now))
	case o.stepDown != nil:
		deeds, err := r.machine.stepDown(now)
		r.do(now, deeds)
		o.stepDown <- err
	case o.fenced != nil:
		r.machine.fenced(now, *o.fenced)
	default:
		r.over = true
		r.do(now, r.machine.release(now, o.end))
	}
}

func (r *router) become(now time.Time, want Want) {
	if want.Link != r.want.Link || want.VirtualMAC != r.want.VirtualMAC || !slices.Equal(want.Peers, r.want.Peers) {
		r.hangUp()
	}
	if !slices.Equal(want.Ways, r.want.Ways) {
		r.hangUpWays()
	}
	r.want = want
	r.machine.guard.follow(want.VirtualRouter, want.Keys)
	r.moveSource()
	r.settle(now)
}

// moveSource lets adverts come from another address. The socket stays: what has come must not be missed, and joining
// the group may wait for whoever changes the network's configuration.
func (r *router) moveSource() {
	switch {
	case r.conn == nil || r.want.Source == r.conn.own || !r.want.Source.IsValid(): // without one there is a fault
	case checkSource(r.want) != nil:
		r.hangUp()
	default:
		r.conn.own = r.want.Source
	}
}

// settle opens what is closed, and lets the machine know what is wanted and what hinders it.
func (r *router) settle(now time.Time) {
	if r.retry = (time.Time{}); r.over {
		return
	}
	r.bond.fault = r.hindrance(now)
	r.do(now, r.machine.become(now, r.want.VirtualRouter, r.own(), r.bond.hindrance(r.machine)))
	r.do(now, r.machine.hinder(now, r.openWays(now)))
}

// hindrance is why it can take no part; "": it can, and has a socket.
func (r *router) hindrance(now time.Time) string {
	switch {
	case r.want.Fault != "":
		return r.want.Fault
	case r.want.Link == 0:
		return fmt.Sprintf("there is no interface %s", r.want.Interface)
	case r.conn != nil:
		return ""
	}
	var err error
	if r.conn, err = open(r.want); err != nil {
		r.retry = now.Add(retryEvery)
		return err.Error()
	}
	return ""
}

// openWays opens the further paths that are closed, and says of each path why it cannot be used. None of them is needed.
func (r *router) openWays(now time.Time) []string {
	faults := make([]string, 1+len(r.want.Ways))
	if len(r.ways) != len(r.want.Ways) {
		r.ways = make([]*conn, len(r.want.Ways))
	}
	for i, way := range r.want.Ways {
		if r.ways[i] != nil || way.Fault != "" {
			faults[i+1] = way.Fault
			continue
		}
		var err error
		if r.ways[i], err = open(alongside(r.want, way)); err != nil {
			r.ways[i], r.retry, faults[i+1] = nil, now.Add(retryEvery), err.Error()
		}
	}
	return faults
}

// alongside is the virtual router as it would be if a path was its own interface.
func alongside(want Want, way model.VRRPWay) Want {
	want.Interface, want.Link, want.Source, want.Peers, want.VirtualMAC = way.Interface, way.Link, way.Source, []netip.Addr{way.Peer}, false
	return want
}

func (r *router) hangUp() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
	if r.asker != nil {
		r.asker.close()
		r.asker = nil
	}
}

func (r *router) hangUpWays() {
	for _, way := range r.ways {
		if way != nil {
			way.close()
		}
	}
	r.ways = nil
}

func (r *router) do(now time.Time, deeds []deed) {
	for _, d := range deeds {
		switch {
		case d.kind == advertise:
			r.advertise(now, d.priority)
		case d.kind == ask:
			r.unasked = r.complain("neighbours were not asked", r.ask(), r.unasked)
		case d.kind == fenceOff:
			r.fenceOff()
		case d.kind == announce || r.told != r.machine.seen:
			r.change(d.kind == announce)
		}
	}
}

func (r *router) change(announce bool) {
	before := r.told.State
	r.told = r.machine.seen
	master := r.told.State == model.VRRPMaster
	switch {
	case !master:
		r.hold(0)
	case before != r.told.State:
		r.tally.mastered.Add(1)
	}
	r.news.add(Change{Name: r.want.Name, Seen: r.told, Priority: r.want.Priority, Over: r.over, Announce: announce && master})
}

// renew: who has said that it is master may be believed for as long as others wait for the next advert. They have
// waited since it was sent, or longer.
func (r *router) renew(now time.Time) {
	holds := time.Until(now.Add(r.machine.lasts()))
	if r.machine.seen.State == model.VRRPMaster && holds > 0 {
		r.hold(holds)
	}
}

func (r *router) hold(holds time.Duration) {
	r.unheld = r.complain("nobody is told where the addresses are", r.lease(r.want.Name, holds), r.unheld)
}

// complain logs what was not the trouble before, and returns what is.
func (r *router) complain(what string, err error, before string) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if text != before {
		r.news.remark(func() { r.log.Warn(what, "error", text) })
	}
	return text
}

// advertise sends an advert. Where that fails because its source has gone, there is a fault.
func (r *router) advertise(now time.Time, priority uint8) {
	sent, err := r.send(now, priority)
	if err != nil {
		r.tally.unsent.Add(1)
	}
	r.failed = r.complain("an advert was not sent", err, r.failed)
	if sent > 0 {
		r.tally.sent.Add(1)
		r.renew(now)
		r.do(now, r.machine.advertised(now))
		return
	}
	if r.conn != nil && checkSource(r.want) != nil {
		r.hangUp()
		r.retry = now
	}
	r.do(now, r.machine.unsaid(now, err.Error()))
}

var errNoSocket = errors.New("there is no socket")

// send sends an advert by all paths: one that is cut costs the others nothing.
func (r *router) send(now time.Time, priority uint8) (sent int, err error) {
	a, errs := r.machine.advert(priority), []error(nil)
	for _, c := range append([]*conn{r.conn}, r.ways...) {
		if c == nil {
			continue
		}
		n, err := c.send(r.machine.guard.sign(now, a, c.own)) // each has a source of its own
		sent += n
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return 0, errNoSocket
	}
	return sent, errors.Join(errs...)
}

// ask asks the witnesses whether they are there, and everybody who has the address.
func (r *router) ask() (err error) {
	if r.conn == nil {
		return errNoSocket
	}
	about, is4 := r.want.Witness, r.conn.own.Is4()
	if r.machine.seen.State == model.VRRPBackup {
		about = append(slices.Clone(about), r.machine.asked())
	}
	if r.asker == nil {
		if r.asker, err = openAsker(r.want.Link, is4, about); err != nil {
			r.asker = nil
			return err
		}
	}
	return errors.Join(r.asker.hear(about, is4), r.asker.ask(r.conn.own, about))
}

// fenceOff runs the program that makes the silent master harmless. Adverts wait for nobody meanwhile.
func (r *router) fenceOff() {
	of := fencing{r.want.VRRPWant, r.machine.lost, r.machine.cause}
	ctx, cancel := context.WithCancel(context.Background())
	if r.fence != nil {
		r.fence()
	}
	r.fence = cancel
	r.news.remark(func() {
		r.log.Warn("a silent master is made harmless", "master", of.master, "program", of.want.Fence.Path, "why", of.why)
	})
	go func() {
		failure := of.run(ctx)
		r.tell(order{fenced: &failure})
	}()
}
