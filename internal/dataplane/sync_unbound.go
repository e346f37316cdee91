// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"maps"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// unbound are connections that another director told of and whose service or server is not here. They wait for it as long
// as they have left, and go to that one or to none: a director that took over may get its configuration later.
type unbound struct {
	waiting map[model.Identity]unboundRecord
	sought  uint64    // the places where all of them were looked for (directory)
	expired time.Time // when those were let go last that have no time left
}

type unboundRecord struct {
	model.Record
	until time.Time
}

const (
	// mostUnbound bounds what another director can make this one remember.
	mostUnbound = 1 << 16
	// Where there is no room, all are looked through for those that have no time left: not for each that is told.
	unboundExpireEvery = time.Second
)

// note keeps what was told of a connection, if it may find its place later, and forgets what was told before.
func (u *unbound) note(r model.Record, why model.Refusal, now time.Time) {
	delete(u.waiting, r.Identity())
	if why != model.RefusedService && why != model.RefusedTemplate && why != model.RefusedServer {
		return
	}
	if len(u.waiting) >= mostUnbound && now.Sub(u.expired) >= unboundExpireEvery {
		u.expire(now)
	}
	if len(u.waiting) >= mostUnbound {
		return // its master knows it, and the digests show it
	}
	if u.waiting == nil {
		u.waiting = map[model.Identity]unboundRecord{}
	}
	u.waiting[r.Identity()] = unboundRecord{r, now.Add(r.Left)}
}

func (u *unbound) expire(now time.Time) {
	u.expired = now
	maps.DeleteFunc(u.waiting, func(_ model.Identity, r unboundRecord) bool { return !now.Before(r.until) })
}

func (u *unbound) forget(ids []model.Identity) {
	for _, id := range ids {
		delete(u.waiting, id)
	}
}

// wake has runUnbound look once more; it waits for nobody.
func (s *syncer) wake() {
	select {
	case s.applied <- struct{}{}:
	default: // it will look anyway
	}
}

// runUnbound looks, after each Apply and beside it, for what has waited: a takeover must not wait for the table, nor for
// what another director tells meanwhile.
func (d *Dataplane) runUnbound(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.syncer.applied:
		}
		if err := d.bindWaiting(time.Now()); err != nil {
			d.log.Error("connections told by another director still wait for their servers", "err", err)
		}
	}
}

// bindWaiting puts in what has waited for the services and servers that are here now. What does not come in, for want of
// room or since a CPU has it in hand, waits on and is looked for after the next Apply again.
func (d *Dataplane) bindWaiting(now time.Time) error {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	u := &d.syncer.unbound
	if len(u.waiting) == 0 {
		return nil
	}
	dir, err := d.directoryNow()
	if err != nil || dir.places == u.sought {
		return err
	}
	u.expire(now)
	all, err := d.placed(dir, now)
	if err != nil {
		return err
	}
	left := false
	err = d.arrive(all, func(a syncerArrival) {
		switch syncerArrived(a.Outcome) {
		case syncerArrivedARRIVED_BUSY, syncerArrivedARRIVED_FULL, syncerArrivedARRIVED_NO_SERVER:
			left = true
		default:
			delete(u.waiting, identityOf(a.flow()))
		}
	})
	if err == nil && !left {
		u.sought = dir.places
	}
	return err
}

// placed are those of what waits that have their place here now.
func (d *Dataplane) placed(dir *directory, now time.Time) (all []syncerArrival, err error) {
	for _, r := range d.syncer.unbound.waiting {
		r.Left = r.until.Sub(now)
		a, why, err := d.arrival(dir, r.Record)
		if err != nil {
			return nil, err
		}
		if why == 0 {
			all = append(all, a)
		}
	}
	return all, nil
}
