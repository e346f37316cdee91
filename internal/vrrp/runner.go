// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

// Want is a virtual router as it shall run, and the keys of its directors.
type Want struct {
	model.VRRPWant
	Keys Keys
}

// Runner runs each virtual router that it follows.
//
//	Follow ──► Run ──► router (one thread each) ──► news ──► out
//	                      ▲   └──► lease
//	StepDown, Released ───┘
type Runner struct {
	log    *slog.Logger
	lease  Lease
	follow newest.Box[[]Want]
	news   *news
	locked sync.Once // the memory, as soon as there is a virtual router

	mu      sync.Mutex
	routers map[string]*router // by name; those that end are among them until they have
	groups  map[string]*group  // by name, those of the routers that are wanted
	resumed map[string]bool    // that go on where an earlier daemon was cut off
	leased  Leased

	strangers  map[segment]*strangers // where there are routers that are wanted
	unattended map[segment]string     // why there are none, as was said
}

// Resume lets a virtual router begin as master, which an earlier daemon was a moment ago: its lease holds, so nobody
// has missed an advert yet. Whether it does is asked again when it begins: by then it may be over.
func (r *Runner) Resume(names []string, leased Leased) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resumed, r.leased = map[string]bool{}, leased
	for _, name := range names {
		r.resumed[name] = true
	}
}

// Leased says whether the lease of an address holds. It must not wait for anybody.
type Leased func(model.Addr) (bool, error)

// Lease is told by a master with each of its advert for how long the addresses are its own although nothing more is
// said; 0: they are not. It is asked from several threads, and must not wait for anybody.
type Lease func(name string, holds time.Duration) error

// NewRunner makes one that follows nobody yet.
func NewRunner(lease Lease, log *slog.Logger) *Runner {
	return &Runner{log: log, lease: lease, follow: newest.NewBox[[]Want](), news: newNews(), routers: map[string]*router{}, groups: map[string]*group{}, strangers: map[segment]*strangers{}}
}

// Follow says which virtual routers shall run, and how. The newest list wins.
func (r *Runner) Follow(wants []Want) {
	r.follow.Put(slices.Clone(wants))
}

// Run hands out what becomes of the virtual routers, each change in its order, until ctx is done or one cannot be
// begun. Then each master is told to be none; when its addresses are let go of, or after a second, it says so to the
// others, and Run returns.
func (r *Runner) Run(ctx context.Context, out func(Change)) error {
	defer r.inattentive()
	stop, ended, failed := ctx.Done(), (<-chan struct{})(nil), error(nil)
	for {
		select {
		case <-stop:
			stop, ended = nil, r.endAll()
		case wants := <-r.follow:
			if stop == nil || ctx.Err() != nil { // of both, chance may have this heard first
				continue
			}
			if failed = r.become(wants); failed != nil {
				stop, ended = nil, r.endAll()
			}
		case <-r.news.come:
			r.handOut(out)
		case <-ended:
			r.handOut(out)
			return failed
		}
	}
}

func (r *Runner) handOut(out func(Change)) {
	changes, remarks := r.news.take()
	for _, change := range changes { // they are urgent
		out(change)
	}
	for _, log := range remarks {
		log()
	}
}

// become starts and ends routers until exactly those run that are wanted.
func (r *Runner) become(wants []Want) error {
	if len(wants) > 0 {
		r.locked.Do(r.lock)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups = r.groupsOf(wants)
	wanted := map[string]bool{}
	begin, err := r.all(wants)
	if err == nil {
		r.assemble(wants)
	}
	for _, each := range begin { // all of a group know of each other now
		each()
	}
	if err != nil {
		return err
	}
	r.attend(wants)
	for _, want := range wants {
		wanted[want.Name] = true
	}
	for name, old := range r.routers {
		if wanted[name] {
			continue
		}
		if old.end("it is not configured any more"); old.hasEnded() {
			delete(r.routers, name)
		}
	}
	return nil
}

// inattentive ends all counting of strangers.
func (r *Runner) inattentive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attend(nil)
}

// lock: where memory may not be locked, adverts are sent as well as can be.
func (r *Runner) lock() {
	if err := lockMemory(); err != nil {
		r.log.Info("adverts may wait for memory that the kernel has taken away", "error", err)
	}
}

// groupsOf are the groups that are named. One is that of before where any of it goes on: what it has decided is nothing
// to routers that have yet to begin.
func (r *Runner) groupsOf(wants []Want) map[string]*group {
	out := map[string]*group{}
	for _, want := range wants {
		switch name, before := want.Group, r.groups[want.Group]; {
		case name == "":
		case before != nil && before.has(r.goingOn(want)):
			out[name] = before
		case out[name] == nil:
			out[name] = newGroup()
		}
	}
	return out
}

// goingOn is the virtual router that is the wanted one already; nil: none is.
func (r *Runner) goingOn(want Want) *router {
	if old := r.routers[want.Name]; old != nil && !old.ending && old.is(want) {
		return old
	}
	return nil
}

// assemble lets each group know its members.
func (r *Runner) assemble(wants []Want) {
	members := map[string][]*member{}
	for _, want := range wants {
		members[want.Group] = append(members[want.Group], r.routers[want.Name].bond.member)
	}
	for name, g := range r.groups {
		of := members[name]
		g.members.Store(&of)
		g.ring(nil) // one that kept the others from something may be none of them any more
	}
}

// all returns what makes each of them run as it is wanted, up to one that cannot be made.
func (r *Runner) all(wants []Want) (begin []func(), err error) {
	for _, want := range wants {
		next, err := r.one(want)
		if err != nil {
			return begin, err
		}
		begin = append(begin, next)
	}
	return begin, nil
}

// one returns what makes one of them run as it is wanted.
func (r *Runner) one(want Want) (begin func(), err error) {
	g := r.groups[want.Group]
	if same := r.goingOn(want); same != nil {
		return func() { same.tell(order{want: &want, group: g}) }, nil
	}
	old := r.routers[want.Name]
	next, err := newRouter(want, g, r.news, r.lease, r.log)
	if err != nil {
		return nil, fmt.Errorf("vrrp %s: %w", want.Name, err)
	}
	if old == nil && r.resumed[want.Name] {
		next.leased = r.leased
	}
	delete(r.resumed, want.Name)
	r.routers[want.Name] = next
	after := next.succeed(old)
	return func() { go next.run(after) }, nil
}

// endAll ends all, and says when they have.
func (r *Runner) endAll() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended, running := make(chan struct{}), r.routers
	for _, each := range running {
		each.end("weir stops")
	}
	var routers sync.WaitGroup
	for _, each := range running {
		routers.Go(func() { <-each.done })
	}
	go func() { routers.Wait(); close(ended) }()
	return ended
}

// StepDown makes a master backup, until no other one advertises. Its addresses go first: see Released.
func (r *Runner) StepDown(name string) error {
	of := r.router(name)
	if of == nil {
		return fmt.Errorf("vrrp %s: there is no such virtual router", name)
	}
	answer := make(chan error, 1)
	if !of.tell(order{stepDown: answer}) {
		return fmt.Errorf("vrrp %s: it has ended", name)
	}
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("vrrp %s: %w", name, err)
		}
		return nil
	case <-of.done:
		return fmt.Errorf("vrrp %s: it has ended", name)
	}
}

// Released says that what was told of a virtual router which is no master any more is done: nobody reaches its
// addresses here. Whoever waits for that to tell the others need not wait longer.
func (r *Runner) Released(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for each := r.routers[name]; each != nil; each = each.before {
		each.tell(order{released: true})
	}
}

func (r *Runner) router(name string) *router {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.routers[name]
}

// Counts are those of each virtual router, by name.
func (r *Runner) Counts() map[string]Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]Counts{}
	for name, each := range r.routers {
		if each.ending {
			continue
		}
		out[name] = each.tally.read()
		if n := r.strange(each.id); n > 0 {
			out[name].Discarded[ReasonID] = n
		}
	}
	return out
}
