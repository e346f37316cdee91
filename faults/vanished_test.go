// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/faults"
	"github.com/weir-lb/weir/internal/lab"
)

// Parts of fault 18.
const (
	addressBack = "address_back" // from its removal until it is there again
	addressGap  = "address_gap"
	cardGap     = "card_gap"
	cardBack    = "card_back" // from when there is an interface again to a backup
	unfit       = "unfit"     // directors with a new interface that do not serve as master
)

// vanished: somebody removes the virtual addresses from the master; then its interface is deleted, and made again.
func vanished(weir string) faults.Fault {
	return faults.Fault{
		Number: 18,
		Paired: true,
		Parts: []faults.Part{
			{Name: addressBack, Unit: faults.Seconds, Bar: 0.3},
			{Name: addressGap, Unit: faults.Seconds, Bar: 0.3},
			{Name: transitions, Unit: "takeovers"},
			{Name: cardGap, Unit: faults.Seconds, Bar: 0.35},
			{Name: cardBack, Unit: faults.Seconds, Bar: 1},
			{Name: unfit, Unit: "directors"},
			{Name: failedNew, Unit: "connections"},
		},
		Beside: "keepalived 2.2.7 puts an address back after 0.29 s",
		Prepare: func(t *testing.T, _ faults.Size) faults.Run {
			p := newPair(t, weir, lab.Redundancy{Advertise: 100 * time.Millisecond, Preempt: "false"})
			return suffers(t, p.losesAddresses, p.losesCard)
		},
	}
}

// losesAddresses: nobody else is to have them meanwhile.
func (p *pair) losesAddresses(ctx context.Context, m *faults.Measured) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	var seen fared
	moved, err := p.counted(ctx, func() (err error) {
		seen, err = p.knocked(ctx, func(ctx context.Context) error {
			for _, f := range lab.Families() {
				if err := p.losesAddress(ctx, m, r.master, f); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	note(m, transitions, float64(moved), "")
	note(m, addressGap, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	return nil
}

func (p *pair) losesAddress(ctx context.Context, m *faults.Measured, d *lab.Director, f lab.Family) error {
	address := p.lab.VIP.In(f)
	length := map[lab.Family]string{lab.IPv4: "/24", lab.IPv6: "/64"}[f]
	began := time.Now()
	if _, err := d.Output(ctx, "ip", "address", "del", address.String()+length, "dev", lab.FirstLink); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("%s does not come back", address))
	defer cancel()
	err := every(ctx, time.Millisecond, func() (bool, error) { return has(d, address) })
	note(m, addressBack, time.Since(began).Seconds(), "")
	return err
}

// has tells whether an address is on the first interface of a director.
func has(d *lab.Director, address netip.Addr) (bool, error) {
	addresses, err := d.Addresses()
	return slices.Contains(addresses, address), err
}

// losesCard: no advert says that the interface is gone, and the other one takes over. With the new one the director
// is backup, and as master it serves again.
func (p *pair) losesCard(ctx context.Context, m *faults.Measured) error {
	r, err := p.agreed(ctx)
	if err != nil {
		return err
	}
	seen, err := p.knocked(ctx, func(ctx context.Context) error {
		if err := p.lab.RemoveCard(r.master); err != nil {
			return err
		}
		_, err := p.becomes(ctx, r.backup, "master")
		return err
	})
	if err != nil {
		return err
	}
	note(m, cardGap, seen.Gap.Seconds(), seen.disturbed)
	note(m, failedNew, float64(seen.Failed), "")
	if _, err := p.becomes(ctx, r.master, "fault"); err != nil {
		return err
	}
	if err := p.lab.AddCard(r.master); err != nil {
		return err
	}
	took, err := p.becomes(ctx, r.master, "backup")
	note(m, cardBack, took.Seconds(), "")
	return errors.Join(err, p.servesAgain(ctx, m, r.master))
}

// servesAgain makes a director master, and lets clients come.
func (p *pair) servesAgain(ctx context.Context, m *faults.Measured, d *lab.Director) error {
	if err := p.crown(ctx, d); err != nil {
		return err
	}
	seen, err := p.knocked(ctx, func(context.Context) error { return nil })
	if err == nil && seen.Failed > 0 {
		m.Figures[unfit]++
	}
	note(m, unfit, 0, "")
	return err
}
