// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weir-lb/weir/internal/model"
)

// Verdict is what came of a row.
type Verdict string

const (
	Equal   Verdict = "equal"
	Shared  Verdict = "by share" // no sequence can be equal, but shares are
	Differs Verdict = "DIFFERS"
	Later   Verdict = "not in this version yet"
	Mute    Verdict = "record tells nothing"
)

// Result is a row and what came of it.
type Result struct {
	Row     Row
	Verdict Verdict
	Note    string // what differs first, what is missing, or by how much
}

// ByShare tells that which server a client gets is nobody's promise: a draw, or a hash of our own.
func (r Row) ByShare() bool { return r.draws() || r.scheduler() == model.MH }

func (r Row) draws() bool { return r.scheduler().Draws() }

func (r Row) scheduler() model.Scheduler {
	s, _ := model.ParseScheduler(r.Scheduler)
	return s
}

// Tells is false where the record says of no connection which server it had.
func (r Row) Tells() bool {
	return slices.ContainsFunc(r.Picks, func(pick string) bool { return pick != Silent })
}

// Follow asks what was asked, until something else comes of it than in the record.
func (r Row) Follow(ask func(Ask) (string, error)) (Result, error) {
	for i, want := range r.Picks {
		got, err := ask(r.Asks[i])
		if err != nil {
			return Result{}, fmt.Errorf("%s: connection %d: %w", r.Place(), i+1, err)
		}
		if want == Silent {
			want = Refused
		}
		if got != want {
			note := fmt.Sprintf("connection %d of %d: IPVS %s, weir %s", i+1, len(r.Picks), who(want), who(got))
			return Result{r, Differs, note}, nil
		}
	}
	return Result{Row: r, Verdict: Equal}, nil
}

func who(pick string) string {
	switch pick {
	case Refused:
		return "nobody"
	case Silent:
		return "nobody, without a word"
	}
	return "server " + pick
}

// Uncounted is the first server of whose connections another number is counted; "": there is none.
func Uncounted(want, got map[int]Counts) string {
	for _, server := range slices.Sorted(maps.Keys(want)) {
		if w, g := want[server], got[server]; w != g {
			return fmt.Sprintf("server %d has %d active and %d inactive, in IPVS %d and %d", server, g.Active, g.Inactive, w.Active, w.Inactive)
		}
	}
	return ""
}
