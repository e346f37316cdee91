// SPDX-License-Identifier: Apache-2.0

// Package faults measures what weir bears: each fault is injected some times, and the worst figure
// is held against its bar. The same code runs in two sizes: `make faults` measures and writes
// faults.json, an ordinary test run injects each fault once, small, and judges counts but no times.
//
// This package is the harness, and its tests are the faults that need a network; those that need
// only the packets' path are tests beside it, and use the harness too. It decides nothing about how
// a fault is made. Read this file first, then catalogue.go, and killed_test.go for an example.
package faults

import "testing"

// Fault is something that goes wrong, and how much of it weir must bear.
type Fault struct {
	Number  int  // in the catalogue
	Long    bool // a run takes more than ten seconds
	Paired  bool // small, it may be injected beside another one: both mostly wait, and count what a busy machine does not change
	Parts   []Part
	Divided bool   // its other parts are measured by other packages: their figures stay
	Beside  string // what others were measured to do, to be read beside the figures; "": nobody was

	// Prepare builds what all runs share. What it makes goes with the test.
	Prepare func(t *testing.T, size Size) Run
}

// Part is one figure of a fault, and its bar.
type Part struct {
	Name    string
	Unit    string // Seconds and Times are judged by `make faults` alone
	Bar     float64
	AtLeast bool // the figure must reach the bar; otherwise it must not exceed it
	Timely  bool // it depends on how busy the machine is, too, whatever its unit
	Known   Miss // that the bar is out of reach; zero: it is to be met
}

// Miss is of a bar that is known to be out of reach, and stays what it is. Who misses it is written down as missed, and fails
// nothing as long as what is in reach is met: a run that always failed would not tell whether anything else has gone wrong.
type Miss struct {
	Reach float64 // held against a figure instead of the bar
	Why   string  // "": there is none
}

// Units of what depends on how busy the machine is.
const (
	Seconds = "s"
	Times   = "times" // a ratio of two durations
)

// Run injects the fault once.
type Run func() (Measured, error)

// Measured is what came of one run.
type Measured struct {
	Figures   map[string]float64 // by name, of every part
	Disturbed string             // what else went wrong meanwhile: a bar that was missed then says nothing
}

// Size says how large a fault is to be.
type Size int

const (
	Small Size = iota // seconds
	Full              // as the catalogue has it
)

// Of picks a number by size.
func (s Size) Of(small, full int) int {
	if s == Full {
		return full
	}
	return small
}

// meets tells whether a figure is as good as the bar wants it.
func (p Part) meets(value float64) bool { return p.within(value, p.Bar) }

// passes tells whether a figure meets the bar, or is no worse than it is known to be.
func (p Part) passes(value float64) bool {
	return p.meets(value) || p.Known.Why != "" && p.within(value, p.Known.Reach)
}

func (p Part) within(value, limit float64) bool {
	if p.AtLeast {
		return value >= limit
	}
	return value <= limit
}

// worse picks the worse of two figures.
func (p Part) worse(a, b float64) float64 {
	if p.AtLeast {
		return min(a, b)
	}
	return max(a, b)
}

// judged tells whether a size says anything about a part.
func (p Part) judged(size Size) bool {
	return size == Full || p.Unit != Seconds && p.Unit != Times && !p.Timely
}
