// SPDX-License-Identifier: Apache-2.0

package vrrp

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bell wakes a virtual router that waits for its socket.
type bell struct {
	fd int // of its owner, who waits

	mu     sync.Mutex
	closed bool // the fd is somebody else's now
}

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &bell{fd: fd}, nil
}

func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	unix.Close(b.fd)
}

// ring may fail only because it rings already.
func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		_, _ = unix.Write(b.fd, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// wait returns when it rings, when the socket has something to read, or when time is over; zero: never. It may
// return sooner. A socket below zero is none.
func (b *bell) wait(socket int, until time.Time) {
	var limit *unix.Timespec
	if !until.IsZero() {
		t := unix.NsecToTimespec(int64(max(0, time.Until(until))))
		limit = &t
	}
	_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}, {Fd: int32(socket), Events: unix.POLLIN}}, limit, nil)
	_, _ = unix.Read(b.fd, make([]byte, 8)) // it rings no more
}
