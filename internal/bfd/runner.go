// SPDX-License-Identifier: Apache-2.0

package bfd

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/weir-lb/weir/internal/model"
	"github.com/weir-lb/weir/internal/newest"
)

// Runner runs each session that it follows.
//
//	Follow ──► Run ──► speaker (one thread for all) ──► news ──► out
type Runner struct {
	log    *slog.Logger
	wanted newest.Box[[]model.BFDWant]
	news   *news

	mu      sync.Mutex
	speaker *speaker // nil: there has been no session yet; it is Run that sets it
}

// NewRunner makes one that follows nobody yet.
func NewRunner(log *slog.Logger) *Runner {
	return &Runner{log: log, wanted: newest.NewBox[[]model.BFDWant](), news: newNews()}
}

// Follow says which sessions shall run, and how. The newest list wins.
func (r *Runner) Follow(wants []model.BFDWant) {
	r.wanted.Put(slices.Clone(wants))
}

// Run hands out what becomes of the sessions, each change in its order, until ctx is done. Then each peer that is
// there is told that its session is switched off, and Run returns.
func (r *Runner) Run(ctx context.Context, out func(Change)) error {
	for {
		var slack <-chan error // of nobody yet
		if r.speaker != nil {
			slack = r.speaker.slack
		}
		select {
		case <-ctx.Done():
			r.end()
			return nil
		case wants := <-r.wanted:
			if err := r.become(wants); err != nil {
				return err
			}
		case <-r.news.come:
			for _, change := range r.news.take() { // they are urgent
				out(change)
			}
		case err := <-slack:
			r.log.Info("BFD has no priority over other work of this host", "error", err)
		}
	}
}

// become begins a speaker with the first session: who wants none has no thread for it.
func (r *Runner) become(wants []model.BFDWant) error {
	if r.speaker == nil && len(wants) == 0 {
		return nil
	}
	if r.speaker == nil {
		s, err := newSpeaker(r.news)
		if err != nil {
			return fmt.Errorf("bfd: %w", err)
		}
		r.mu.Lock()
		r.speaker = s
		r.mu.Unlock()
		go s.run()
	}
	r.speaker.follow(wants)
	return nil
}

func (r *Runner) end() {
	if r.speaker != nil {
		r.speaker.end()
		<-r.speaker.done
	}
}

// Counts are those of each session, by name, and those of packets that were for none.
func (r *Runner) Counts() (of map[string]Counts, strangers map[Reason]uint64) {
	r.mu.Lock()
	s := r.speaker
	r.mu.Unlock()
	if s == nil {
		return nil, nil
	}
	return s.counts()
}
