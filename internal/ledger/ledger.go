// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps what was measured in a file that is committed: a JSON list, with a line for each
// figure. What a figure is, and which older ones it replaces, its callers know.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Read returns the figures of a file; one that is missing has none.
func Read[F any](file string) ([]F, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []F
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w: remove it", file, err)
	}
	return all, nil
}

// Replace puts fresh figures in place of the old ones. Equals of an order stay as they came.
func Replace[F any](file string, old func(F) bool, fresh []F, order func(a, b F) int) error {
	all, err := Read[F](file)
	if err != nil {
		return err
	}
	all = append(slices.DeleteFunc(all, old), fresh...)
	slices.SortStableFunc(all, order)
	return write(file, all)
}

// write never leaves half a file.
func write[F any](file string, all []F) error {
	text := []byte("[")
	for i, f := range all {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, "\n  "...), line...)
	}
	fresh := file + ".new"
	if err := os.WriteFile(fresh, append(text, "\n]\n"...), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, file)
}
