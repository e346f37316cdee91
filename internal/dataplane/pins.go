// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf/link"
)

// pins are the places under --bpffs: a note, the maps by name, the links by interface.
type pins struct{ dir string }

func (p pins) about() string           { return filepath.Join(p.dir, aboutName) }
func (p pins) maps() string            { return filepath.Join(p.dir, "maps") }
func (p pins) links() string           { return filepath.Join(p.dir, "links") }
func (p pins) link(name string) string { return filepath.Join(p.links(), name) }

func (p pins) table(name string) string { return filepath.Join(p.maps(), name) }

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
	if err := p.detach(); err != nil {
		return err
	}
	for _, dir := range []string{p.links(), p.maps()} {
		if err := removeFlat(dir); err != nil {
			return fmt.Errorf("pins: %w", err)
		}
	}
	if err := ignoreMissingFile(os.Remove(p.about())); err != nil {
		return fmt.Errorf("pins: %w", err)
	}
	return nil
}

// dropTables removes the pins of connection tables but for those of these shapes: a start that was
// killed while it made another one, or had just moved out of one, leaves it behind.
func (p pins) dropTables(keep ...table) error {
	entries, err := os.ReadDir(p.maps())
	if err != nil {
		return fmt.Errorf("pins: %w", err)
	}
	for _, e := range entries {
		is := func(t table) bool { return t.name() == e.Name() }
		if !strings.HasPrefix(e.Name(), tablePrefix) || slices.ContainsFunc(keep, is) {
			continue
		}
		if err := os.Remove(p.table(e.Name())); err != nil {
			return fmt.Errorf("pins: %w", err)
		}
	}
	return nil
}

// detach takes the programs off now: with its last pin alone a link goes some time later.
func (p pins) detach() error {
	entries, err := readFlat(p.links())
	if err != nil {
		return fmt.Errorf("pins: %w", err)
	}
	for _, e := range entries {
		l, err := link.LoadPinnedLink(p.link(e.Name()), nil)
		if err != nil {
			continue // no link of ours can be had from it; the pin goes below
		}
		_ = l.Detach() // fails when the interface is gone, and the program with it
		if err := l.Close(); err != nil {
			return fmt.Errorf("pins: %w", err)
		}
	}
	return nil
}

// readFlat lists a directory; one that is missing is empty.
func readFlat(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	return entries, ignoreMissingFile(err)
}

// removeFlat removes a directory without subdirectories.
func removeFlat(dir string) error {
	entries, err := readFlat(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return ignoreMissingFile(os.Remove(dir))
}

// keep is how long a map lives.
type keep int

const (
	forThisRun  keep = iota // made anew with each load: nothing in it is missed
	byItsLayout             // outlives the daemon; a version that lays it out otherwise has one of its own
	forever                 // outlives the daemon and its version: who lays it out otherwise is refused
)

// keepOf: read-only data is made anew with each load, rings are empty most of the time, checks begin anew. Connections,
// counts, and what they point at must not be lost.
func keepOf(name string) keep {
	switch name {
	case "events", "held_frames", "tellings", "scratch", "conns_before", "check_answers":
		return forThisRun
	case "verdicts", "signs", "fragments", "nearest", "near_sets", "questions", "asking", "leased", "leases", "directors":
		return byItsLayout
	}
	if name[0] == '.' {
		return forThisRun
	}
	return forever
}
