// SPDX-License-Identifier: Apache-2.0

package urgent

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bell wakes one who waits for his sockets.
type Bell struct {
	fd int // of its owner, who waits

	mu     sync.Mutex
	closed bool // the fd is somebody else's now
}

// NewBell makes one that does not ring.
func NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &Bell{fd: fd}, nil
}

// Close is for its owner, who waits no more.
func (b *Bell) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	unix.Close(b.fd)
}

// Ring may fail only because it rings already.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		_, _ = unix.Write(b.fd, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// Wait returns when it rings, when one of the sockets has something to read, or when time is over; zero: never. It may
// return sooner. A socket below zero is none.
func (b *Bell) Wait(until time.Time, sockets ...int) {
	var limit *unix.Timespec
	if !until.IsZero() {
		t := unix.NsecToTimespec(int64(max(0, time.Until(until))))
		limit = &t
	}
	waited := []unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}
	for _, socket := range sockets {
		waited = append(waited, unix.PollFd{Fd: int32(socket), Events: unix.POLLIN})
	}
	_, _ = unix.Ppoll(waited, limit, nil)
	_, _ = unix.Read(b.fd, make([]byte, 8)) // it rings no more
}
