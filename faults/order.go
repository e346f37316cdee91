// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// order is what is wanted of a test run.
type order struct {
	file string       // where figures are kept; "": nothing is measured, faults are injected small
	only map[int]bool // nil: all
	runs int          // of each fault; 0: as many as usual
}

// Environment of an order. `make faults` sets it.
const (
	envFile = "WEIR_FAULTS"
	envOnly = "WEIR_FAULTS_ONLY"
	envRuns = "WEIR_FAULTS_RUNS"
)

func readOrder(getenv func(string) string) (order, error) {
	o := order{file: getenv(envFile)}
	if text := getenv(envRuns); text != "" {
		runs, err := strconv.Atoi(text)
		if err != nil || runs < 1 {
			return o, fmt.Errorf("RUNS=%s: not a number of runs", text)
		}
		o.runs = runs
	}
	for word := range strings.FieldsFuncSeq(getenv(envOnly), func(r rune) bool { return r == ',' || r == ' ' }) {
		number, err := strconv.Atoi(word)
		if _, known := catalogue[number]; err != nil || !known {
			return o, fmt.Errorf("FAULTS=%s: not a fault that is measured: those are %v", word, slices.Sorted(maps.Keys(catalogue)))
		}
		if o.only == nil {
			o.only = map[int]bool{}
		}
		o.only[number] = true
	}
	return o, nil
}

func (o order) wants(f Fault) bool { return o.only == nil || o.only[f.Number] }

// SizeOf is how large faults are injected by the environment of a test run.
func SizeOf(getenv func(string) string) Size { return order{file: getenv(envFile)}.size() }

func (o order) size() Size {
	if o.file == "" {
		return Small
	}
	return Full
}

// pairs tells whether a fault may be injected beside another one. What is measured never is.
func (o order) pairs(f Fault) bool { return f.Paired && o.size() == Small }

// count is how often a fault is injected.
func (o order) count(f Fault) int {
	switch {
	case o.file == "":
		return 1
	case o.runs != 0:
		return o.runs
	case f.Long:
		return 3
	default:
		return 20
	}
}
