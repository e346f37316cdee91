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
	whenLost    = "transitions_lost"    // each tenth advert is lost
	whenDoubled = "transitions_doubled" // adverts come twice, and once more behind later ones
)

// advertsLost: some of the master's adverts do not arrive, or arrive twice and too late.
func advertsLost(weir string) faults.Fault {
	return faults.Fault{
		Number: 13,
		Long:   true,
		Parts: []faults.Part{
			{Name: whenLost, Unit: "takeovers", Timely: true},
			{Name: whenDoubled, Unit: "takeovers"},
		},
		Beside: "by the RFC a backup takes over when three in a row are lost: of 600 adverts, each tenth of which is, that happens once in two runs",
		Prepare: func(t *testing.T, size faults.Size) faults.Run {
			p := newPair(t, weir, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "true"})
			lasts := time.Duration(size.Of(2, 60)) * time.Second
			return suffers(t,
				func(ctx context.Context, m *faults.Measured) error { return p.misses(ctx, m, lasts) },
				func(ctx context.Context, m *faults.Measured) error { return p.hearsTwice(ctx, m, lasts/4) },
			)
		},
	}
}

func (p *pair) misses(ctx context.Context, m *faults.Measured, lasts time.Duration) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	moved, err := p.counted(ctx, func() error {
		return inOrder(
			func() error { return p.lab.Lose(&r.master.Node, lab.Adverts, 10) },
			func() error { return sleep(ctx, lasts) },
			func() error { return p.lab.Hear(&r.master.Node) },
		)
	})
	note(m, whenLost, float64(moved), "")
	return err
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

var groupMAC6 = packet.MAC{0x33, 0x33, 0, 0, 0, 0x12}
