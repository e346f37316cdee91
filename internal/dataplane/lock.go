// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRunning means that a live daemon holds the place or the interface.
var ErrRunning = errors.New("another weir is running")

// lock is held as long as its daemon lives; the kernel lets go of it however that ends.
type lock struct{ dir *os.File }

// takeLock locks the directory itself: a bpffs holds no ordinary file.
func takeLock(p pins) (*lock, error) {
	dir, err := os.Open(p.dir)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = flock(dir)
	if errors.Is(err, unix.EWOULDBLOCK) {
		dir.Close()
		return nil, fmt.Errorf("%w (%s) and holds %s: stop it, or give this one another --bpffs", ErrRunning, ownerOf(p), p.dir)
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock %s: %w", p.dir, err)
	}
	return &lock{dir}, nil
}

// flock tries for a moment: a process that a daemon was about to start when it was killed has a copy of the lock
// until it is another program.
func flock(dir *os.File) (err error) {
	for range 20 {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// ownerOf names the daemon that wrote the note.
func ownerOf(p pins) string {
	a, err := readAbout(p)
	if err != nil {
		return note{}.owner()
	}
	defer a.Close()
	return a.note.owner()
}

// ConfigOf is the path of the config whose daemon last used the pins in bpffs; "" when nothing tells.
func ConfigOf(bpffs string) string {
	a, err := readAbout(pins{bpffs})
	if err != nil {
		return ""
	}
	defer a.Close()
	return a.note.config()
}

func (l *lock) Close() error {
	if l == nil {
		return nil
	}
	return errors.Join(unix.Flock(int(l.dir.Fd()), unix.LOCK_UN), l.dir.Close()) // a copy of it does not keep it
}
