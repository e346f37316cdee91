// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// diary is a table that writes down what is done with it, and what was sent before.
type diary struct {
	Table
	peer  *peer
	lines []string
}

func (d *diary) write(what string, n int) {
	d.lines = append(d.lines, fmt.Sprintf("%s %d, %d sent", what, n, d.peer.link.tally.unsent.Load())) // it has no socket
}

func (d *diary) Insert(records []model.Record) (model.Arrived, error) {
	d.write("insert", len(records))
	return model.Arrived{New: len(records)}, nil
}

func (d *diary) End(ids []model.Identity) (model.Arrived, error) {
	d.write("end", len(ids))
	return model.Arrived{Ended: len(ids)}, nil
}

// TestNothingIsSaidToBeThereBeforeItIs: a datagram behind records may acknowledge them.
func TestNothingIsSaidToBeThereBeforeItIs(t *testing.T) {
	table := &diary{}
	p := newPeer(ap("192.0.2.2:8849"), Want{Keys: mustKeys(t, testKey)}, RoleNone, table, newNews(), slog.New(slog.DiscardHandler))
	table.peer = p
	some := func(n int) deed { return deed{kind: insertAll, records: make([]model.Record, n)} }
	p.do(context.Background(), []deed{{kind: send}, some(1), {kind: send}, some(2), {kind: send}, {kind: endAll, ids: make([]model.Identity, 4)}, {kind: send}, some(8)})
	want := []string{"insert 3, 0 sent", "end 4, 3 sent", "insert 8, 3 sent"}
	if !slices.Equal(table.lines, want) {
		t.Errorf("got %q, want %q", table.lines, want)
	}
	if c := p.link.tally.read(); c.Unsent != 4 {
		t.Errorf("%+v", c)
	}
}

// TestNoRoomIsNotWaitedForLong by who leaves its services: a peer that has died takes nothing.
func TestNoRoomIsNotWaitedForLong(t *testing.T) {
	s := New(&diary{}, slog.New(slog.DiscardHandler))
	p := newPeer(ap("192.0.2.2:8849"), Want{Keys: mustKeys(t, testKey)}, RoleNone, s.table, s.news, s.log)
	p.box.publish(true, 0)
	s.peers[p.at], s.role = p, RoleAll
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go s.collect(ctx)
	if err := s.Flush(ctx, 20*time.Millisecond); !errors.Is(err, errNoRoom) {
		t.Errorf("it waits until %v", err)
	}
}

// TestADeadPeerKeepsNoneFromBeingAsked: whoever lives is asked at once, and is not late because another one is.
func TestADeadPeerKeepsNoneFromBeingAsked(t *testing.T) {
	s := New(&diary{}, slog.New(slog.DiscardHandler))
	peers := map[string]*peer{}
	for _, at := range []string{"192.0.2.2:8849", "192.0.2.3:8849", "192.0.2.4:8849", "192.0.2.5:8849"} {
		p := newPeer(ap(at), Want{Keys: mustKeys(t, testKey)}, RoleNone, s.table, s.news, s.log)
		s.peers[p.at], peers[at] = p, p
	}
	for _, at := range []string{"192.0.2.3:8849", "192.0.2.5:8849"} { // behind a dead one each
		go func() {
			for range peers[at].box.come {
				for _, has := range peers[at].box.take().flushes {
					close(has)
				}
			}
		}()
		defer close(peers[at].box.come)
	}
	go s.collect(t.Context())
	err := s.Flush(t.Context(), 200*time.Millisecond)
	const want = "peer 192.0.2.2:8849 has not got all that has changed: context deadline exceeded\n" +
		"peer 192.0.2.4:8849 has not got all that has changed: context deadline exceeded"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestASocketEndsWithItsPeer, not only when he has written all: a write may wait for room.
func TestASocketEndsWithItsPeer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := dial(ctx, "", ap("127.0.0.1:0"), ap("127.0.0.1:9"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	cancel()
	for end := time.Now().Add(10 * time.Second); !errors.Is(err, net.ErrClosed); _, err = c.socket.Write([]byte{0}) {
		if time.Now().After(end) {
			t.Fatal("it is still written to")
		}
	}
}

// TestWhatIsMissingIsSentAgainOnce for however many times that it is asked for while the stream's pace holds it back; and
// what the peer has got meanwhile takes nothing of that pace.
func TestWhatIsMissingIsSentAgainOnce(t *testing.T) {
	w, master, backup := pair(t, 41)
	w.until(time.Second, "they talk", func() bool { return master.hookTo(backup).sender.open })
	s := master.hookTo(backup).sender
	first := s.latest + 1
	for range 5 {
		s.keep(w.now, message{kindChanges, nil})
	}
	now := w.now
	s.pace.have = 0
	for range 10 {
		now = now.Add(resendAfter)
		s.hear(now, ask{holes: []hole{{first, 5}}})
	}
	if len(s.again) != 5 {
		t.Errorf("%d wait to be sent again", len(s.again))
	}
	s.acknowledge(first + 2)
	s.pace.have = 2
	if out := s.repeat(now); len(out) != 2 || len(s.again) != 0 {
		t.Errorf("%d are sent again, %d wait", len(out), len(s.again))
	}
	if s.hear(now.Add(resendAfter-1), ask{holes: []hole{{first, 5}}}); len(s.again) != 0 {
		t.Errorf("%d are sent again at once", len(s.again))
	}
	if s.hear(now.Add(resendAfter), ask{holes: []hole{{first, 5}}}); len(s.again) != 2 {
		t.Errorf("%d of 2 are sent again when they are lost again", len(s.again))
	}
}

// TestWalkTellsNothingOlder: what the walk has read may be older than what was told while it was under way.
func TestWalkTellsNothingOlder(t *testing.T) {
	w, master, backup := pair(t, 40)
	w.until(time.Second, "they talk", func() bool { return master.hookTo(backup).sender.open })
	h := master.hookTo(backup)
	old := []model.Record{w.connection(1, "ESTABLISHED"), w.connection(2, "ESTABLISHED"), w.connection(3, "ESTABLISHED")}
	h.sender.hear(w.now, ask{request: 77, slices: allSlices})
	h.tick(w.now)
	h.change(w.now, item{record: w.connection(1, "FIN_WAIT")})
	h.change(w.now, endedItem(old[1].Identity()))
	h.sender.flush(w.now, 0) // they are sent
	h.walked(w.now, old)
	if got := h.sender.queue.pack(); len(got) != 1 || got[0].record != old[2] {
		t.Errorf("the walk tells %+v", got)
	}
	if h.sender.walk.failed {
		t.Error("it has failed")
	}
	for n := range uint64(mostTold) {
		h.sender.walk.told[n] = struct{}{}
	}
	h.change(w.now, item{record: w.connection(4, "FIN_WAIT")})
	if !h.sender.walk.failed {
		t.Error("more has changed than is remembered, and yet the walk is believed")
	}
}

// TestWhatAPeerServesIsToldAtOnce: a takeover may wait for it. Other news are told ten times a second at most.
func TestWhatAPeerServesIsToldAtOnce(t *testing.T) {
	p := newPeer(ap("192.0.2.2:8849"), Want{Keys: mustKeys(t, testKey)}, RoleNone, &diary{}, newNews(), slog.New(slog.DiscardHandler))
	now := p.told.Add(time.Hour)
	for _, step := range []struct {
		after      time.Duration
		role       Role
		newest     uint8
		said       Role
		saidNewest uint8
	}{
		{0, RoleAll, 1, RoleAll, 1},
		{time.Millisecond, RoleAll, 2, RoleAll, 1},
		{2 * time.Millisecond, RoleNone, 2, RoleNone, 2},
		{3 * time.Millisecond, RoleSome, 2, RoleSome, 2},
		{4 * time.Millisecond, RoleSome, 3, RoleSome, 2},
		{3*time.Millisecond + tellEvery, RoleSome, 3, RoleSome, 3},
	} {
		p.link.greeting.role, p.link.greeting.newest = step.role, step.newest
		p.say(now.Add(step.after))
		if s := p.state(); s.Role != step.said || s.Newest != step.saidNewest {
			t.Errorf("after %s it says %s and %d", step.after, s.Role, s.Newest)
		}
	}
}
