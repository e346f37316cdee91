// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHolderOfALockIsFound(t *testing.T) {
	const table = "1: POSIX  ADVISORY  WRITE 11 00:2b:18 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 12 00:2b:19 0 EOF\n" +
		"2: -> FLOCK  ADVISORY  WRITE 13 00:2b:18 0 EOF\n" +
		"3: FLOCK  ADVISORY  WRITE 4711 00:2b:18 0 EOF\n"
	device := unix.Mkdev(0, 0x2b)
	for inode, want := range map[uint64]int{18: 4711, 19: 12, 20: 0} {
		if got := flockHolder(table, device, inode); got != want {
			t.Errorf("inode %d: held by %d, want %d", inode, got, want)
		}
	}
}

func TestHostIsSeenWithItsPins(t *testing.T) {
	NeedRoot(t)
	dir := filepath.Join(mountForUnit(t), "weir")
	look := func() Host {
		t.Helper()
		h, err := LookAtHost(dir)
		if err != nil {
			t.Fatal(err)
		}
		if h.Refused != nil || h.Load != nil || !h.Mounted || h.Release == "" {
			t.Errorf("%+v", h)
		}
		return h
	}
	if got := look().Pins; got != (Pinned{}) {
		t.Errorf("before: %+v", got)
	}
	d, err := Open(Options{BPFFS: dir, Config: "/weir.yaml", MaxConns: 64, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := look().Pins, (Pinned{There: true, Fit: true, Config: "/weir.yaml", Pid: os.Getpid()}); got != want {
		t.Errorf("while it is open: %+v, want %+v", got, want)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := look().Pins; !got.There || got.Pid != 0 {
		t.Errorf("after it was closed: %+v", got)
	}
	if err := Cleanup(dir); err != nil {
		t.Fatal(err)
	}
}

func TestHostWithoutBPFFSIsSeen(t *testing.T) {
	h, err := LookAtHost(filepath.Join(t.TempDir(), "not", "there"))
	if err != nil || h.Mounted || h.Pins.There {
		t.Errorf("%+v, %v", h, err)
	}
}
