// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

// Sync tells peers of connections, and takes in what they tell.
//
//	Follow ──────► Run ──► a peer each, with a socket ──► Table.Insert, Table.End
//	Serve ───────────────► │    ▲                   └───► out: what has turned
//	Ended ───────────────► ▼    │
//	Table.Changes ◄── collector ┘
type Sync struct {
	log     *slog.Logger
	table   Table
	follow  newest.Box[Want]
	flushes chan flush
	heard   newest.Box[struct{}] // there may be somebody to be told, who was not there before
	news    *news
	failed  string // for what it is not known what has changed; of the collector
	found   int    // changes in this round; of the collector

	mu    sync.Mutex
	role  Role
	peers map[netip.AddrPort]*peer
	also  func([]model.Record) // is told what peers are; nil: nobody is
}

// Want is with whom connections are shared, and how.
type Want struct {
	Local     netip.AddrPort // that peers know this director by; its address may be 0
	Interface string         // that datagrams may take; "": any
	Peers     []netip.AddrPort
	Keys      Keys
	Services  uint64 // a sum over services and servers, equal where these are
}

// collectEvery is how often it is asked what has changed: so long a connection may be known here alone. Where that takes
// long, it is asked less often, so that it does not take more than a quarter of a CPU, or half of one where much is found:
// what begins is to be told at once. What counts is the CPU's time: on a
// machine that has much else to do the clock's would make it even later.
const (
	collectEvery = 50 * time.Millisecond
	collectShare = 4
	muchFound    = 1000 // in a round
	muchShare    = 2
	mostCollects = 1 << 13
	roomEvery    = 2 * time.Millisecond
)

// New makes one that follows nobody yet.
func New(table Table, log *slog.Logger) *Sync {
	return &Sync{log: log, table: table, follow: newest.NewBox[Want](), flushes: make(chan flush), heard: newest.NewBox[struct{}](), news: newNews(),
		role: RoleNone, peers: map[netip.AddrPort]*peer{}}
}

// Follow says with whom connections are shared from now on. The newest wins.
func (s *Sync) Follow(want Want) {
	want.Peers = slices.Clone(want.Peers)
	s.follow.Put(want)
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

// Also has somebody else told of what is served here and has changed, since a change is news but once; nil: nobody. He
// must not wait.
func (s *Sync) Also(hear func([]model.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.also = hear
	s.heard.Put(struct{}{}) // collect sleeps where there was nobody
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
	s.heard.Put(struct{}{}) // collect sleeps where there was nobody
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
		s.news.add(State{Peer: p.at}) // as one that was never heard: what was true of it is not any more
	}
}

// flush is somebody who waits until peers are told all that has changed.
type flush struct {
	ctx    context.Context // until when
	within time.Duration   // how long of that may pass while peers have no room
	told   chan error      // what became of it; it has room
}

var errNoRoom = errors.New("peers have no room for all that has changed")

// collect asks the table what has changed, while there is anybody to be told.
func (s *Sync) collect(ctx context.Context) {
	runtime.LockOSThread() // whose time is measured
	defer runtime.UnlockOSThread()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var waits *flush
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.heard:
		case f := <-s.flushes:
			waits = &f
		}
		began, share := threadTime(), time.Duration(collectShare)
		s.found = 0
		s.collectAll(ctx, waits)
		if s.found >= muchFound {
			share = muchShare
		}
		if !s.isHeard() { // a daemon that shares with nobody need not wake up for it
			continue
		}
		timer.Reset(max(collectEvery, (share-1)*(threadTime()-began)))
	}
}

// isHeard says whether there is anybody to be told of what changes.
func (s *Sync) isHeard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.also != nil || len(s.peers) > 0
}

// threadTime is what the calling thread has used of a CPU.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // Linux always has it
	return time.Duration(t.Nano())
}

// collectAll tells of all that there is room for, and waits for more room if somebody waits for the rest.
func (s *Sync) collectAll(ctx context.Context, waits *flush) {
	waited := time.Duration(0)
	for ctx.Err() == nil {
		switch rest, err := s.collectSome(ctx); {
		case waits == nil && rest == someLeft:
		case waits == nil:
			return
		case rest == noneLeft:
			waits.told <- unknown(err)
			return
		case waits.ctx.Err() != nil:
			return
		case rest == someLeft:
		case waited >= waits.within:
			waits.told <- errNoRoom
			return
		default:
			began := time.Now()
			time.Sleep(roomEvery)
			waited += time.Since(began)
		}
	}
}

func unknown(err error) error {
	if err != nil {
		return fmt.Errorf("what has changed is not known: %w", err)
	}
	return nil
}

// left is what of the changes was not told.
type left uint8

const (
	noneLeft left = iota
	someLeft
	noRoom // for any of them
)

// collectSome tells peers of as much as all of them have room for.
func (s *Sync) collectSome(ctx context.Context) (left, error) {
	most, wanted := s.takes()
	switch {
	case !wanted:
		return noneLeft, nil
	case most == 0:
		return noRoom, nil
	}
	var items []item
	var records []model.Record
	full := false
	err := s.table.Changes(ctx, func(r model.Record) bool {
		if full = len(items) == most; !full {
			items, records = append(items, item{record: r}), append(records, r)
		}
		return !full
	})
	if ctx.Err() == nil {
		s.complain(err)
	}
	for _, p := range s.all() {
		p.tell(items)
	}
	s.tellAlso(records)
	s.found += len(records)
	switch {
	case err != nil || ctx.Err() != nil:
		return noneLeft, err
	case full:
		return someLeft, nil
	}
	for _, p := range s.all() {
		p.box.put(func(m *mail) { m.all = true })
	}
	return noneLeft, nil
}

func (s *Sync) tellAlso(records []model.Record) {
	s.mu.Lock()
	also := s.also
	s.mu.Unlock()
	if also != nil && len(records) > 0 {
		also(records)
	}
}

// takes is how many changes there is room for; false: none are wanted, since nothing is served here, or nobody listens.
func (s *Sync) takes() (most int, wanted bool) {
	s.mu.Lock()
	serves := s.role.serves()
	wanted = s.also != nil
	s.mu.Unlock()
	most = mostCollects
	for _, p := range s.all() {
		if room, open := p.box.takes(); open {
			most, wanted = min(most, room), true
		}
	}
	return most, wanted && serves
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

// Flush tells peers all that has changed until now, and waits until those that listen have it. It waits so long at most
// for them to have room, and then to say that they have all. Walks over the table are not counted: they take the longer
// the larger it is, and end by themselves. ctx bounds all of it.
func (s *Sync) Flush(ctx context.Context, within time.Duration) error {
	f := flush{ctx: ctx, within: within, told: make(chan error, 1)}
	select {
	case s.flushes <- f:
	case <-ctx.Done():
		return fmt.Errorf("nobody asks what has changed: %w", ctx.Err())
	}
	select {
	case err := <-f.told:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("it is not known yet what has changed: %w", ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return flushAll(ctx, s.all())
}

// flushAll asks all of them before it waits for any: one that has just died is waited for until ctx is done.
func flushAll(ctx context.Context, peers []*peer) error {
	has := make([]chan struct{}, len(peers))
	for i, p := range peers {
		has[i] = make(chan struct{})
		p.box.put(func(m *mail) { m.flushes = append(m.flushes, has[i]) })
	}
	var late []error
	for i, p := range peers {
		if !isClosed(ctx, has[i], p.done) {
			late = append(late, fmt.Errorf("peer %s has not got all that has changed: %w", p.at, ctx.Err()))
		}
	}
	return errors.Join(late...)
}

// isClosed waits for one of two channels until ctx is done, and says whether one is closed: it may be when ctx is done, too.
func isClosed(ctx context.Context, a, b <-chan struct{}) bool {
	select {
	case <-a:
		return true
	case <-b:
		return true
	case <-ctx.Done():
	}
	select {
	case <-a:
		return true
	case <-b:
		return true
	default:
		return false
	}
}
