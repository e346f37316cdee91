// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-lb/weir/api"
	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of faults 11 and 12.
const (
	bothTell  = "both_tell" // from two masters to an alarm on each
	unsaid    = "unsaid"    // addresses that the master did not announce after the partition
	witnessed = "witnessed" // takeovers in a partition of adverts alone, with a witness
	moved     = "moved"     // connections that have another server after it than before
	clientSet = "arp_right" // from the end of the partition until the router sends to the master
)

// oneWay: the master's adverts do not reach the backup, all else does. Both are masters then.
func oneWay(c *common) faults.Fault {
	return faults.Fault{
		Number: 11,
		Parts: []faults.Part{
			{Name: bothTell, Unit: faults.Seconds, Bar: 0.3},
			{Name: oneOwner, Unit: faults.Seconds, Bar: 1},
			{Name: failedNew, Unit: "connections"},
			partOfCrowd(),
		},
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			s := c.loaded(t, size, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true"})
			return suffers(t, func(ctx context.Context, m *faults.Measured) error {
				if err := s.quiet(ctx); err != nil {
					return err
				}
				return s.endures(s.isNotUnderstood)(ctx, m)
			})
		},
	}
}

// quiet has both directors begin anew, one after the other, if one has an alarm: it would last for a minute.
func (s *sharing) quiet(ctx context.Context) error {
	for _, d := range s.lab.Directors {
		status, err := s.daemons[d].Status(ctx)
		if err != nil {
			return err
		}
		if isAlarm(status.Problems) {
			return s.anew(ctx, s.ready)
		}
	}
	return nil
}

func (p *pair) isNotUnderstood(ctx context.Context, m *faults.Measured) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		if err := p.lab.Lose(&r.master.Node, lab.Adverts, 100); err != nil {
			return err
		}
		if _, err := p.becomes(ctx, r.backup, "master"); err != nil {
			return err
		}
		took, err := p.alarmed(ctx)
		if err != nil {
			return err
		}
		note(m, bothTell, took.Seconds(), "")
		took, err = p.heals(ctx, r.master)
		note(m, oneOwner, took.Seconds(), "")
		return err
	})
	note(m, failedNew, float64(seen.Failed), seen.disturbed)
	return err
}

// heals has the switch pass on everything that some directors say, and says how long it takes until there is one master.
func (p *pair) heals(ctx context.Context, directors ...*lab.Director) (time.Duration, error) {
	for _, d := range directors {
		if err := p.lab.Hear(&d.Node); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	_, err := p.agreed(ctx)
	return time.Since(began), err
}

// alarmed waits until each director has a problem that names the other one, or its MAC.
func (p *pair) alarmed(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("two directors are masters, and one of them does not tell"))
	defer cancel()
	err := every(ctx, 5*time.Millisecond, func() (bool, error) {
		for _, d := range p.lab.Directors {
			status, err := p.daemons[d].Status(ctx)
			if err != nil || !isAlarm(status.Problems) {
				return false, err
			}
		}
		return true, nil
	})
	return time.Since(began), err
}

func isAlarm(problems []api.Problem) bool {
	for _, problem := range problems {
		if strings.Contains(problem.Why, "as if it were master") || strings.Contains(problem.Why, "another host") {
			return true
		}
	}
	return false
}

// partition: adverts of neither director reach the other one, and clients reach both.
func partition(c *common) faults.Fault {
	return faults.Fault{
		Number: 12,
		Long:   true,
		Parts: []faults.Part{
			{Name: oneOwner, Unit: faults.Seconds, Bar: 1},
			{Name: unsaid, Unit: "addresses"},
			{Name: clientSet, Unit: faults.Seconds, Bar: 1},
			{Name: failedNew, Unit: "connections"},
			{Name: witnessed, Unit: "takeovers"},
			{Name: moved, Unit: "connections"},
			partOfCrowd(),
		},
		Beside: "keepalived announces nothing after it, in some versions, and clients go on to the wrong one",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			plain := lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true"}
			s := c.loaded(t, size, plain)
			lasts, held := time.Duration(size.Of(500, 30_000))*time.Millisecond, time.Duration(size.Of(500, 10_000))*time.Millisecond
			return suffers(t,
				s.endures(func(ctx context.Context, m *faults.Measured) error { return s.isParted(ctx, m, lasts) }),
				s.endures(func(ctx context.Context, m *faults.Measured) error { return s.isPartedWitnessed(ctx, m, plain, held) }),
			)
		},
	}
}

// isParted wants each connection to have the server afterwards that it had, with both directors.
func (s *sharing) isParted(ctx context.Context, m *faults.Measured, lasts time.Duration) error {
	r, err := s.agreed(ctx)
	if err != nil {
		return err
	}
	before, err := s.servers(ctx, r.master)
	if err != nil {
		return err
	}
	seen, err := s.knocked(ctx, func(ctx context.Context) error {
		err := inOrder(
			func() error { return s.lab.Lose(&r.master.Node, lab.Adverts, 100) },
			func() error { return s.lab.Lose(&r.backup.Node, lab.Adverts, 100) },
			func() error { _, err := s.becomes(ctx, r.backup, "master"); return err },
			wait(lasts),
		)
		if err != nil {
			return err
		}
		return s.isOne(ctx, m)
	})
	note(m, failedNew, float64(seen.Failed), seen.disturbed)
	for _, d := range s.lab.Directors {
		if err == nil {
			err = s.compare(ctx, m, moved, d, before)
		}
	}
	return err
}

// isPartedWitnessed is the same partition, and the directors have a witness: the backup asks who has the address, hears
// the master, and says so.
func (p *pair) isPartedWitnessed(ctx context.Context, m *faults.Measured, plain lab.Redundancy, lasts time.Duration) error {
	with := plain
	with.Witness = true
	if err := p.reload(ctx, with); err != nil {
		return err
	}
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	before, err := p.mastered(ctx)
	if err != nil {
		return err
	}
	err = inOrder(
		func() error { return p.lab.Lose(&r.master.Node, lab.Adverts, 100) },
		func() error { return p.lab.Lose(&r.backup.Node, lab.Adverts, 100) },
		func() error { return p.isHeldBack(ctx, r.backup) },
		wait(lasts),
		func() error { _, err := p.heals(ctx, p.lab.Directors...); return err },
	)
	if err != nil {
		return err
	}
	after, err := p.mastered(ctx)
	note(m, witnessed, 0, "")
	for router, n := range after {
		m.Figures[witnessed] += float64(n - before[router])
	}
	return errors.Join(err, p.reload(ctx, plain))
}

// reload has the directors agree by other words. The first one may speak by the new ones where the second does not listen
// yet, who takes over then: that is over when it returns.
func (p *pair) reload(ctx context.Context, r lab.Redundancy) error {
	for _, d := range p.lab.Directors {
		p.config[d] = p.serves(d) + p.lab.VirtualRouters(d, r)
		if err := d.Configure(p.config[d]); err != nil {
			return err
		}
		if _, err := p.daemons[d].Reload(ctx); err != nil {
			return err
		}
	}
	if err := p.hearAgain(ctx); err != nil {
		return err
	}
	_, err := p.together(ctx)
	return err
}

// hearAgain waits until each virtual router has a backup that has believed one more advert.
func (p *pair) hearAgain(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("no backup hears the master"))
	defer cancel()
	before := map[heard]uint64{}
	for d, routers := range p.ask(ctx) {
		for _, r := range routers {
			before[heard{d, r.Name}] = r.Received
		}
	}
	return every(ctx, glance, func() (bool, error) {
		hear := map[string]bool{}
		for d, routers := range p.ask(ctx) {
			for _, r := range routers {
				if was, asked := before[heard{d, r.Name}]; asked && r.State == "backup" && r.Received > was {
					hear[r.Name] = true
				}
			}
		}
		return len(hear) == len(lab.Families()), nil
	})
}

// isHeldBack waits until a director says of each of its virtual routers that the master lives.
func (p *pair) isHeldBack(ctx context.Context, d *lab.Director) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("%s does not say that the master lives", d.Name))
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		routers, err := p.daemons[d].VirtualRouters(ctx)
		for _, r := range routers {
			if !strings.Contains(r.Held, "a master lives") {
				return false, err
			}
		}
		return len(routers) > 0, err
	})
}

// isOne ends the partition, and looks who announces the addresses then, and to whom the router sends.
func (p *pair) isOne(ctx context.Context, m *faults.Measured) error {
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	began := time.Now()
	took, err := p.heals(ctx, p.lab.Directors...)
	note(m, oneOwner, took.Seconds(), "")
	if err != nil {
		return err
	}
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	winner, err := macOf(&r.master.Node, lab.FirstLink)
	if err != nil {
		return err
	}
	for _, f := range lab.Families() {
		if err := p.isKnown(ctx, p.lab.VIP.In(f), winner); err != nil {
			return err
		}
	}
	note(m, clientSet, time.Since(began).Seconds(), "")
	said := e.announced(time.Now().Add(500*time.Millisecond), winner)
	note(m, unsaid, 0, "")
	for _, f := range lab.Families() {
		if !said[p.lab.VIP.In(f)] {
			m.Figures[unsaid]++
		}
	}
	return nil
}

// announced are the addresses that a MAC says it has, until then and since the ear was there.
func (e *ear) announced(until time.Time, mac packet.MAC) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	e.hear(until, func(frame []byte) bool {
		if layers, _ := packet.Parse(frame); len(layers) > 0 {
			arp, isARP := packet.Find[packet.ARP](layers)
			na, isNA := packet.Find[packet.NeighbourAdvertisement](layers)
			if isARP && arp.SenderMAC == mac {
				out[arp.Sender] = true
			}
			if isNA && na.TargetMAC == mac {
				out[na.Target] = true
			}
		}
		return true
	})
	return out
}

// isKnown waits until the router sends what is for an address to a MAC.
func (p *pair) isKnown(ctx context.Context, address netip.Addr, mac packet.MAC) error {
	want := fmt.Sprintf("lladdr %02x:%02x:%02x:%02x:%02x:%02x ", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("the router does not send to %s at %s", address, want))
	defer cancel()
	return eachMoment(ctx, func() (bool, error) {
		text, err := p.lab.Router.Output(ctx, "ip", "neigh", "show", address.String())
		return strings.Contains(text, want), err
	})
}
