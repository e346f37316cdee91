// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
)

// Cleanup takes the program off all interfaces and forgets every connection. It is refused while a
// daemon lives, and has nothing to do where there never was one.
func Cleanup(bpffs string) error {
	p := pins{bpffs}
	if _, err := os.Stat(bpffs); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := takeLock(p)
	if err != nil {
		return fmt.Errorf("cleanup: %w", err)
	}
	err = p.remove()
	if err := errors.Join(err, lock.Close()); err != nil {
		return fmt.Errorf("cleanup: %w", err)
	}
	if err := UnmountBPFFS(bpffs); err != nil {
		return fmt.Errorf("cleanup: %w", err)
	}
	return nil
}

// Discard closes a dataplane that was never used. Nothing is left behind where nothing was before.
func (d *Dataplane) Discard() error {
	fresh := d.about != nil && d.about.fresh
	if err := d.Close(); err != nil || !fresh {
		return err
	}
	return Cleanup(d.pins.dir)
}
