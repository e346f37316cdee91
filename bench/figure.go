// SPDX-License-Identifier: Apache-2.0

// Package bench keeps what `make bench` has measured, in results.json, and its own tests measure
// LVS's two headlines in the lab, what the balancer costs, and what goes past it; what checks cost, and what connection
// sync does. What a packet costs is measured beside the path, in internal/dataplane, and kept through here too.
//
// It judges no speed: a slower figure than the last one is shown, and replaces it. Read this file
// first, then headline_test.go.
package bench

import (
	"cmp"
	"slices"

	"github.com/weir-lb/weir/internal/ledger"
)

// Figure is a line of results.json: the median of some samples, between their extremes; of a floor, the least.
type Figure struct {
	Group string  `json:"group"` // what is measured together
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	// What the least costs that any balancer does, in the same run, and the ratio of the value to it; the same of
	// the least that any tunnel does.
	Floor     float64 `json:"floor,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"`
	FloorIPIP float64 `json:"floor_ipip,omitempty"`
	RatioIPIP float64 `json:"ratio_ipip,omitempty"`
}

// Keep replaces what the file has of the figures' groups; what it has of others stays.
func Keep(file string, figures []Figure) error {
	replaced := func(f Figure) bool {
		return slices.ContainsFunc(figures, func(fresh Figure) bool { return fresh.Group == f.Group })
	}
	return ledger.Replace(file, replaced, figures, func(a, b Figure) int { return cmp.Compare(a.Group, b.Group) })
}

// Saved is the values that the file has, by name.
func Saved(file string) (map[string]float64, error) {
	all, err := ledger.Read[Figure](file)
	values := map[string]float64{}
	for _, f := range all {
		values[f.Name] = f.Value
	}
	return values, err
}
