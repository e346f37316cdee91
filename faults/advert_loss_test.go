// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
	"github.com/weir-lb/weir/internal/packet"
)

// Parts of fault 13.
const (
	whenLost    = "transitions_lost"    // each tenth advert is lost, and a witness is asked
	whenDoubled = "transitions_doubled" // adverts come twice, and once more behind later ones
)

// advertsLost: some of the master's adverts do not arrive, or arrive twice and too late.
func advertsLost(c *common) faults.Fault {
	return faults.Fault{
		Number: 13,
		Long:   true,
		Parts: []faults.Part{
			{Name: whenLost, Unit: "takeovers", Timely: true},
			{Name: whenDoubled, Unit: "takeovers"},
		},
		Beside: "by the RFC alone a backup takes over when three in a row are lost: of 6,000 adverts, each tenth of which is, that happens six times",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			l := losing{c.loaded(t, size, often).pair, time.Duration(size.Of(1200, 60_000)) * time.Millisecond, t.Logf}
			return suffers(t, l.misses, func(ctx context.Context, m *faults.Measured) error { return l.hearsTwice(ctx, m, l.lasts/12) })
		},
	}
}

// often has as many adverts in a minute as there are in ten of one each 100 ms.
var often = lab.Redundancy{Advertise: 10 * time.Millisecond, Preempt: "true"}

// losing is a pair whose master is not heard all the time.
type losing struct {
	*pair
	lasts time.Duration
	log   func(string, ...any)
}

// misses judges what was set out with, and tells of what is beside it: more is lost, or nobody is asked.
func (l losing) misses(ctx context.Context, m *faults.Measured) error {
	asking := often
	asking.Witness = true
	for _, of := range []struct {
		how     string
		agree   lab.Redundancy
		percent int
		lasts   time.Duration
	}{
		{"with a witness", asking, 10, l.lasts},
		{"with a witness", asking, 30, l.lasts / 12},
		{"with a witness", asking, 60, l.lasts / 12},
		{"by adverts alone", often, 10, l.lasts / 12},
	} {
		if err := l.reload(ctx, of.agree); err != nil {
			return err
		}
		moved, err := l.loses(ctx, of.percent, of.lasts)
		if err != nil {
			return err
		}
		if of.percent == 10 && of.agree.Witness {
			note(m, whenLost, float64(moved), "")
			continue
		}
		l.log("%s, %d %% of %d adverts lost: %d takeovers", of.how, of.percent, of.lasts/of.agree.Advertise, moved)
	}
	return nil
}

// loses is how often somebody takes over while so much of a hundred of what the master says is lost.
func (l losing) loses(ctx context.Context, percent int, lasts time.Duration) (int, error) {
	r, err := l.agreed(ctx)
	if err != nil {
		return 0, err
	}
	return l.counted(ctx, func() error {
		return inOrder(
			func() error { return l.lab.Lose(&r.master.Node, lab.Adverts, percent) },
			func() error { return sleep(ctx, lasts) },
			func() error { return l.lab.Hear(&r.master.Node) },
		)
	})
}

// hearsTwice has the stranger say again what the master says: at once, and behind the advert after the next.
func (p *pair) hearsTwice(ctx context.Context, m *faults.Measured, lasts time.Duration) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	said, err := macOf(&r.master.Node, lab.FirstLink)
	if err != nil {
		return err
	}
	e, err := newEar(p.lab.Stranger)
	if err != nil {
		return err
	}
	defer e.close()
	moved, err := p.counted(ctx, func() error { return e.repeat(time.Now().Add(lasts), said) })
	note(m, whenDoubled, float64(moved), "")
	return err
}

// repeat sends each advert of a MAC again. Its own MAC is the stranger's: switches are not to send there what is for
// the master.
func (e *ear) repeat(until time.Time, of packet.MAC) (err error) {
	older := map[packet.MAC][][]byte{} // by the group, so of each family
	e.hear(until, func(frame []byte) bool {
		to := packet.MAC(frame[:6])
		if to != groupMAC && to != groupMAC6 || !bytes.Equal(frame[6:12], of[:]) {
			return true
		}
		again := bytes.Clone(frame)
		copy(again[6:], e.mac[:])
		older[to] = append(older[to], again)
		err = e.say(again)
		if late := older[to]; err == nil && len(late) > 2 {
			older[to] = late[1:]
			err = e.say(late[0])
		}
		return err == nil
	})
	return err
}
