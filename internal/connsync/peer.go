// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
)

// peer runs a link: it owns its socket, and does what the link wants done. What takes long, a walk over the table, goes
// on beside it, and hands over what it finds.
type peer struct {
	log   *slog.Logger
	table Table
	news  *news
	at    netip.AddrPort
	box   *mailbox
	done  chan struct{} // closed when it has ended
	stop  context.CancelFunc
	made  Want // as it was started; never changed

	mu   sync.Mutex
	said State // the latest

	// Of its own goroutine.
	want    Want
	link    *link
	conn    *conn // nil: there is none
	dialed  time.Time
	problem string
	walk    *errand[model.Record]
	list    *errand[model.Identity]
	sums    chan sums // of digests that are being made
	flushes []chan<- struct{}
	told    time.Time // when its state was said
	failed  map[string]string
	refused map[model.Refusal]uint64
}

// errand is a walk over the table. It waits for its pieces to be taken.
type errand[T any] struct {
	pieces chan []T   // closed at its end
	err    chan error // what became of it, then
	cancel context.CancelFunc
}

// sums are digests, or why there are none.
type sums struct {
	all Digests
	err error
}

const (
	redialEvery = time.Second
	silentDial  = 5 * time.Second // a peer that is not heard for so long is tried from a new socket
	tellEvery   = 100 * time.Millisecond
	mostAtOnce  = 64 // datagrams that are taken in before the table is written
	pieceOf     = 256
)

func newPeer(at netip.AddrPort, want Want, role Role, table Table, n *news, log *slog.Logger) *peer {
	p := &peer{log: log.With("peer", at), table: table, news: n, at: at, box: newMailbox(), done: make(chan struct{}), made: want, want: want,
		said: State{Peer: at}, failed: map[string]string{}, refused: map[model.Refusal]uint64{}}
	with := settings{keys: want.Keys, random: randomNumber, sole: len(want.Peers) == 1, services: want.Services}
	_, _ = rand.Read(with.own[:]) // it never fails
	p.link = newLink(time.Now(), with)
	p.box.put(func(m *mail) { m.role = role })
	return p
}

func randomNumber() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.BigEndian.Uint64(b[:])
}

// run runs it until ctx is done.
func (p *peer) run(ctx context.Context) {
	defer close(p.done)
	defer p.hangUp()
	defer p.endErrands()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		p.redial(ctx, time.Now())
		p.say(time.Now())
		timer.Reset(time.Until(p.deadline()))
		p.turn(ctx, timer.C)
	}
	for _, each := range p.flushes {
		close(each)
	}
}

func (p *peer) deadline() time.Time {
	at := earliest(p.link.deadline(), p.told.Add(tellEvery*5))
	if p.conn == nil {
		return earliest(at, p.dialed.Add(redialEvery))
	}
	return at
}

// turn waits for something, and does what follows from it.
func (p *peer) turn(ctx context.Context, due <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-due:
		p.do(ctx, p.link.tick(time.Now()))
	case <-p.box.come:
		p.read(ctx, p.box.take())
	case datagram := <-p.come():
		p.hear(ctx, datagram)
	case records, ok := <-p.walked():
		p.hearWalk(ctx, records, ok)
	case ids, ok := <-p.listed():
		p.hearList(ctx, ids, ok)
	case s := <-p.sums:
		p.sums = nil
		p.read(ctx, p.box.take()) // what was told before they were made
		p.complain("digests", s.err)
		p.do(ctx, p.link.digested(time.Now(), s.all, s.err != nil))
	}
}

func (p *peer) come() <-chan []byte {
	if p.conn == nil {
		return nil
	}
	return p.conn.come
}

// walked are pieces of the walk, while there is room for one.
func (p *peer) walked() <-chan []model.Record {
	if p.walk == nil || p.link.sender.walkRoom(time.Now()) == 0 {
		return nil
	}
	return p.walk.pieces
}

func (p *peer) listed() <-chan []model.Identity {
	if p.list == nil {
		return nil
	}
	return p.list.pieces
}

// read takes mail in.
func (p *peer) read(ctx context.Context, m mail) {
	now := time.Now()
	if m.want != nil {
		p.become(*m.want)
		p.do(ctx, p.link.reconsider(now))
	}
	for _, i := range m.items {
		p.link.change(now, i)
	}
	if m.torn {
		p.link.sender.lose()
		p.link.tally.dropped.Add(1)
	}
	if m.all {
		p.link.sender.collected()
	}
	if m.role != 0 {
		p.do(ctx, p.link.serve(now, m.role))
	}
	if len(m.flushes) > 0 {
		p.flushes = append(p.flushes, m.flushes...)
		p.link.sender.hurry()
	}
	p.do(ctx, p.link.tick(now))
}

func (p *peer) become(want Want) {
	p.link.with.keys, p.link.with.services = want.Keys, want.Services
	p.want = want
}

// hear takes in what has come, and writes it into the table at once.
func (p *peer) hear(ctx context.Context, datagram []byte) {
	now := time.Now()
	deeds, _ := p.link.hear(now, datagram)
	for range mostAtOnce {
		select {
		case datagram = <-p.come():
			more, _ := p.link.hear(now, datagram)
			deeds = append(deeds, more...)
			continue
		default:
		}
		break
	}
	p.do(ctx, deeds)
}

func (p *peer) hearWalk(ctx context.Context, records []model.Record, ok bool) {
	if ok {
		p.do(ctx, p.link.walked(time.Now(), records))
		return
	}
	err := <-p.walk.err
	p.walk = nil
	p.complain("walk", err)
	p.do(ctx, p.link.walkEnds(time.Now(), err != nil))
}

func (p *peer) hearList(ctx context.Context, ids []model.Identity, ok bool) {
	if ok {
		p.do(ctx, p.link.listed(time.Now(), ids))
		return
	}
	err := <-p.list.err
	p.list = nil
	p.complain("walk", err)
	p.do(ctx, p.link.listEnds(time.Now(), err != nil))
}

// do does what the link wants done. Records that follow one another are written together. What is sent may say that they
// are there, so it waits for that.
func (p *peer) do(ctx context.Context, deeds []deed) {
	for len(deeds) > 0 {
		n := p.insertFirst(deeds)
		if n == 0 {
			p.doOne(ctx, deeds[0])
			n = 1
		}
		deeds = deeds[n:]
	}
	if p.link.sender.isDone() {
		for _, each := range p.flushes {
			close(each)
		}
		p.flushes = nil
	}
	p.box.publish(p.link.sender.open, p.link.sender.room())
}

// insertFirst writes the records of the first deeds, with what is to be sent between, and says how many deeds that were.
func (p *peer) insertFirst(deeds []deed) (n int) {
	var records []model.Record
	for ; n < len(deeds) && (deeds[n].kind == insertAll || deeds[n].kind == send); n++ {
		records = append(records, deeds[n].records...)
	}
	if len(records) > 0 {
		p.insert(records)
	}
	for _, d := range deeds[:n] {
		if d.kind == send {
			p.send(d.datagram)
		}
	}
	return n
}

func (p *peer) doOne(ctx context.Context, d deed) {
	switch d.kind {
	case endAll:
		p.end(d.ids)
	case digest:
		p.sums = make(chan sums, 1)
		go func(to chan<- sums) {
			all, err := p.table.Digests()
			to <- sums{all, err}
		}(p.sums)
	case walkAll:
		p.walk.end()
		p.walk = begin(ctx, p.table, d.slices, func(r model.Record) (model.Record, bool) { return r, true })
	case listAll:
		p.list.end()
		p.list = begin(ctx, p.table, d.slices, func(r model.Record) (model.Identity, bool) { return r.Identity(), r.IsLasting() })
	}
}

func (p *peer) send(datagram []byte) {
	if p.conn == nil {
		p.link.tally.unsent.Add(1)
		return
	}
	_, err := p.conn.socket.Write(datagram)
	if err != nil {
		p.link.tally.unsent.Add(1)
		return
	}
	p.link.tally.sent.Add(1)
}

func (p *peer) insert(records []model.Record) {
	arrived, err := p.table.Insert(records)
	p.count(arrived)
	p.doubt("insert", err)
}

func (p *peer) end(ids []model.Identity) {
	arrived, err := p.table.End(ids)
	p.count(arrived)
	p.doubt("end", err)
}

func (p *peer) count(a model.Arrived) {
	for why, n := range a.Refused {
		p.refused[why] += uint64(n)
	}
}

// doubt is that the table may have something else than what was told.
func (p *peer) doubt(what string, err error) {
	p.complain(what, err)
	if err != nil {
		p.link.receiver.doubt()
		p.link.receiver.asked = time.Now().Add(redialEvery) // it may fail again
	}
}

// complain logs an error once, until it is another one.
func (p *peer) complain(what string, err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
	}
	if text != "" && text != p.failed[what] {
		p.log.Warn("the connection table fails to tell or take connections", "what", what, "error", text)
	}
	p.failed[what] = text
}

// begin walks over the table, and hands over what it makes of what lies in some slices; false: nothing.
func begin[T any](ctx context.Context, table Table, of sliceSet, as func(model.Record) (T, bool)) *errand[T] {
	ctx, cancel := context.WithCancel(ctx)
	e := &errand[T]{pieces: make(chan []T), err: make(chan error, 1), cancel: cancel}
	go func() {
		defer close(e.pieces)
		e.err <- e.run(ctx, table, of, as)
	}()
	return e
}

func (e *errand[T]) run(ctx context.Context, table Table, of sliceSet, as func(model.Record) (T, bool)) error {
	var piece []T
	hand := func() bool {
		select {
		case e.pieces <- piece:
			piece = nil
			return true
		case <-ctx.Done():
			return false
		}
	}
	err := table.Slices(ctx, of.array(), func(r model.Record) bool {
		if each, ok := as(r); ok {
			piece = append(piece, each)
		}
		return len(piece) < pieceOf || hand()
	})
	if err == nil && len(piece) > 0 {
		hand()
	}
	return errors.Join(err, ctx.Err())
}

// end ends it, if there is one: nobody wants the rest.
func (e *errand[T]) end() {
	if e == nil {
		return
	}
	e.cancel()
	for range e.pieces {
	}
}

func (p *peer) endErrands() {
	p.walk.end()
	p.list.end()
	if p.sums != nil {
		<-p.sums
	}
}

// redial opens a socket where there is none, or where the one that there is may be of no use: addresses and routes of
// this host come and go.
func (p *peer) redial(ctx context.Context, now time.Time) {
	every := silentDial
	if p.conn == nil {
		every = redialEvery
	}
	if now.Sub(p.dialed) < every || p.conn != nil && p.link.isHeard(now) {
		return
	}
	p.hangUp()
	p.dialed = now
	c, err := dial(ctx, p.want.Interface, p.want.Local, p.at)
	if p.problem = ""; err != nil {
		p.problem = err.Error()
		return
	}
	p.conn = c
}

func (p *peer) hangUp() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
}

// say keeps the state for whoever asks, and tells it if it has turned: at once, if the peer serves something else now, which
// a takeover may wait for.
func (p *peer) say(now time.Time) {
	if now.Sub(p.told) < tellEvery && p.link.greeting.role == p.said.Role {
		return
	}
	p.told = now
	s := p.link.state(now)
	s.Peer, s.Problem = p.at, p.problem
	s.Counts.Rejected = maps.Clone(p.refused)
	p.mu.Lock()
	was := p.said
	p.said = s
	p.mu.Unlock()
	if s.turned(was) {
		p.news.add(s)
	}
}

func (p *peer) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said
}

func (p *peer) tell(items []item) { p.box.putItems(slices.Clone(items)) }
