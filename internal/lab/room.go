// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// room is the lab's directory: what its daemons are told to write, and a BPF filesystem for their
// pins. It is the only thing of a lab that does not go away by itself with the lab's process.
//
//   - Close removes it.
//   - When the lab dies without Close, its janitor does, a shell that waits for the lab's end of a
//     pipe to close.
//   - When the janitor was killed too, the next lab does: the owner of a room holds a lock on it,
//     so a room that can be locked is nobody's.
type room struct {
	dir     string
	lock    *os.File
	janitor *exec.Cmd
	alive   io.Closer // the lab's end of the janitor's pipe
}

const (
	roomPattern = "weir-lab-*.room" // rooms that are locked by their owners
	newSuffix   = ".new"            // of a room that is not locked yet, so that nobody sweeps it
	bpffsName   = "bpf"
)

func newRoom(log *slog.Logger) (*room, error) {
	if err := sweep(log); err != nil {
		return nil, fmt.Errorf("sweep rooms of dead labs: %w", err)
	}
	r, err := lockedRoom()
	if err != nil {
		return nil, fmt.Errorf("make the lab's directory: %w", err)
	}
	if err := r.furnish(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// lockedRoom gives a new directory the name under which it may be swept only after it is locked.
func lockedRoom() (*room, error) {
	dir, err := os.MkdirTemp("", roomPattern+newSuffix)
	if err != nil {
		return nil, err
	}
	lock, err := tryLock(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	name := strings.TrimSuffix(dir, newSuffix)
	if err := os.Rename(dir, name); err != nil {
		return nil, errors.Join(err, lock.Close(), os.Remove(dir))
	}
	return &room{dir: name, lock: lock}, nil
}

// furnish starts the janitor and mounts the BPF filesystem, in this order.
func (r *room) furnish() error {
	if err := r.hireJanitor(); err != nil {
		return fmt.Errorf("start the janitor: %w", err)
	}
	bpffs := filepath.Join(r.dir, bpffsName)
	if err := os.Mkdir(bpffs, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
		return fmt.Errorf("mount a BPF filesystem on %s: %w", bpffs, err)
	}
	return nil
}

// hireJanitor starts the shell that cleans up after a lab that was killed. It has a session of its
// own: what kills the lab's process group must not kill it too.
func (r *room) hireJanitor() error {
	// The lab's processes die at the same moment, and may still write: hence the tries.
	const script = `read -r _; umount -l "$1/$2" 2>/dev/null; ` +
		`n=0; until rm -rf "$1" || [ $((n += 1)) -ge 50 ]; do sleep 0.1; done`
	r.janitor = exec.Command("/bin/sh", "-c", script, "weir-lab-janitor", r.dir, bpffsName)
	r.janitor.Dir = "/"
	r.janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := r.janitor.StdinPipe()
	if err != nil {
		return err
	}
	r.alive = pipe
	return r.janitor.Start()
}

// make makes directories in the room.
func (r *room) make(dirs ...string) error {
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, os.MkdirAll(dir, 0o700))
	}
	return errors.Join(errs...)
}

// close removes the room and waits for the janitor, who finds nothing left to do.
func (r *room) close() error {
	err := remove(r.dir)
	if r.alive != nil {
		r.alive.Close()
		err = errors.Join(err, r.janitor.Wait())
	}
	return errors.Join(err, r.lock.Close())
}

// sweep removes the rooms of labs that are dead.
func sweep(log *slog.Logger) error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), roomPattern))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock, err := tryLock(dir)
		if errors.Is(err, errInUse) || errors.Is(err, os.ErrNotExist) {
			continue // alive, or removed by its janitor just now
		}
		if err != nil {
			return err
		}
		log.Info("removing what a dead lab left", "directory", dir)
		if err := errors.Join(remove(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// tryLock takes the lock on a room, which its owner holds while it lives.
func tryLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, errInUse), f.Close())
	}
	return f, nil
}

var errInUse = errors.New("a running lab owns it")

// remove unmounts what is mounted below a directory and removes it.
func remove(dir string) error {
	mounts, err := mountsBelow(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, mount := range slices.Backward(mounts) {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", mount, err) // never remove through a mount
		}
	}
	return os.RemoveAll(dir)
}

// mountsBelow lists the mounts below a directory in the order in which they were made.
func mountsBelow(dir string) ([]string, error) {
	dir, err := filepath.EvalSymlinks(dir) // as the kernel names it
	if err != nil {
		return nil, err
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []string
	for line := range strings.Lines(string(table)) {
		const mountPoint = 4 // proc_pid_mountinfo(5)
		if at := strings.Fields(line)[mountPoint]; strings.HasPrefix(at, dir+"/") {
			mounts = append(mounts, at)
		}
	}
	return mounts, nil
}
