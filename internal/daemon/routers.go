// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/report"
	"github.com/weir-lb/weir/internal/vrrp"
)

// keyring is the target of virtual routers: the keys of their directors are read here, where that can be tried again.
type keyring struct {
	follow func([]vrrp.Want)
	made   []model.VRRPWant    // that run; of them nothing is read again
	keys   map[string]keysRead // by file
}

type keysRead struct {
	revision uint64
	keys     vrrp.Keys
}

func (t *keyring) Apply(_ context.Context, wants []model.VRRPWant) error {
	if t.made != nil && reflect.DeepEqual(t.made, wants) {
		return nil
	}
	out, read := []vrrp.Want{}, map[string]keysRead{}
	var errs []error
	for _, want := range wants {
		of, err := t.read(want.Auth.KeyFile, want.Revision)
		if err != nil {
			errs = append(errs, fmt.Errorf("vrrp %s: %w", want.Name, err))
		}
		if err != nil && len(of.keys) == 0 && want.Fault == "" { // who has had keys goes on with them
			want.Fault = err.Error()
		}
		read[want.Auth.KeyFile] = of
		out = append(out, vrrp.Want{VRRPWant: want, Keys: of.keys})
	}
	t.follow(out)
	t.keys, t.made = read, wants
	if len(errs) > 0 {
		t.made = nil
	}
	return errors.Join(errs...)
}

// read reads a file once a revision: what somebody writes to it meanwhile is not wanted yet.
func (t *keyring) read(file string, revision uint64) (keysRead, error) {
	before, known := t.keys[file]
	if file == "" || known && before.revision == revision {
		return before, nil
	}
	keys, err := vrrp.LoadKeys(file)
	if err != nil {
		return before, err
	}
	return keysRead{revision, keys}, nil
}

// lessor knows the lease of an address: an earlier daemon may have renewed it.
type lessor interface {
	Leased(model.Addr) (bool, error)
}

// recall adds to what is seen what an earlier daemon of this host has left: who was master, and whose addresses are here.
// Those are in its journal, also when it was dead for longer than a lease holds.
func recall(seen *model.Seen, spec model.Spec, path lessor, put []model.VIP, now time.Time) (err error) {
	seen.VRRP, err = resumed(path, spec, now)
	seen.Balanced, seen.Held = namesOf(seen.VRRP), holders(spec.VirtualRouters, put)
	seen.Ceased = map[string]time.Time{}
	for name := range seen.Held {
		if !seen.Balanced[name] {
			seen.Ceased[name] = now
		}
	}
	maps.Copy(seen.Held, seen.Balanced)
	return err
}

// resumed are the virtual routers of which an earlier daemon of this host was master a moment ago, all of whose
// addresses it holds still: nobody has missed it yet, so nobody shall notice.
func resumed(path lessor, spec model.Spec, now time.Time) (map[string]model.VRRPSeen, error) {
	out := map[string]model.VRRPSeen{}
	var errs []error
	leased, holds := spec.Leased(), leaseOf(path, spec)
	for _, r := range spec.VirtualRouters {
		some, all := false, true
		for _, p := range r.Addresses {
			held, err := holds(p.Addr())
			errs = append(errs, err)
			some, all = some || leased[p.Addr()] == r.Name, all && held
		}
		if some && all {
			out[r.Name] = model.VRRPSeen{State: model.VRRPMaster, Since: now, Why: "it was master when the daemon ended"}
		}
	}
	leaveApart(out, spec)
	return out, errors.Join(errs...)
}

// leaveApart leaves out those of a group of which another one is missing: they are master together or not at all.
func leaveApart(seen map[string]model.VRRPSeen, spec model.Spec) {
	apart := map[string]bool{}
	for _, r := range spec.VirtualRouters {
		if _, known := seen[r.Name]; r.Group != "" && !known {
			apart[r.Group] = true
		}
	}
	for _, r := range spec.VirtualRouters {
		if apart[r.Group] {
			delete(seen, r.Name)
		}
	}
}

// leaseOf says of an address whether its lease holds. One that has none keeps nobody from going on as master: the others
// of its virtual router decide.
func leaseOf(path lessor, spec model.Spec) vrrp.Leased {
	leased := spec.Leased()
	return func(a model.Addr) (bool, error) {
		if _, has := leased[a]; !has {
			return true, nil
		}
		return path.Leased(a)
	}
}

// namesOf are those of the virtual routers of which something was seen.
func namesOf(seen map[string]model.VRRPSeen) map[string]bool {
	out := map[string]bool{}
	for name := range seen {
		out[name] = true
	}
	return out
}

// holders are the virtual routers that have one of the addresses, each where it would put it.
func holders(routers []model.VirtualRouter, addresses []model.VIP) map[string]bool {
	type place struct {
		link    string
		address model.Addr
	}
	there := map[place]bool{}
	for _, a := range addresses {
		there[place{a.Interface, a.Address}] = true
	}
	out := map[string]bool{}
	for _, r := range routers {
		if slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return there[place{r.Interface, p.Addr()}] }) {
			out[r.Name] = true
		}
	}
	return out
}

// unwanted are the addresses that weir has put somewhere and that are not wanted there.
func unwanted(put, want []model.VIP) []model.VIP {
	wanted := map[model.VIP]bool{}
	for _, v := range want {
		wanted[model.VIP{Address: v.Address, Interface: v.Interface}] = true
	}
	return slices.DeleteFunc(put, func(v model.VIP) bool {
		return wanted[model.VIP{Address: v.Address, Interface: v.Interface}]
	})
}

// holding are the virtual routers whose addresses are here, or may be: those that are wanted, and those of which an
// address could not be taken away. Which addresses a router had that is not configured any more nobody knows: any may be one.
func (d *daemon) holding(want model.AddressWant, put []model.VIP, before map[string]bool) map[string]bool {
	left := unwanted(put, want.VIPs)
	if len(left) == 0 {
		return want.Routers
	}
	out := holders(d.spec.VirtualRouters, left)
	maps.Copy(out, want.Routers)
	for name := range before {
		if !slices.ContainsFunc(d.spec.VirtualRouters, func(r model.VirtualRouter) bool { return r.Name == name }) {
			out[name] = true
		}
	}
	return out
}

// runRouters runs the virtual routers until ctx is done. Then their addresses go, and their services are no longer
// served, while all else of the daemon runs still, and after that the other directors hear of it.
func (d *daemon) runRouters(ctx context.Context) error {
	err := d.vrrp.Run(ctx, d.routerChanged)
	gone, cancel := context.WithTimeout(d.running, partingWithin)
	defer cancel()
	if before, some := d.resign(gone); some {
		d.awaitGone(gone, before)
		feel(gone, d.pulses) // the plan that it was gone with is over, so notices have what is told of it
	}
	return err
}

// resign ends the mastership of virtual routers that had not begun yet, of which an earlier daemon was master: nobody
// else says so. It says whether anything of any virtual router is here, or is to be told still, and which plan knows
// nothing of that yet; nil: there was none.
func (d *daemon) resign(ctx context.Context) (before *state, some bool) {
	there := make(chan bool, 1)
	d.tellNow(func(s *model.Seen) {
		s.VRRP = maps.Clone(s.VRRP)
		for name, seen := range s.VRRP {
			if seen.State == model.VRRPMaster {
				s.VRRP[name] = model.VRRPSeen{State: model.VRRPInit, Since: time.Now(), Why: "weir stops"}
				s.Ceased = ceased(s.Ceased, name, seen, s.VRRP[name])
				d.turns = append(d.turns, model.VRRPTurn{Name: name, Priority: d.priorityOf(name), Seen: s.VRRP[name], Over: true})
			}
		}
		before = d.state.Load()
		there <- len(s.Held)+len(s.Served)+len(d.turns) > 0
	})
	select {
	case some = <-there:
		return before, some
	case <-ctx.Done():
		return nil, false
	}
}

// awaitGone returns when no address of a virtual router is here and no service of one is served: a busy host may take
// longer for it than a virtual router waits before it tells the others. It believes no plan that is not newer than before.
func (d *daemon) awaitGone(ctx context.Context, before *state) {
	const pause = 10 * time.Millisecond
	for {
		if s := d.state.Load(); s != before && len(s.seen.Held)+len(s.seen.Served) == 0 {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// routerChanged is urgent: clients wait for whoever is master.
func (d *daemon) routerChanged(c vrrp.Change) {
	d.tellNow(func(s *model.Seen) {
		s.VRRP = maps.Clone(s.VRRP)
		if s.VRRP == nil {
			s.VRRP = map[string]model.VRRPSeen{}
		}
		s.Ceased = ceased(s.Ceased, c.Name, s.VRRP[c.Name], c.Seen)
		s.VRRP[c.Name] = c.Seen
		d.turns = append(d.turns, model.VRRPTurn{Name: c.Name, Priority: c.Priority, Seen: c.Seen, Over: c.Over})
		if delete(d.parting, c.Name); c.Seen.State != model.VRRPMaster {
			d.parting[c.Name] = true
		}
		d.letGo() // at once, if it was master too shortly for an address to come
		if c.Announce {
			d.target.Announce(addressesOf(d.spec, c.Name))
		}
	})
}

// ceased notes when a virtual router was master last.
func ceased(before map[string]time.Time, name string, was, is model.VRRPSeen) map[string]time.Time {
	if was.State != model.VRRPMaster || is.State == model.VRRPMaster {
		return before
	}
	out := maps.Clone(before)
	if out == nil {
		out = map[string]time.Time{}
	}
	out[name] = is.Since
	return out
}

// priorityOf is what the latest plan has left of the one that is written; 0: that has no such virtual router, since a
// reload has taken it out, or since there is no plan yet.
func (d *daemon) priorityOf(router string) uint8 {
	if s := d.state.Load(); s != nil {
		for _, want := range s.desired.VRRP {
			if want.Name == router {
				return want.Priority
			}
		}
	}
	return 0
}

func addressesOf(spec model.Spec, router string) (out []model.Addr) {
	for _, r := range spec.VirtualRouters {
		if r.Name != router {
			continue
		}
		for _, p := range r.Addresses {
			out = append(out, p.Addr())
		}
	}
	return out
}

// letGo tells the virtual routers that are no master any more when their addresses are gone and their services are
// not served any more, so that another director may have them: those that are not configured any more, too. It is
// the owner's.
func (d *daemon) letGo() {
	for name := range d.parting {
		if !d.seen.Held[name] && !d.seen.Served[name] {
			delete(d.parting, name)
			d.release(name)
		}
	}
}

// telling is the way to tell the owner what a target has done: a takeover, up or down, waits for what is not known of
// virtual routers yet.
func (d *daemon) telling(known func(model.Seen) bool) func(event) {
	if s := d.state.Load(); s != nil && known(s.seen) {
		return d.tell
	}
	return d.tellNow
}

// renew is a master's word that the addresses are here.
func renew(path *dataplane.Dataplane) vrrp.Lease {
	return func(router string, holds time.Duration) error {
		if holds == 0 {
			return path.Release(router)
		}
		return path.Renew(router, holds)
	}
}

func fromRouters(counts map[string]vrrp.Counts) (out map[string]report.PacketCounts, mastered map[string]uint64) {
	out, mastered = map[string]report.PacketCounts{}, map[string]uint64{}
	for name, c := range counts {
		mastered[name] = c.Mastered
		out[name] = report.PacketCounts{Sent: c.Sent, Unsent: c.Unsent, Received: c.Received, Discarded: named(c.Discarded)}
	}
	return out, mastered
}
