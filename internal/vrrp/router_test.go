// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// stuck is a log that nobody reads.
type stuck struct{ slog.Handler }

func (stuck) Enabled(context.Context, slog.Level) bool { return true }

func (stuck) Handle(context.Context, slog.Record) error { select {} }

// unthreaded is a router whose goroutine is the test's, and the leases that it asks for.
func unthreaded(log *slog.Logger) (*router, *[]time.Duration) {
	asked := &[]time.Duration{}
	lease := func(_ string, holds time.Duration) error { *asked = append(*asked, holds); return nil }
	want := Want{VRRPWant: model.VRRPWant{VirtualRouter: of(100)}}
	return &router{log: log, news: newNews(), lease: lease, want: want, machine: newMachine(want.VirtualRouter, left)}, asked
}

// What is read slowly, or not at all, is the business of who hands news out: an advert waits for neither.
func TestNoAdvertWaitsForTheLogOrForNews(t *testing.T) {
	r, _ := unthreaded(slog.New(stuck{}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 10000 {
			r.failed = r.complain("an advert was not sent", errors.New([]string{"busy", "not permitted"}[i%2]), r.failed)
			r.do(time.Now(), r.machine.clash(time.Now(), conflict{what: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String()}))
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for who reads the log")
	}
	if _, remarks := r.news.take(); len(remarks) != mostRemarks {
		t.Errorf("%d remarks wait", len(remarks))
	}
}

// A lease holds as long as others wait, who have waited since the advert left: what was lost meanwhile is not added.
func TestLeaseIsCountedFromBeforeTheAdvert(t *testing.T) {
	r, asked := unthreaded(slog.New(slog.DiscardHandler))
	r.machine.seen.State = model.VRRPMaster
	r.renew(time.Now().Add(-10 * time.Second)) // it was stopped for so long between its clock and its socket
	r.renew(time.Now().Add(-time.Second))
	if len(*asked) != 1 || (*asked)[0] > 2609375*time.Microsecond || (*asked)[0] < time.Second {
		t.Errorf("it asks for %s", *asked)
	}
}

// Neighbours hear of a master only.
func TestNobodyAnnouncesWhoIsNoMaster(t *testing.T) {
	r, asked := unthreaded(slog.New(slog.DiscardHandler))
	r.machine.seen.State = model.VRRPMaster
	r.machine.advertised(time.Now().Add(-time.Minute))
	r.do(time.Now(), r.machine.assert(time.Now())) // there is no socket, and none was for a minute
	changes, _ := r.news.take()
	if slices.ContainsFunc(changes, func(c Change) bool { return c.Announce }) || r.machine.seen.State != model.VRRPBackup {
		t.Errorf("%+v", changes)
	}
	if !slices.Equal(*asked, []time.Duration{0, 0}) {
		t.Errorf("it asks for leases of %s", *asked)
	}
}

// A director that knows a later version of the protocol than this one is told of, and changes nothing else.
func TestALaterVersionIsTold(t *testing.T) {
	of4 := heard{unhex(t, "4133c80100644402c0000264"), way{right, group4, hops}}
	for name, c := range map[string]struct {
		change   func(*Want, *heard)
		conflict string
	}{
		"version 4":           {func(*Want, *heard) {}, "192.0.2.2 advertises id 51 in version 4, here it is version 3"},
		"as here named peers": {func(w *Want, h *heard) { w.Peers, h.way.destination = []netip.Addr{right}, left }, "192.0.2.2 advertises id 51 in version 4, here it is version 3"},
		"from a stranger":     {func(w *Want, h *heard) { w.Peers, h.way.destination = []netip.Addr{vip}, left }, ""},
		"its own":             {func(_ *Want, h *heard) { h.way.source = left }, ""},
		"version 1":           {func(_ *Want, h *heard) { h.text[0] = 0x11 }, ""},
		"from another link":   {func(_ *Want, h *heard) { h.way.hops = 254 }, ""},
	} {
		r, _ := unthreaded(slog.New(slog.DiscardHandler))
		h := heard{slices.Clone(of4.text), of4.way}
		c.change(&r.want, &h)
		r.machine = newMachine(r.want.VirtualRouter, left)
		r.do(time.Now(), r.machine.start(time.Now(), ""))
		before := r.machine.due
		r.hear(time.Now(), h, via{ownLink, left})
		changes, _ := r.news.take()
		if last := changes[len(changes)-1].Seen; last.Conflict != c.conflict || c.conflict != "" && last.ConflictFix == "" || !r.machine.due.Equal(before) {
			t.Errorf("%s: %+v", name, last)
		}
		if counts := r.tally.read(); counts.Received != 0 || counts.Discarded[ReasonVersion]+counts.Discarded[ReasonTTL] != 1 {
			t.Errorf("%s: %+v", name, counts)
		}
	}
}

// Who rises and yields at once was master, and is counted; who has ended is handed out as over.
func TestEachTurnIsHandedOut(t *testing.T) {
	r, _ := unthreaded(slog.New(slog.DiscardHandler))
	now := time.Now()
	for range 2 {
		r.do(now, r.machine.enter(now, model.VRRPMaster, "nobody was heard"))
		r.do(now, r.machine.enter(now, model.VRRPBackup, "another one is late"))
	}
	r.follow(now, order{end: "weir stops"})
	var got []string
	changes, _ := r.news.take()
	for _, c := range changes {
		got = append(got, fmt.Sprint(c.Seen.State, " ", c.Priority, " ", c.Over))
	}
	want := []string{"master 100 false", "backup 100 false", "master 100 false", "backup 100 false", "init 100 true"}
	if counts := r.tally.read(); !slices.Equal(got, want) || counts.Mastered != 2 {
		t.Errorf("%q, master %d times", got, counts.Mastered)
	}
}
