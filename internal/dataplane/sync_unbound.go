// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"maps"
	"slices"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// unbound are connections that another director told of and whose service or server is not here. They wait for it as long
// as they have left, and go to that one or to none: a director that took over may get its configuration later.
type unbound struct {
	waiting map[model.Identity]unboundRecord
	sought  []pathServer // among these they were looked for last
	expired time.Time    // when those were let go last that have no time left
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

// take takes all out that have time left.
func (u *unbound) take(now time.Time) (all []model.Record) {
	u.expire(now)
	for _, r := range u.waiting {
		r.Left = r.until.Sub(now)
		all = append(all, r.Record)
	}
	u.waiting = nil
	return all
}

// bindWaiting puts in what has waited for the services and servers that are here now.
func (d *Dataplane) bindWaiting(now time.Time) error {
	d.syncer.mu.Lock()
	defer d.syncer.mu.Unlock()
	u := &d.syncer.unbound
	if len(u.waiting) == 0 {
		return nil
	}
	dir, err := d.directoryNow()
	if err != nil || slices.Equal(dir.servers, u.sought) {
		return err
	}
	u.sought = dir.servers
	_, err = d.insert(u.take(now), now)
	return err
}
