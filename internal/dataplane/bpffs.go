// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hostBPFFS is where systemd and everybody else expect a bpffs. Nothing else can be made below it
// before one is mounted.
const hostBPFFS = "/sys/fs/bpf"

// MountBPFFS makes dir a directory of a bpffs, in which objects can be pinned. Where there is no
// bpffs yet, it mounts one: on /sys/fs/bpf for what is below that, else on dir itself. One that was
// given is taken as it is: who runs as a systemd unit may mount nothing, and need not.
func MountBPFFS(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("bpffs: %w", err)
	}
	if isBPFFS(dir) {
		return nil
	}
	point := mountPoint(dir)
	if err := os.MkdirAll(point, 0o700); err != nil {
		return fmt.Errorf("bpffs: %w", err)
	}
	if err := mountOnce(point); err != nil {
		return fmt.Errorf("bpffs %s: %w", point, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("bpffs: %w", err)
	}
	return nil
}

// UnmountBPFFS removes dir, if it is empty, and unmounts the bpffs that is mounted on it, if one is.
// The host's own at /sys/fs/bpf stays: others may have come to rely on it. So does one that was
// given to this process: whoever may not unmount has not mounted.
func UnmountBPFFS(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("bpffs: %w", err)
	}
	if dir == hostBPFFS {
		return nil
	}
	if empty, err := isEmpty(dir); err != nil || !empty {
		return err
	}
	if isBPFFS(dir) && isMountPoint(dir) {
		if err := unix.Unmount(dir, 0); err != nil {
			return unlessGiven(fmt.Errorf("unmount bpffs %s: %w", dir, err))
		}
	}
	if err := os.Remove(dir); err != nil {
		return unlessGiven(fmt.Errorf("bpffs: %w", err))
	}
	return nil
}

func unlessGiven(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil
	}
	return err
}

// isMountPoint also tells a bpffs that is mounted on a directory of another one.
func isMountPoint(dir string) bool {
	var own, above unix.Stat_t
	return unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &above) == nil && own.Dev != above.Dev
}

// isEmpty: the kernel puts two files of its own into every fresh bpffs; a missing directory counts as
// not empty, there is nothing to remove.
func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("bpffs: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "maps.debug" && name != "progs.debug" {
			return false, nil
		}
	}
	return true, nil
}

// mountPoint says where a bpffs must be for dir to be on one.
func mountPoint(dir string) string {
	if dir == hostBPFFS || strings.HasPrefix(dir, hostBPFFS+"/") {
		return hostBPFFS
	}
	for parent := dir; parent != "/"; parent = filepath.Dir(parent) {
		if isBPFFS(parent) {
			return parent
		}
	}
	return dir
}

// mountOnce mounts a bpffs on point unless there is one. The lock keeps two of us from mounting one
// over the other, which would hide the first one's pins; it is on the directory below the mount. A
// mounted one is not locked: its root may be what a live daemon has locked for good.
func mountOnce(point string) error {
	below, err := os.Open(point)
	if err != nil {
		return err
	}
	defer below.Close()
	if isBPFFS(point) {
		return nil
	}
	if err := unix.Flock(int(below.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if isBPFFS(point) {
		return nil
	}
	if err := unix.Mount("bpf", point, "bpf", 0, "mode=0700"); err != nil {
		return mountError(err)
	}
	return nil
}

func mountError(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("mount: %w: mount it as root and give it to this user: mount -t bpf bpf DIR, chown", err)
	}
	return fmt.Errorf("mount: %w", err)
}

func isBPFFS(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.BPF_FS_MAGIC
}
