// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/weir-lb/weir/internal/ledger"
)

// Figure is a line of faults.json: the worst of all runs.
type Figure struct {
	Fault int     `json:"fault"`
	Part  string  `json:"part"`
	Runs  int     `json:"runs"`
	Worst float64 `json:"worst"`
	Unit  string  `json:"unit"`
	Bar   float64 `json:"bar"`
	Pass  bool    `json:"pass"`
	Known string  `json:"known,omitempty"` // why the bar is out of reach, where it was missed by no more than that
}

// figures are the worst of what some runs have measured, in the order of the parts.
func (f Fault) figures(runs []Measured) []Figure {
	var out []Figure
	for _, p := range f.Parts {
		worst := runs[0].Figures[p.Name]
		for _, m := range runs[1:] {
			worst = p.worse(worst, m.Figures[p.Name])
		}
		figure := Figure{
			Fault: f.Number, Part: p.Name, Runs: len(runs), Worst: rounded(worst), Unit: p.Unit, Bar: p.Bar, Pass: p.meets(worst),
		}
		if !figure.Pass && p.passes(worst) {
			figure.Known = p.Known.Why
		}
		out = append(out, figure)
	}
	return out
}

// rounded keeps three digits: no clock here is better.
func rounded(value float64) float64 { return math.Round(value*1000) / 1000 }

func (f Figure) String() string {
	verdict := "pass"
	if !f.Pass {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%3d  %-16s runs %3d  worst %8g %-12s bar %8g  %s", f.Fault, f.Part, f.Runs, f.Worst, f.Unit, f.Bar, verdict)
}

// keep replaces what the file has of one fault; what it has of others stays.
func keep(file string, f Fault, figures []Figure) error {
	return ledger.Replace(file, f.owns, figures, func(a, b Figure) int { return cmp.Compare(a.Fault, b.Fault) })
}

// owns tells whether a figure is one that it measures, or did when it had other parts.
func (f Fault) owns(other Figure) bool {
	mine := func(p Part) bool { return p.Name == other.Part }
	return f.Number == other.Fault && (!f.Divided || slices.ContainsFunc(f.Parts, mine))
}
