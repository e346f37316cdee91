// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

// Runner speaks with directors of LVS, and tries again where it cannot.
//
//	Follow ──► Run ──► Socket ──► Table.Insert
//	Tell ────► queue ───► ▲
//	Table.Slices ─────────┘ once a minute
type Runner struct {
	log    *slog.Logger
	table  Table
	follow newest.Box[Want]
	news   chan struct{}

	mu       sync.Mutex // guards what follows
	marks    Marks
	waiting  []model.Record // changes that were not told yet
	dropped  uint64
	rejected map[model.Refusal]uint64
	socket   *Socket // nil: there is none
	before   Counts  // of those that there were
}

// Table is the connection table of this director: internal/dataplane has it.
type Table interface {
	Slices(ctx context.Context, wanted *[model.Slices]bool, yield func(model.Record) bool) error
	Insert(records []model.Record) (model.Arrived, error)
}

// Want is how directors of LVS are spoken with. The zero value: not at all.
type Want struct {
	Config
	Send, Receive bool
	Link          int // index of the interface: of another one, the socket must be another, too
}

const (
	// Nobody acknowledges, and nobody asks: so all that is served is told again and again. The kernel does so with those
	// that go on, every 50 packets of each (sysctl sync_threshold).
	allEvery = time.Minute
	// mostWaiting bounds what waits for its turn; what finds no room is told within a minute.
	mostWaiting = 1 << 17
	reopenEvery = time.Second
)

// NewRunner makes one that speaks with nobody yet.
func NewRunner(table Table, log *slog.Logger) *Runner {
	return &Runner{log: log, table: table, follow: newest.NewBox[Want](), news: make(chan struct{}, 1), rejected: map[model.Refusal]uint64{}}
}

// Follow says how directors of LVS are spoken with from now on. The newest wins.
func (r *Runner) Follow(want Want) {
	want.From = slices.Clone(want.From)
	r.follow.Put(want)
}

// Use says which services there are from now on.
func (r *Runner) Use(marks Marks) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = marks
	if r.socket != nil {
		r.socket.Use(marks)
	}
}

// Tell says what is served here and has changed. It waits for nobody.
func (r *Runner) Tell(records []model.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := min(mostWaiting-len(r.waiting), len(records))
	r.waiting = append(r.waiting, records[:room]...)
	r.dropped += uint64(len(records) - room)
	select {
	case r.news <- struct{}{}:
	default: // it is known already
	}
}

func (r *Runner) take() []model.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.waiting
	r.waiting = nil
	return out
}

// Counts are those of all that was spoken.
func (r *Runner) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	var now Counts
	if r.socket != nil {
		now = r.socket.Counts()
	}
	out := r.before.plus(now)
	out.Dropped, out.Rejected = r.dropped, maps.Clone(r.rejected)
	return out
}

// Run speaks until ctx is done. It hands out why it cannot, each time that this is another reason; "": it can, or need not.
func (r *Runner) Run(ctx context.Context, out func(fault string)) error {
	var spoken sync.WaitGroup
	defer spoken.Wait()
	var now Want
	stop := func() {}
	for {
		var want Want
		select {
		case <-ctx.Done():
			stop()
			return nil
		case want = <-r.follow:
		}
		if reflect.DeepEqual(now, want) {
			continue
		}
		stop()
		spoken.Wait()
		if now = want; want.Interface == "" {
			out("")
			continue
		}
		var speaks context.Context
		speaks, stop = context.WithCancel(ctx)
		spoken.Go(func() { r.speak(speaks, want, &faults{ctx: speaks, out: out, said: "nothing yet"}) })
	}
}

// faults says each once, and when it is over.
type faults struct {
	ctx  context.Context // when it is done, nothing is a fault any more
	out  func(string)
	mu   sync.Mutex // guards what follows
	said string
}

func (f *faults) say(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != f.said && f.ctx.Err() == nil {
		f.said = text
		f.out(text)
	}
}

// speak opens a socket, and another one where that one fails.
func (r *Runner) speak(ctx context.Context, want Want, f *faults) {
	for ctx.Err() == nil {
		socket, err := Open(want.Config)
		if err == nil {
			f.say(nil)
			err = r.use(ctx, socket, want, f)
		}
		f.say(err)
		select {
		case <-ctx.Done():
		case <-time.After(reopenEvery):
		}
	}
}

// use speaks by a socket until it cannot be heard by any more. What cannot be sent is told again within a minute.
func (r *Runner) use(ctx context.Context, socket *Socket, want Want, f *faults) error {
	r.adopt(socket)
	defer r.abandon(socket)
	var tells sync.WaitGroup
	defer tells.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before it is waited for
	if want.Send {
		tells.Go(func() { r.tellAll(ctx, socket, f) })
	}
	if want.Receive {
		return socket.Run(ctx, r.insert)
	}
	<-ctx.Done()
	return nil
}

func (r *Runner) adopt(socket *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.socket = socket
	socket.Use(r.marks)
}

func (r *Runner) abandon(socket *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = socket.Close()
	r.socket, r.before = nil, r.before.plus(socket.Counts())
}

// insert takes in what another director told.
func (r *Runner) insert(records []model.Record) {
	arrived, err := r.table.Insert(records)
	if err != nil {
		r.log.Warn("the connection table fails to take connections of LVS", "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for why, n := range arrived.Refused {
		r.rejected[why] += uint64(n)
	}
}

// tellAll tells what changes, and now and then all.
func (r *Runner) tellAll(ctx context.Context, socket *Socket, f *faults) {
	tick := time.NewTicker(allEvery)
	defer tick.Stop()
	first := time.After(0)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-r.news:
			err = socket.Send(ctx, slices.Values(r.take()))
		case <-first:
			err = socket.Send(ctx, r.everything(ctx))
		case <-tick.C:
			err = socket.Send(ctx, r.everything(ctx))
		}
		f.say(err)
	}
}

// everything is all that is served here. What changes meanwhile goes first, and is not told as it was before.
func (r *Runner) everything(ctx context.Context) iter.Seq[model.Record] {
	return func(yield func(model.Record) bool) {
		told := map[model.Identity]bool{}
		err := r.table.Slices(ctx, nil, func(old model.Record) bool {
			for _, changed := range r.take() {
				told[changed.Identity()] = true
				if !yield(changed) {
					return false
				}
			}
			return told[old.Identity()] || r.isIdle(old) || yield(old)
		})
		if err != nil && ctx.Err() == nil {
			r.log.Warn("the connection table fails to tell connections to LVS", "err", err)
		}
	}
}

func (r *Runner) isIdle(record model.Record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.marks.isIdle(record)
}
