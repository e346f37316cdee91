// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/weir-lb/weir/internal/model"
)

// Journal remembers what weir changed on this host, and what was there before. A change is on the
// disk before it is made, so a crash at any point leaves at most an entry too many, and undoing a
// change that never happened does nothing.
//
// One file belongs to one user: the director's journal and a real server's are two files.
type Journal struct {
	path string

	mu      sync.Mutex // guards changes and the file
	changes []change   // oldest first
}

// OpenJournal reads the journal at path. No file means that nothing was changed; the file and its
// directory are made with the first change.
func OpenJournal(path string) (*Journal, error) {
	changes, err := readChanges(path)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return &Journal{path: path, changes: changes}, nil
}

// SetSysctl gives a kernel setting a value. Its path is as in Sysctl.
func (j *Journal) SetSysctl(path, value string) error {
	old, err := Sysctl(path)
	if err != nil {
		return err
	}
	if old == value {
		return nil
	}
	if err := j.record(change{Kind: sysctlChange, Path: path, Old: old}); err != nil {
		return err
	}
	return writeSysctl(path, value)
}

// VIPs are the addresses that weir has put on links, in this life or an earlier one, and has not taken away.
func (j *Journal) VIPs() (out []model.VIP) {
	for _, c := range j.matching(func(c change) bool { return c.Kind == addressChange }) {
		out = append(out, model.VIP{Address: c.Prefix.Addr(), Interface: c.Link, Bits: c.Prefix.Bits()})
	}
	return out
}

// RestoreSysctls puts back those settings of the journal that match.
func (j *Journal) RestoreSysctls(match func(path string) bool) error {
	return j.restore(func(c change) bool { return c.Kind == sysctlChange && match(c.Path) })
}

// Restore puts back everything, the newest change first, and removes the file. What is gone
// meanwhile counts as restored. What cannot be put back stays in the journal.
func (j *Journal) Restore() error {
	if err := j.restore(func(change) bool { return true }); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := removeChanges(j.path); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *Journal) restore(match func(change) bool) error {
	matching := j.matching(match)
	if len(matching) == 0 {
		return nil
	}
	handle, err := open()
	if err != nil {
		return err
	}
	defer handle.Close()

	var undone []change
	var errs []error
	for _, c := range slices.Backward(matching) {
		if err := c.undo(handle); err != nil {
			errs = append(errs, fmt.Errorf("restore %s: %w", c, err))
			continue
		}
		undone = append(undone, c)
	}
	return errors.Join(append(errs, j.forget(undone...))...)
}

// record writes down what is about to be changed. Of several changes of one thing the first one
// stands, because it knows what was there before weir.
func (j *Journal) record(changes ...change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	next, known := slices.Clone(j.changes), subjects(j.changes)
	for _, c := range changes {
		if about := c.subject(); !known[about] {
			known[about] = true
			next = append(next, c)
		}
	}
	return j.replace(next)
}

// forget strikes out what was undone.
func (j *Journal) forget(changes ...change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	gone := subjects(changes)
	return j.replace(slices.DeleteFunc(slices.Clone(j.changes), func(c change) bool { return gone[c.subject()] }))
}

// matching returns the changes that match, oldest first.
func (j *Journal) matching(match func(change) bool) []change {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []change
	for _, c := range j.changes {
		if match(c) {
			out = append(out, c)
		}
	}
	return out
}

// replace makes next what the journal says, on the disk first. The caller holds mu.
func (j *Journal) replace(next []change) error {
	if len(next) == len(j.changes) { // changes are only ever added or struck out
		return nil
	}
	if err := writeChanges(j.path, next); err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	j.changes = next
	return nil
}
