// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// alarm is how many adverts of a stranger it takes until he is named.
const alarm = "alarm"

// idTwice: others on the link have a virtual router of the same id, with another address and a higher priority.
func idTwice(c *common) faults.Fault {
	return faults.Fault{
		Number: 14,
		Parts: []faults.Part{
			{Name: transitions, Unit: "takeovers"},
			{Name: alarm, Unit: "adverts", Bar: 2, Timely: true},
			{Name: gap, Unit: faults.Seconds, Bar: 0.05},
			{Name: failedNew, Unit: "connections"},
			partOfCrowd(),
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := c.loaded(t, size, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"})
			return suffers(t, func(ctx context.Context, m *faults.Measured) error {
				if err := s.peaceful(ctx, s.ready); err != nil {
					return err
				}
				return s.endures(func(ctx context.Context, m *faults.Measured) error { return s.meets(ctx, m, size.Of(5, 20)) })(ctx, m)
			})
		},
	}
}

// meets has a stranger advertise some times.
func (p *pair) meets(ctx context.Context, m *faults.Measured, adverts int) error {
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	var others []advert
	for _, f := range lab.Families() {
		own, err := speaker(p.lab.Stranger, f)
		if err != nil {
			return err
		}
		address := p.lab.Stranger.Address.In(f).Next()
		if f == lab.IPv6 {
			others = append(others, master(own, 250, own.Next(), address))
			continue
		}
		others = append(others, master(own, 250, address))
	}
	var seen fared
	moved, err := p.counted(ctx, func() (err error) {
		seen, err = p.knocked(ctx, func(ctx context.Context) error {
			named := 0
			for i := 1; i <= adverts || named == 0; i++ {
				for _, a := range others {
					if err := e.shout(a); err != nil {
						return err
					}
				}
				if err := sleep(ctx, 100*time.Millisecond); err != nil {
					return err
				}
				if named == 0 && p.conflict(ctx, others) {
					named = i
				}
			}
			note(m, alarm, float64(named), "")
			return nil
		})
		return err
	})
	note(m, transitions, float64(moved), "")
	note(m, gap, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	return err
}

// conflict tells whether both directors name who said this and must not be there, each in its family.
func (p *pair) conflict(ctx context.Context, said []advert) bool {
	for _, d := range p.lab.Directors {
		routers, err := p.daemons[d].VirtualRouters(ctx)
		if err != nil {
			return false
		}
		for _, a := range said {
			names := func(r api.VirtualRouter) bool {
				return r.Name == lab.RouterName(familyOf(a.from)) && strings.Contains(r.Conflict, a.from.String()+" ")
			}
			if !slices.ContainsFunc(routers, names) {
				return false
			}
		}
	}
	return true
}

// peaceful has both daemons begin again, if one names somebody already: what was told of one is said for a while before
// anything else is.
func (p *pair) peaceful(ctx context.Context, ready func(context.Context) (roles, error)) error {
	for _, d := range p.lab.Directors {
		routers, err := p.daemons[d].VirtualRouters(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(routers, func(r api.VirtualRouter) bool { return r.Conflict != "" }) {
			return p.anew(ctx, ready)
		}
	}
	return nil
}

// anew has both daemons begin again, one behind the other when both are ready, who know of no conflict then.
func (p *pair) anew(ctx context.Context, ready func(context.Context) (roles, error)) error {
	for _, d := range p.lab.Directors {
		if _, err := ready(ctx); err != nil {
			return err
		}
		if err := inOrder(d.Stop, d.Restart, func() error { return d.WaitReady(ctx) }); err != nil {
			return err
		}
	}
	_, err := ready(ctx)
	return err
}

// sleep is over sooner when ctx is.
func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forged: a stranger sends adverts that look right, without authentication: of his own, as if he were the backup, and
// as if the master said goodbye. Who is on the link can do that; it must not be a secret. Then the directors begin to
// sign, change their keys, and he tries again: signed_test.go.
func forged(weir string) faults.Fault {
	return faults.Fault{
		Number: 15,
		Paired: true,
		Parts: []faults.Part{
			{Name: alarm, Unit: "adverts", Bar: 1, Timely: true},
			{Name: oneOwner, Unit: faults.Seconds, Bar: 1},
			{Name: failedNew, Unit: "connections"},
			{Name: signedMoves, Unit: "takeovers"},
			{Name: signedUncounted, Unit: "reasons"},
			{Name: signedUntold, Unit: "directors"},
		},
		Beside: "three adverts cost the clients of keepalived 2.2.7 5.2 s, with adverts each second",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plain := lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true"}
			p := newPair(t, weir, plain)
			s := signing{p, plain, size.Of(500, 10_000)}
			return suffers(t, s.becomesPlain, p.isFooled, s.isNotFooled)
		},
	}
}

// forgery is what a stranger says, and who is to say so, by whose name.
type forgery struct {
	advert advert
	victim *lab.Director // whose events tell
	named  netip.Addr
}

func (p *pair) isFooled(ctx context.Context, m *faults.Measured) error {
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		for _, f := range lab.Families() {
			for kind := range 3 {
				r, err := p.agreed(ctx)
				if err != nil {
					return err
				}
				all, err := p.forgeries(r, f)
				if err != nil {
					return err
				}
				if err := p.fool(ctx, m, e, all[kind]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	note(m, failedNew, float64(seen.Failed), seen.disturbed)
	return err
}

func (p *pair) forgeries(r roles, f lab.Family) ([]forgery, error) {
	stranger, err := speaker(p.lab.Stranger, f)
	better, err2 := speaker(&r.master.Node, f)
	worse, err3 := speaker(&r.backup.Node, f)
	ours := p.ours(f)
	return []forgery{
		{master(stranger, 254, ours...), r.master, stranger},
		{master(worse, 255, ours...), r.master, worse},
		{master(better, 0, ours...), r.backup, better},
	}, errors.Join(err, err2, err3)
}

// fool sends a forged advert until the victim tells of it, three in all, and waits until there is one master again.
func (p *pair) fool(ctx context.Context, m *faults.Measured, e *ear, f forgery) error {
	before, err := p.reasons(ctx, f.victim, f.named)
	if err != nil {
		return err
	}
	named := 0
	const most = 100
	for i := 1; i <= 3 || named == 0; i++ {
		if i > most {
			return fmt.Errorf("of %d adverts in the name of %s %s has told nothing", most, f.named, f.victim.Name)
		}
		if err := e.shout(f.advert); err != nil {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		now, err := p.reasons(ctx, f.victim, f.named)
		if err != nil {
			return err
		}
		if named == 0 && now > before {
			named = i
		}
	}
	note(m, alarm, float64(named), "")
	began := time.Now()
	_, err = p.agreed(ctx)
	note(m, oneOwner, time.Since(began).Seconds(), "")
	return err
}

// reasons is how often a director has told of a change, or a conflict, for which somebody is the reason.
func (p *pair) reasons(ctx context.Context, d *lab.Director, who netip.Addr) (times int, err error) {
	events, err := p.daemons[d].Events(ctx)
	for _, event := range events {
		if strings.Contains(event.Reason, who.String()+")") || strings.HasPrefix(event.Reason, who.String()+" ") {
			times++
		}
	}
	return times, err
}
