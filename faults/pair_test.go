// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/client"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of what happens to one of two directors.
const (
	gap         = "gap"         // the longest time between two new connections that succeed
	transitions = "transitions" // how often a director became master of a virtual router
	oneOwner    = "one_owner"   // from when nothing is in the way to one master, and one backup
)

// pair is two directors, one of which has the addresses, and one server: a director that does not know a connection
// sends it to whom it belongs. Clients knock in both families.
type pair struct {
	lab     *lab.Lab
	daemons map[*lab.Director]*client.Client
	config  map[*lab.Director]string
	serves  func(*lab.Director) string // what a director's configuration has beside virtual routers
}

// newPair builds it, with one more host on the directors' LAN. It goes with the test.
func newPair(t *testing.T, weir string, r lab.Redundancy) *pair {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := newPairIn(newLab(ctx, t, lab.Config{Shape: lab.LAN, Forwarding: lab.DR, Directors: 2, Servers: 1, Stranger: true, Confined: true, Weir: weir}))
	t.Cleanup(func() { p.tell(t) })
	if err := p.start(ctx, r); err != nil {
		t.Fatal(err)
	}
	return p
}

// newPairIn is those of a lab, which do not run yet.
func newPairIn(l *lab.Lab) *pair {
	p := &pair{lab: l, daemons: map[*lab.Director]*client.Client{}, config: map[*lab.Director]string{}}
	p.serves = func(*lab.Director) string { return "services:\n" + l.MoreServices("fresh", "tcp", lab.FreshPort) }
	for _, d := range l.Directors {
		p.daemons[d] = client.New(filepath.Join(d.Run, "weir.sock"))
	}
	return p
}

func (p *pair) start(ctx context.Context, r lab.Redundancy) error {
	server := p.lab.Servers[0]
	if _, err := server.StartTCPEcho(ctx, lab.FreshPort); err != nil {
		return err
	}
	if err := server.HoldVIP(ctx); err != nil {
		return err
	}
	for _, d := range p.lab.Directors {
		p.config[d] = p.serves(d) + p.lab.VirtualRouters(d, r)
		if err := errors.Join(d.Start(p.config[d]), d.WaitReady(ctx)); err != nil {
			return err
		}
	}
	_, err := p.together(ctx)
	return err
}

// tell shows what the daemons printed, if the test failed.
func (p *pair) tell(t testing.TB) {
	const enough = 8 << 10
	for _, d := range p.lab.Directors {
		if text, err := os.ReadFile(d.Log); t.Failed() && err == nil {
			t.Logf("the daemon of %s printed:\n%s", d.Name, text[max(0, len(text)-enough):])
		}
	}
}

// glance is how often directors are asked what they are: often enough for figures of a hundredth of a second, and so that
// they have something else to do.
const glance = 5 * time.Millisecond

// roles are who is what of all virtual routers.
type roles struct{ master, backup *lab.Director }

// agreed waits until one director is master of all, and the other one backup.
func (p *pair) agreed(ctx context.Context) (r roles, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errNotAgreed)
	defer cancel()
	err = every(ctx, glance, func() (bool, error) {
		r = p.ask(ctx).roles()
		return r.master != nil && r.backup != nil, nil
	})
	return r, err
}

var errNotAgreed = errors.New("the directors do not agree who is master")

// together has the directors agree before anything is injected. Where each is master of some virtual routers, since the
// machine stood still, that is for good without preemption: after a while the second one leaves its share to the first.
// What a fault leaves so is weir's, and nobody mends it: agreed waits in vain.
func (p *pair) together(ctx context.Context) (r roles, err error) {
	const enough = 3 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errNotAgreed)
	defer cancel()
	whole := time.Now() // when they were not divided
	err = every(ctx, glance, func() (bool, error) {
		now := p.ask(ctx)
		r = now.roles()
		if !now.divided() {
			whole = time.Now()
		} else if time.Since(whole) > enough {
			whole = time.Now()
			return false, p.yields(ctx, p.lab.Directors[1])
		}
		return r.master != nil && r.backup != nil, nil
	})
	return r, err
}

// yields has a director be master of nothing, as it may have become by itself meanwhile.
func (p *pair) yields(ctx context.Context, d *lab.Director) error {
	err := p.failover(ctx, d)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Status == http.StatusConflict {
		return nil
	}
	return err
}

// answers are what directors say of their virtual routers at one moment. One that does not answer has none.
type answers map[*lab.Director][]api.VirtualRouter

func (p *pair) ask(ctx context.Context) answers {
	out := answers{}
	for _, d := range p.lab.Directors {
		if routers, err := p.daemons[d].VirtualRouters(ctx); err == nil {
			out[d] = routers
		}
	}
	return out
}

// roles of a director that does not answer, or is of two minds, are nobody's.
func (a answers) roles() (r roles) {
	for d, routers := range a {
		switch stateOf(routers) {
		case "master":
			r.master = d
		case "backup":
			r.backup = d
		}
	}
	return r
}

// divided: each director is master of some virtual routers, and not of others.
func (a answers) divided() bool {
	for _, routers := range a {
		if stateOf(routers) != "" || !slices.ContainsFunc(routers, func(r api.VirtualRouter) bool { return r.State == "master" }) {
			return false
		}
	}
	return len(a) > 1
}

// stateOf is that of all virtual routers; "": they have no such, or there are none.
func stateOf(routers []api.VirtualRouter) string {
	if len(routers) == 0 {
		return ""
	}
	for _, r := range routers[1:] {
		if r.State != routers[0].State {
			return ""
		}
	}
	return routers[0].State
}

// state is that of a director in all virtual routers; "": it has no such, or does not answer.
func (p *pair) state(ctx context.Context, d *lab.Director) string {
	routers, err := p.daemons[d].VirtualRouters(ctx)
	if err != nil {
		return ""
	}
	return stateOf(routers)
}

// becomes waits until a director is something in all virtual routers, and says how long that took.
func (p *pair) becomes(ctx context.Context, d *lab.Director, state string) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("%s does not become %s", d.Name, state))
	defer cancel()
	err := every(ctx, glance, func() (bool, error) { return p.state(ctx, d) == state, nil })
	return time.Since(began), err
}

// mastered is how often the directors have become master, by virtual router, in their daemons' lives.
func (p *pair) mastered(ctx context.Context) (map[string]int, error) {
	times := map[string]int{}
	for _, d := range p.lab.Directors {
		of, err := p.masteredBy(ctx, d)
		if err != nil {
			return nil, err
		}
		for name, n := range of {
			times[name] += n
		}
	}
	return times, nil
}

// masteredBy is that of one of them.
func (p *pair) masteredBy(ctx context.Context, d *lab.Director) (map[string]int, error) {
	routers, err := p.daemons[d].VirtualRouters(ctx)
	times := map[string]int{}
	for _, r := range routers {
		times[r.Name] = int(r.Mastered)
	}
	return times, err
}

// most is how often a director became master between two counts, of the virtual router of which it did so most often.
func most(before, after map[string]int) (times int) {
	for name, n := range after {
		times = max(times, n-before[name])
	}
	return times
}

// counted lets something happen, and says how often a director became master of one of the virtual routers meanwhile.
// The daemons live on.
func (p *pair) counted(ctx context.Context, happen func() error) (times int, err error) {
	before, err := p.mastered(ctx)
	if err != nil {
		return 0, err
	}
	if err := happen(); err != nil {
		return 0, err
	}
	after, err := p.mastered(ctx)
	return most(before, after), err
}

// aside is how long clients knock before something happens, and behind it.
const aside = 300 * time.Millisecond

// fared is how clients of both families fared while something happened. A machine that was too busy to let them come
// has disturbed it.
type fared struct {
	lab.Knocked
	disturbed string
}

// knocked lets clients knock while something happens. From one call to the next it begins elsewhere between two
// adverts.
func (p *pair) knocked(ctx context.Context, happen func(context.Context) error) (fared, error) {
	const stalls = 20 * time.Millisecond
	var knockers []*lab.Knocker
	for _, f := range lab.Families() {
		knockers = append(knockers, p.lab.Client.Knock(netip.AddrPortFrom(p.lab.VIP.In(f), lab.FreshPort)))
	}
	time.Sleep(aside)
	err := happen(ctx)
	time.Sleep(aside)
	var all fared
	for _, k := range knockers {
		seen, ended := k.Stop()
		err = errors.Join(err, ended)
		all.add(seen)
	}
	if all.Stalled > stalls {
		all.disturbed = fmt.Sprintf("the machine let the clients wait for %v", all.Stalled.Round(time.Millisecond))
	}
	return all, err
}

// add keeps the worse of two families.
func (s *fared) add(other lab.Knocked) {
	s.Clients += other.Clients
	s.Failed += other.Failed
	s.First = errors.Join(s.First, other.First)
	s.Gap, s.Gaps = max(s.Gap, other.Gap), max(s.Gaps, other.Gaps)
	s.Stalled = max(s.Stalled, other.Stalled)
}

// suffers is a fault's run of several pairs or ways, each of which measures some of its parts.
func suffers(t *testing.T, each ...func(ctx context.Context, m *faults.Measured) error) faults.Run {
	return func() (faults.Measured, error) {
		m := faults.Measured{Figures: map[string]float64{}}
		for _, one := range each {
			if err := one(t.Context(), &m); err != nil {
				return m, err
			}
		}
		return m, nil
	}
}

// note keeps the worse figure of a part, and what disturbed it.
func note(m *faults.Measured, part string, value float64, disturbed string) {
	m.Figures[part] = max(m.Figures[part], value)
	if disturbed != "" {
		m.Disturbed = disturbed
	}
}

// of is a part with the time between adverts in its name.
func of(part string, advertise time.Duration) string { return part + "_" + advertise.String() }

// TestRoles: who is what, and whether each is master of some, comes of the same answers.
func TestRoles(t *testing.T) {
	one, other := &lab.Director{}, &lab.Director{}
	are := func(states ...string) (out []api.VirtualRouter) {
		for _, s := range states {
			out = append(out, api.VirtualRouter{State: s})
		}
		return out
	}
	for name, tt := range map[string]struct {
		said    answers
		want    roles
		divided bool
	}{
		"agreed":         {answers{one: are("master", "master"), other: are("backup", "backup")}, roles{one, other}, false},
		"divided":        {answers{one: are("master", "backup"), other: are("backup", "master")}, roles{}, true},
		"one has all":    {answers{one: are("master", "master"), other: are("backup", "master")}, roles{master: one}, false},
		"none has some":  {answers{one: are("fault", "backup"), other: are("backup", "master")}, roles{}, false},
		"one is silent":  {answers{one: are("master", "backup")}, roles{}, false},
		"one has no VIP": {answers{one: are("master", "backup"), other: are()}, roles{}, false},
	} {
		if got := tt.said.roles(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if got := tt.said.divided(); got != tt.divided {
			t.Errorf("%s: divided: %t", name, got)
		}
	}
}
