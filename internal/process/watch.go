// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// most is how many are watched. The ends of those beyond it are seen at the next look.
const most = 1024

// watches are the processes whose end is told at once.
type watches struct {
	ended chan struct{} // holds at most one: a look finds all
	open  map[int]*os.File
	wait  sync.WaitGroup
}

func newWatches() *watches {
	return &watches{ended: make(chan struct{}, 1), open: map[int]*os.File{}}
}

// keep watches these processes and no others, and returns those that run: one that has ended is in /proc until its
// parent has asked how.
func (w *watches) keep(found map[int]*named) map[int]bool {
	running := map[int]bool{}
	for pid, file := range w.open {
		if found[pid] == nil || hasEnded(file) {
			file.Close()
			delete(w.open, pid)
		}
	}
	for pid := range found {
		if running[pid] = true; w.open[pid] == nil {
			running[pid] = w.begin(pid)
		}
	}
	return running
}

// begin says whether a process runs, and watches it if it does. Where that cannot be found out it does. Threads are no
// processes, though /proc has their numbers, too.
func (w *watches) begin(pid int) bool {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		none := []error{unix.ESRCH, unix.EINVAL, unix.ENOENT} // the latter two of a thread, before Linux 6.9 and since
		return !slices.Contains(none, err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	switch {
	case hasEnded(file):
		file.Close()
		return false
	case len(w.open) >= most:
		file.Close()
		return true
	}
	w.open[pid] = file
	w.wait.Go(func() { w.await(file) })
	return true
}

// await returns when the process has ended, or its file was closed. No thread waits.
func (w *watches) await(file *os.File) {
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	if err := conn.Read(readable); err != nil {
		return
	}
	select {
	case w.ended <- struct{}{}:
	default:
	}
}

// hasEnded: a pidfd can be read when its process is no more than what its parent may ask for.
func hasEnded(file *os.File) (ended bool) {
	conn, err := file.SyscallConn()
	if err != nil {
		return true
	}
	if err := conn.Control(func(fd uintptr) { ended = readable(fd) }); err != nil {
		return true
	}
	return ended
}

func readable(fd uintptr) bool {
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(events, 0)
	return err == nil && n > 0
}

func (w *watches) close() {
	for _, file := range w.open {
		file.Close()
	}
	w.wait.Wait()
}
