// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/weir-lb/weir/internal/dataplane"
	"github.com/weir-lb/weir/internal/model"
)

// applyAndBind is what becomes of an Apply where the path runs.
func (b *testbed) applyAndBind(t *testing.T, want model.DataplaneWant) {
	t.Helper()
	b.apply(t, want)
	if err := b.path.BindWaiting(); err != nil {
		t.Fatal(err)
	}
}

// wantKnown compares all that is known.
func (b *testbed) wantKnown(t *testing.T, what string, want ...model.Record) {
	t.Helper()
	if diff := gocmp.Diff(want, records(t, b.path), compareAddrPort, roughly); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func refused(why model.Refusal, n int) model.Arrived {
	return model.Arrived{Refused: map[model.Refusal]int{why: n}}
}

// TestUnknownServerIsWaitedFor: what was told of it goes to it when it is there, and to no other; not what has ended
// meanwhile, or has no time left.
func TestUnknownServerIsWaitedFor(t *testing.T) {
	b := newTestbed(t, 64)
	whole := standby(small(model.NAT))
	others := changed(whole, func(s *model.ServiceWant) { s.Servers = s.Servers[1:] })
	b.apply(t, others)
	waits, ended, over := established(model.NAT, 20000, 1), established(model.NAT, 20001, 1), established(model.NAT, 20002, 1)
	over.Left = 0
	wantArrived(t, "of a server that is not here", arrive(t, b.path, waits, ended, over), model.Arrived{Refused: map[model.Refusal]int{model.RefusedServer: 3}})
	if _, err := b.path.End([]model.Identity{ended.Identity()}); err != nil {
		t.Fatal(err)
	}
	b.applyAndBind(t, others)
	if got := records(t, b.path); len(got) > 0 {
		t.Errorf("before it is there: %v", got)
	}
	b.applyAndBind(t, whole)
	if diff := gocmp.Diff([]model.Record{waits}, records(t, b.path), compareAddrPort, roughly); diff != "" {
		t.Errorf("when it is there (-want +got):\n%s", diff)
	}
	b.sound(t)

	// The same of a service, to a director that serves it by then: others are told.
	b = newTestbed(t, 64)
	b.apply(t, model.DataplaneWant{Interfaces: whole.Interfaces})
	late := established(model.NAT, 20003, 1)
	wantArrived(t, "of a service that is not here", arrive(t, b.path, late), model.Arrived{Refused: map[model.Refusal]int{model.RefusedService: 1}})
	b.applyAndBind(t, small(model.NAT))
	if news := changes(t, b.path); len(news) != 1 || news[0].Identity() != late.Identity() || news[0].Server != late.Server {
		t.Errorf("told on is %v", news)
	}
	b.sound(t)
}

// TestWhatBringsAPlaceIsWaitedFor though no server comes with it: a key, and that clients are known again.
func TestWhatBringsAPlaceIsWaitedFor(t *testing.T) {
	whole := standby(small(model.NAT))
	other := established(model.NAT, 20000, 1)
	other.Virtual = netip.AddrPortFrom(other.Virtual.Addr(), 81)
	template := established(model.NAT, 0, 1)
	template.State = model.Template
	for name, tt := range map[string]struct {
		told  model.Record
		why   model.Refusal
		bring func(*model.ServiceWant)
	}{
		"a key": {other, model.RefusedService, func(s *model.ServiceWant) {
			key := s.Key
			key.Port = 81
			s.Also = append(s.Also, key)
		}},
		"persistence": {template, model.RefusedTemplate, func(s *model.ServiceWant) { s.Persistence.Timeout = persists }},
	} {
		b := newTestbed(t, 64)
		b.apply(t, whole)
		wantArrived(t, name+" is not here", arrive(t, b.path, tt.told), refused(tt.why, 1))
		b.applyAndBind(t, whole)
		b.wantKnown(t, "before there is "+name)
		brought := changed(whole, func(s *model.ServiceWant) {
			if s.Key.Protocol == model.TCP {
				tt.bring(s)
			}
		})
		b.applyAndBind(t, brought)
		if got := records(t, b.path); len(got) != 1 || got[0].Identity() != tt.told.Identity() || got[0].Server.Addr() != tt.told.Server.Addr() {
			t.Errorf("with %s there is %v, want %v", name, got, tt.told)
		}
		b.sound(t)
	}
}

// TestTakeoverMovesNoPlace: what waits is looked for where something was brought that it may be of, and not else.
func TestTakeoverMovesNoPlace(t *testing.T) {
	b := newTestbed(t, 64)
	places := func() uint64 {
		n, err := b.path.Places()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	waits := standby(small(model.NAT))
	b.apply(t, waits)
	before := places()
	for name, want := range map[string]model.DataplaneWant{
		"a takeover": small(model.NAT),
		"a weight":   changed(waits, func(s *model.ServiceWant) { s.Servers[0].Weight = 7 }),
		"a timeout":  changed(waits, func(s *model.ServiceWant) { s.Timeouts.Established = time.Hour }),
	} {
		b.apply(t, want)
		if places() != before {
			t.Errorf("%s moves places", name)
		}
	}
	for _, change := range []func(*model.ServiceWant){
		func(s *model.ServiceWant) { s.Servers[0].Forwarding = model.DR },
		func(s *model.ServiceWant) { s.Servers = append(s.Servers, toServer(4, 3, 80, model.NAT)) },
		func(s *model.ServiceWant) { s.Key.Port = 81 },
	} {
		b.apply(t, waits)
		before := places()
		b.apply(t, changed(waits, change))
		if places() == before {
			t.Error("a place is not seen")
		}
	}
}

// TestApplyWaitsForNoSync: a takeover does not wait until somebody has walked through the table. What has waited for its
// server comes in beside it.
func TestApplyWaitsForNoSync(t *testing.T) {
	const soon = 20 * time.Second // on a machine that has other things to do
	b := newTestbed(t, 64)
	whole := standby(small(model.NAT))
	b.apply(t, changed(whole, func(s *model.ServiceWant) { s.Servers = s.Servers[1:] }))
	told := established(model.NAT, 20000, 1)
	wantArrived(t, "of a server that is not here", arrive(t, b.path, told), refused(model.RefusedServer, 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.path.Run(ctx, dataplane.Hears{}) }()

	release := b.path.HoldSync()
	late := time.AfterFunc(soon, func() { t.Error("Apply waits"); release() })
	b.apply(t, whole)
	if late.Stop() {
		release()
	}
	for began := time.Now(); len(records(t, b.path)) == 0 && time.Since(began) < soon; time.Sleep(time.Millisecond) {
	}
	b.wantKnown(t, "when its server is there", told)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWhatFailsToComeInWaitsOn, and comes in after the next Apply.
func TestWhatFailsToComeInWaitsOn(t *testing.T) {
	b := newTestbed(t, 64)
	whole := standby(small(model.NAT))
	b.apply(t, changed(whole, func(s *model.ServiceWant) { s.Servers = s.Servers[1:] }))
	told := established(model.NAT, 20000, 1)
	wantArrived(t, "of a server that is not here", arrive(t, b.path, told), refused(model.RefusedServer, 1))
	b.apply(t, whole)
	mend, err := b.path.BreakArrivals()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.path.BindWaiting(); err == nil {
		t.Error("nothing has failed")
	}
	mend()
	b.applyAndBind(t, whole)
	b.wantKnown(t, "when nothing fails any more", told)
}

// TestWhatHasNoRoomWaitsOn, and comes in when there is some.
func TestWhatHasNoRoomWaitsOn(t *testing.T) {
	const waiting = 20
	b := newTestbed(t, 64)
	whole := standby(small(model.NAT))
	b.apply(t, changed(whole, func(s *model.ServiceWant) { s.Servers = s.Servers[1:] }))
	var wait, fill []model.Record
	for i := range uint16(waiting) {
		wait = append(wait, established(model.NAT, 20000+i, 1))
	}
	for i := range uint16(400) {
		fill = append(fill, established(model.NAT, 30000+i, 2))
	}
	wantArrived(t, "of a server that is not here", arrive(t, b.path, wait...), refused(model.RefusedServer, waiting))
	if got := arrive(t, b.path, fill...); got.Refused[model.RefusedFull] == 0 {
		t.Fatalf("there is room: %+v", got)
	}
	full := len(records(t, b.path))
	b.applyAndBind(t, whole)
	if came := len(records(t, b.path)) - full; came == waiting {
		t.Fatal("there was room for all")
	}
	var gone []model.Identity
	for _, r := range fill {
		gone = append(gone, r.Identity())
	}
	if _, err := b.path.End(gone); err != nil {
		t.Fatal(err)
	}
	b.applyAndBind(t, whole)
	b.wantKnown(t, "when there is room", wait...)
	b.sound(t)
}
