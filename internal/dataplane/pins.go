// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// pins are the places under --bpffs: a note, the maps by name, the links by interface.
type pins struct{ dir string }

func (p pins) about() string           { return filepath.Join(p.dir, aboutName) }
func (p pins) maps() string            { return filepath.Join(p.dir, "maps") }
func (p pins) links() string           { return filepath.Join(p.dir, "links") }
func (p pins) link(name string) string { return filepath.Join(p.links(), name) }

// make makes the directories, on a bpffs.
func (p pins) make() error {
	if err := MountBPFFS(p.dir); err != nil {
		return err
	}
	for _, dir := range []string{p.maps(), p.links()} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("pins: %w", err)
		}
	}
	return nil
}

// remove takes every pin away, the links first: no packet meets a program without maps.
func (p pins) remove() error {
	for _, dir := range []string{p.links(), p.maps()} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("pins: %w", err)
		}
		for _, e := range entries {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("pins: %w", err)
			}
		}
		if err := os.Remove(dir); err != nil {
			return fmt.Errorf("pins: %w", err)
		}
	}
	if err := os.Remove(p.about()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("pins: %w", err)
	}
	return nil
}

// pinned: read-only data is made anew with each load, all else outlives the daemon.
func pinned(m *ebpf.MapSpec) bool {
	return len(m.Name) > 0 && m.Name[0] != '.'
}
