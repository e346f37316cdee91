// SPDX-License-Identifier: Apache-2.0

package realserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The want is kept for status and down. The journal alone would not do: what was there before up,
// such as a VIP that the host's own configuration put on lo, is not in it.
func wantFile(state string) string { return filepath.Join(state, "realserver-want.json") }

// newSuffix is of a file that is about to replace the one without.
const newSuffix = ".new"

// readWant reads what up was asked for last; no file is the empty want.
func readWant(state string) (Want, error) {
	path := wantFile(state)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Want{}, nil
	}
	if err != nil {
		return Want{}, err
	}
	var want Want
	if err := json.Unmarshal(raw, &want); err != nil {
		return Want{}, fmt.Errorf("%s: %w: remove it, and run `weir realserver up` again", path, err)
	}
	return want, nil
}

// writeWant replaces the file in one step.
func writeWant(state string, want Want) error {
	raw, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	path := wantFile(state)
	if err := os.WriteFile(path+newSuffix, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+newSuffix, path)
}

// removeWant removes the file, and its successor if a crash left one half written.
func removeWant(state string) error {
	for _, name := range []string{wantFile(state) + newSuffix, wantFile(state)} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
