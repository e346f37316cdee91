// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// Sync tells peers of connections, and takes in what they tell.
//
//	Follow ──────► Run ──► a peer each, with a socket ──► Table.Insert, Table.End
//	Serve ───────────────► │    ▲                   └───► out: what has turned
//	Ended ───────────────► ▼    │
//	Table.Changes ◄── collector ┘
type Sync struct {
	log    *slog.Logger
	table  Table
	follow chan Want // a mailbox: the newest
	kicks  chan chan<- struct{}
	news   *news
	failed string // for what it is not known what has changed; of the collector

	mu    sync.Mutex
	role  Role
	peers map[netip.AddrPort]*peer
}

// Want is with whom connections are shared, and how.
type Want struct {
	Local     netip.AddrPort // that peers know this director by; its address may be 0
	Interface string         // that datagrams may take; "": any
	Peers     []netip.AddrPort
	Keys      Keys
	Services  uint64 // a sum over services and servers, equal where these are
}

// Collected is how often it is asked what has changed: so long a connection may be known here alone. Where that takes
// long, it is asked less often, so that it does not take more than a quarter of a CPU.
const (
	collectEvery = 50 * time.Millisecond
	collectShare = 4
	mostCollects = 1 << 13
)

// New makes one that follows nobody yet.
func New(table Table, log *slog.Logger) *Sync {
	return &Sync{log: log, table: table, follow: make(chan Want, 1), kicks: make(chan chan<- struct{}), news: newNews(),
		role: RoleNone, peers: map[netip.AddrPort]*peer{}}
}

// Follow says with whom connections are shared from now on. The newest wins.
func (s *Sync) Follow(want Want) {
	want.Peers = slices.Clone(want.Peers)
	for {
		select {
		case s.follow <- want:
			return
		case <-s.follow: // nobody wants the older one any more
		}
	}
}

// Serve says what this director serves from now on: of what the table says that it does, this is how much. It waits for
// nobody.
func (s *Sync) Serve(role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role = role
	for _, p := range s.peers {
		p.box.put(func(m *mail) { m.role = role })
	}
}

// Ended says that connections have ended, so that peers need not find that out. It waits for nobody.
func (s *Sync) Ended(ids []model.Identity) {
	items := make([]item, 0, len(ids))
	for _, id := range ids {
		items = append(items, endedItem(id))
	}
	for _, p := range s.all() {
		p.tell(items)
	}
}

func (s *Sync) all() (out []*peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *peer) int { return a.at.Compare(b.at) })
	return out
}

// States are those of all peers, by address.
func (s *Sync) States() (out []State) {
	for _, p := range s.all() {
		out = append(out, p.state())
	}
	return out
}

// Run shares connections until ctx is done. It hands out the state of a peer each time that it has turned.
func (s *Sync) Run(ctx context.Context, out func(State)) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() { s.collect(ctx) })
	for {
		select {
		case <-ctx.Done():
			s.become(ctx, Want{}, &running)
			return nil
		case want := <-s.follow:
			s.become(ctx, want, &running)
		case <-s.news.come:
			for _, state := range s.news.take() {
				out(state)
			}
		}
	}
}

// become ends peers that are not wanted any more, or otherwise, and starts those that are.
func (s *Sync) become(ctx context.Context, want Want, running *sync.WaitGroup) {
	s.endOthers(want)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range want.Peers {
		if known := s.peers[at]; known != nil {
			known.box.put(func(m *mail) { m.want = &want })
			continue
		}
		p := newPeer(at, want, s.role, s.table, s.news, s.log)
		own, stop := context.WithCancel(ctx)
		p.stop = stop
		s.peers[at] = p
		running.Go(func() { p.run(own) })
	}
}

// endOthers ends those that cannot become what is wanted, and waits for that: their sockets are in the way.
func (s *Sync) endOthers(want Want) {
	for _, p := range s.all() {
		if slices.Contains(want.Peers, p.at) && p.made.same(want) {
			continue
		}
		p.stop()
		<-p.done
		s.mu.Lock()
		delete(s.peers, p.at)
		s.mu.Unlock()
	}
}

// collect asks the table what has changed, while there is anybody to be told.
func (s *Sync) collect(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var waits chan<- struct{}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case waits = <-s.kicks:
		}
		began := time.Now()
		for s.collectSome(ctx) {
		}
		if waits != nil {
			close(waits)
		}
		timer.Reset(max(collectEvery, (collectShare-1)*time.Since(began)))
	}
}

// collectSome tells peers of as much as all of them have room for, and says whether there may be more.
func (s *Sync) collectSome(ctx context.Context) bool {
	most := s.takes()
	if most == 0 {
		return false
	}
	var items []item
	full := false
	err := s.table.Changes(ctx, false, func(r model.Record) bool {
		if full = len(items) == most; !full {
			items = append(items, item{record: r})
		}
		return !full
	})
	if ctx.Err() == nil {
		s.complain(err)
	}
	for _, p := range s.all() {
		p.tell(items)
	}
	return err == nil && full
}

// takes is how many changes are wanted; 0: none, as nothing is served here, or nobody listens, or has room.
func (s *Sync) takes() int {
	s.mu.Lock()
	serves := s.role.serves()
	s.mu.Unlock()
	most, any := mostCollects, false
	for _, p := range s.all() {
		if room, open := p.box.takes(); open {
			most, any = min(most, room), true
		}
	}
	if !serves || !any {
		return 0
	}
	return most
}

// complain logs an error once, until it is another one.
func (s *Sync) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.failed {
		s.log.Warn("what has changed in the connection table is not known", "error", text)
	}
	s.failed = text
}

// Flush tells peers all that has changed until now, and waits until those that listen have it.
func (s *Sync) Flush(ctx context.Context) error {
	collected := make(chan struct{})
	select {
	case s.kicks <- collected:
	case <-ctx.Done():
		return fmt.Errorf("what has changed is not known yet: %w", ctx.Err())
	}
	select {
	case <-collected:
	case <-ctx.Done():
		return fmt.Errorf("what has changed is not known yet: %w", ctx.Err())
	}
	for _, p := range s.all() {
		has := make(chan struct{})
		p.box.put(func(m *mail) { m.flushes = append(m.flushes, has) })
		select {
		case <-has:
		case <-p.done:
		case <-ctx.Done():
			return fmt.Errorf("peer %s has not got all that has changed: %w", p.at, ctx.Err())
		}
	}
	return nil
}
