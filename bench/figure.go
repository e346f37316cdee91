// SPDX-License-Identifier: Apache-2.0

// Package bench keeps what `make bench` has measured, in results.json, and its own tests measure
// LVS's two headlines in the lab: what the balancer costs, and what goes past it. What a packet
// costs is measured beside the path, in internal/dataplane, and kept through here too.
//
// It judges no speed: a slower figure than the last one is shown, and replaces it. Read this file
// first, then headline_test.go.
package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Figure is a line of results.json: the median of some samples, between their extremes.
type Figure struct {
	Group string  `json:"group"` // what is measured together
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Floor float64 `json:"floor,omitempty"` // what the least that could be done costs
	Ratio float64 `json:"ratio,omitempty"` // of the value to the floor
}

// Keep replaces what the file has of the figures' groups; what it has of others stays.
func Keep(file string, figures []Figure) error {
	all, err := read(file)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f Figure) bool {
		return slices.ContainsFunc(figures, func(fresh Figure) bool { return fresh.Group == f.Group })
	})
	all = append(all, figures...)
	slices.SortStableFunc(all, func(a, b Figure) int { return cmp.Compare(a.Group, b.Group) })
	return write(file, all)
}

// Saved is the values that the file has, by name.
func Saved(file string) (map[string]float64, error) {
	all, err := read(file)
	values := map[string]float64{}
	for _, f := range all {
		values[f.Name] = f.Value
	}
	return values, err
}

func read(file string) ([]Figure, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Figure
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w: remove it", file, err)
	}
	return all, nil
}

// write never leaves half a file.
func write(file string, all []Figure) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	fresh := file + ".new"
	if err := os.WriteFile(fresh, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, file)
}
